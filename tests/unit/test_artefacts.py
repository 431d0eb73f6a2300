"""Model files read without loading them: what is refused, and that nothing is ever run."""

from __future__ import annotations

import collections
import hashlib
import io
import json
import os
import pickle
import pickletools
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picklescan import scanner

from nachweis.checks.security._common import skops_naming
from nachweis.checks.security._scored import example_file
from nachweis.domain.errors import DataError
from nachweis.domain.observation import ArtefactFacts, ModelScores, Source
from nachweis.engines.artefact_allowlist import _NAMED, CALLED
from nachweis.engines.artefact_classes import CLASSES
from nachweis.engines.artefacts import FileReader, inspect_artefact
from nachweis.engines.dependencies import audit, is_affected, read_lock
from nachweis.engines.models import scored_sample
from nachweis.settings import PACKAGE_ROOT

DEMO = Path(__file__).parents[2] / "demo"


class Calls:
    """Pickles as a call of a function; the bytes are read here and never loaded."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def inspected(content: bytes, name: str = "model.pkl", **beside: bytes) -> ArtefactFacts:
    files = {name: content} | {f"{name}{ending}": data for ending, data in beside.items()}
    return inspect_artefact(FileReader(memory=files), name)


# ------------------------------------------------------------------------------------- pickles


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "harmful",
    [Calls(os.system, "false"), Calls(eval, "1"), Calls(getattr, "", "upper"), Calls(np.load, "x")],
    ids=["system", "eval", "getattr", "numpy.load"],
)
def test_a_pickle_that_calls_anything_else_is_refused(harmful: Calls, protocol: int) -> None:
    content = pickle.dumps({"weights": [1.0], "note": harmful}, protocol)
    assert inspected(content).refused


def test_a_harmful_pickle_is_never_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    content = pickle.dumps(Calls(os.mkdir, str(trace)))
    for name in ("model.pkl", "model.skops", "model.joblib", "model.onnx", "model"):
        inspected(content, name)
    assert not trace.exists()


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_an_array_and_plain_values_are_allowed(protocol: int) -> None:
    content = pickle.dumps({"w": np.arange(3.0), "n": 3, "s": {1, 2}, "t": "x"}, protocol)
    facts = inspected(content)
    assert (facts.format, facts.refused) == ("pickle", ())
    assert facts.digest == hashlib.sha256(content).hexdigest()
    assert facts.size == len(content)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",  # STACK_GLOBAL from two texts
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x93.",  # the same through the memo
        b"\x80\x04\x8c\x06systemx\x8c\x02os\x8c\x06system\x93.",
        b"\x80\x04]\x8c\x06system\x93.",  # a module that is no text
        b"(S'x'\nios\nsystem\n.",  # INST
        b"\x80\x02\x82\x01.",  # an extension registered elsewhere
        b"Pabc\n.",  # a persistent id
        b"\x80\x04N.\x80\x04cos\nsystem\n.",  # a second pickle behind the first
        b"\x80\x04\x8c\x0bsklearn.svm\x8c\x08SVC.mro\xe2\x93.",
        b"\x80\x04\x8c\x10sklearn.datasets\x8c\x05Loads\x93.",
        b"\x80\x04\x8c\x05numpy\x8c\x04save\x93.",
        b"\x80\x04\x8c\x16sklearn.utils.parallel\x8c\x36joblib.externals.loky.backend.context."
        b"subprocess.Popen\x93.",  # from an allowed module to another by its attributes
        b"\x80\x04csklearn.utils.parallel\njoblib.externals.loky.backend.context.subprocess.Popen"
        b"\n.",  # the same in one opcode
        b"\x80\x04csklearn.utils.parallel.joblib\nParallel\n.",
        b"\x80\x04csklearn.callback._progressbar\nThread\n.",  # a class of another library
        b"\x80\x04\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93.\x80\x04\x8c\x02os\x940\x8c\x06"
        b"system\x940h\x00h\x01\x93.",  # a second pickle that would borrow names of the first
        b"\x80\x04]",  # cut off
    ],
)
def test_ways_around_the_list_are_refused(content: bytes) -> None:
    assert inspected(content).refused


def test_what_is_refused_is_named_only_if_it_is_a_name() -> None:
    content = b"\x80\x04\x8c\x19anna.smith@example.org 1\n\x8c\x01x\x93."
    assert "anna" not in " ".join(inspected(content).refused)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["m", "m.pkl", "m.skops", "m.joblib"]))
def test_any_bytes_are_described_and_never_accepted_by_accident(content: bytes, name: str) -> None:
    facts = inspected(content, name)
    assert facts.digest == hashlib.sha256(content).hexdigest()
    if not facts.refused:
        # What is accepted is a complete pickle without imports.
        assert facts.imports == 0
        assert any(one.name == "STOP" for one, _, _ in pickletools.genops(content))


def text(content: str) -> bytes:
    return b"X" + struct.pack("<I", len(content)) + content.encode()


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def call(callable_: bytes, *arguments: bytes) -> bytes:
    return callable_ + b"(" + b"".join(arguments) + b"tR"


def mapping(**items: bytes) -> bytes:
    return b"(" + b"".join(text(key) + value for key, value in items.items()) + b"d"


RIDGE = name("sklearn.linear_model._ridge", "Ridge")
NEW_RIDGE = RIDGE + b")\x81"
ARRAY_TYPE = name("numpy", "dtype")


def scorer_that_evaluates(expression: str) -> bytes:
    """Allowed classes put together so that calling one evaluates a text."""
    tags = name("sklearn.utils._tags", "InputTags") + b"(N" + mapping(a=text("x")) + b"tb"
    table = call(name("pandas.core.frame", "DataFrame"), mapping(a=b"(K\x01l"))
    table += mapping(_typ=text("dataframe"), __sklearn_tags__=tags) + b"b"
    scorer = name("sklearn.metrics._scorer", "_Scorer")
    scorer = call(scorer, name("sklearn.utils._tags", "InputTags"), b"K\x01", b"}", text("eval"))
    return b"\x80\x02" + call(scorer, table, text(expression), b"N") + b"."


def test_classes_of_the_libraries_that_evaluate_a_text_together_are_refused() -> None:
    facts = inspected(scorer_that_evaluates("@np._pytesttester.os.system('false')"))
    assert "the import sklearn.metrics._scorer._Scorer" in facts.refused
    assert "the import pandas.core.frame.DataFrame" in facts.refused


@pytest.mark.parametrize(
    "dotted",
    [
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.utils._metadata_requests.MethodType",
        "sklearn.base.ABCMeta",
        "sklearn._cyutility.Enum",
        "sklearn.utils._bunch.Path",
        "sklearn.linear_model.Ridge",
        "pandas.core.series.Series",
        "lightgbm.callback.Anything",
        "joblib.numpy_pickle.NumpyArrayWrapper",
        "copyreg._reconstructor",
        "functools.partial",
    ],
)
def test_a_capital_letter_below_a_library_is_no_permission(dotted: str) -> None:
    module, _, attribute = dotted.rpartition(".")
    assert inspected(name(module, attribute) + b".").refused == (f"the import {dotted}",)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (call(NEW_RIDGE, b"N"), "a call of something that is no import"),
        (call(RIDGE, b"N"), "a call of sklearn.linear_model._ridge.Ridge"),
        (call(name("numpy", "exp"), b"K\x01"), "a call of numpy.exp"),
        (ARRAY_TYPE + b")\x81", "a call of numpy.dtype"),
        (call(name("builtins", "object")), "a call of builtins.object"),
        (RIDGE + mapping(fit=b"N") + b"b", "a state for something that is no new object"),
        (b"}" + mapping(fit=b"N") + b"b", "a state for something that is no new object"),
        (NEW_RIDGE + mapping(__class__=b"N") + b"b", "a special attribute"),
        (NEW_RIDGE + b"N" + mapping(__class__=RIDGE) + b"\x86b", "a state that is computed"),
        (NEW_RIDGE + NEW_RIDGE + b"b", "a state that is computed"),
        (NEW_RIDGE + b"(K\x01Ndb", "an attribute whose name is computed"),
        (
            NEW_RIDGE + mapping(__class__=b"N") + b"(K\x01Nu" + b"b",
            "a special attribute",
        ),
        (name("sklearn.utils._bunch", "Bunch") + b")\x81" + text("__len__") + b"Ns", "a special"),
        (NEW_RIDGE + b"Na", "an object that items are put into"),
        (NEW_RIDGE + b"K\x01Ns", "an object that items are put into"),
        (b"}" + NEW_RIDGE + b"Ns", "an object as a key"),
        (b"}" + NEW_RIDGE + b"\x85Ns", "an object as a key"),
        (call(name("builtins", "set"), b"]" + NEW_RIDGE + b"a"), "with such arguments"),
        (call(name("numpy.random._pickle", "__bit_generator_ctor"), RIDGE), "such arguments"),
        (call(name("numpy.random._pickle", "__generator_ctor"), b"N", RIDGE), "such arguments"),
        (call(name("_codecs", "encode"), text("x"), text("zlib")), "such arguments"),
        (call(name("collections", "defaultdict"), RIDGE), "such arguments"),
        (b"(" + RIDGE + b"o", "the opcode OBJ"),
        (RIDGE + b")}\x92", "the opcode NEWOBJ_EX"),
        (b"N2", "the opcode DUP"),
        (b"NN0", "the opcode POP"),
    ],
)
def test_allowed_names_put_to_another_use_are_refused(body: bytes, what: str) -> None:
    assert any(what in refused for refused in inspected(b"\x80\x04" + body + b".").refused)


@pytest.mark.parametrize("body", [b"N.N.", b"K\x01b.", b"t.", b"(N.", b"NN.", b"h\x01.", b"p-1\n."])
def test_a_stack_that_no_unpickler_could_work_with_is_refused(body: bytes) -> None:
    # The first is two pickles, each complete: what follows the first is read as well.
    assert bool(inspected(b"\x80\x04" + body).refused) is (body != b"N.N.")


def test_tuples_of_tuples_are_read_once() -> None:
    content = (
        b"\x80\x04)"
        + b"\x94h\x00\x86"
        + b"".join(b"\x94h" + bytes([depth]) + b"\x86" for depth in range(1, 100))
    )
    assert inspected(b"}".join([content[:2], content[2:]]) + b"Ns.").refused == ()


def test_raw_bytes_of_an_array_cannot_hide_what_follows_them() -> None:
    # joblib skips the array's bytes; a reader of opcodes takes them for the head of a text.
    state = mapping(subclass=name("numpy", "ndarray"), order=text("C"), dtype=ARRAY_TYPE)
    wrapper = name("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81" + state + b"b"
    harmful = b"cposix\nsystem\n(" + text("false") + b"tR."
    content = b"\x80\x02" + wrapper + b"B" + struct.pack("<I", len(harmful)) + harmful + b"."
    for file in ("model.joblib", "model.pkl"):
        facts = inspected(content, file)
        assert "the import joblib.numpy_pickle.NumpyArrayWrapper" in facts.refused


# --------------------------------------------------------------------------- pickles of estimators

X = np.abs(np.random.RandomState(0).rand(40, 3))
Y = np.arange(40) % 3
WORDS = ["one __init__", "two words"] * 20


def estimators() -> dict[str, Any]:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.cluster import KMeans
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import (
        GradientBoostingClassifier,
        HistGradientBoostingClassifier,
        RandomForestClassifier,
    )
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.feature_selection import SelectKBest, f_classif
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, SGDClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
    from sklearn.svm import SVC

    columns = ColumnTransformer(
        [("a", StandardScaler(), [0]), ("b", OneHotEncoder(handle_unknown="ignore"), slice(1, 3))]
    )
    random = np.random.RandomState(1)
    return {
        "columns": make_pipeline(SimpleImputer(), columns, LogisticRegression()).fit(X, Y),
        "forest": RandomForestClassifier(2, random_state=random).fit(X, Y),
        "boosting": GradientBoostingClassifier(n_estimators=2).fit(X, Y),
        "histograms": HistGradientBoostingClassifier(max_iter=2).fit(X, Y),
        "calibrated": CalibratedClassifierCV(SVC(), cv=2).fit(X, Y),
        "isotonic": CalibratedClassifierCV(SGDClassifier(), method="isotonic", cv=2).fit(X, Y),
        "paths": LogisticRegressionCV(Cs=2, cv=2, max_iter=20).fit(X, Y),
        "neighbours": KNeighborsClassifier(algorithm="kd_tree").fit(X, Y),
        "network": MLPClassifier((2,), max_iter=2, solver="sgd", random_state=random).fit(X, Y),
        "words": make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(WORDS, Y),
        "best": make_pipeline(
            FunctionTransformer(np.log1p), SelectKBest(f_classif, k=1), LogisticRegression()
        ).fit(X, Y),
        "groups": KMeans(2, n_init=1).fit(X),
        "weights": LogisticRegression(class_weight={np.int64(0): np.float64(2)}),
        "plain": collections.OrderedDict(a=collections.defaultdict(int, b=1), c={(1, "x")}, d=1j),
    }


@pytest.mark.filterwarnings("ignore")
def test_pickles_of_real_estimators_are_accepted() -> None:
    for which, model in estimators().items():
        for protocol in (2, 4, 5):
            facts = inspected(pickle.dumps(model, protocol))
            assert (which, facts.format, facts.refused) == (which, "pickle", ())


@pytest.mark.filterwarnings("ignore")
def test_skops_files_of_real_estimators_are_accepted() -> None:
    skops = pytest.importorskip("skops.io")
    for which, model in estimators().items():
        if which not in {"plain", "paths", "boosting"}:
            facts = inspected(skops.dumps(model), "model.skops")
            assert (which, facts.format, facts.refused) == (which, "skops", ())


# --------------------------------------------------------------------------------- other forms


def safetensors(length: int) -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    return struct.pack("<Q", length) + header.ljust(length) + bytes(range(251, 235, -1)) + b"\n\n"


@pytest.mark.parametrize("start", range(64, 16384, 1024))
def test_safetensors_are_known_whatever_their_header_s_length(start: int) -> None:
    for length in (*range(start, start + 1024, 8), 0x9328, 0x9388):
        facts = inspected(safetensors(length), "model.safetensors")
        assert (length, facts.format, facts.refused) == (length, "native", ())


def test_what_is_no_safetensors_file_is_not_taken_for_one() -> None:
    assert inspected(safetensors(128)[:100], "m.safetensors").format == "unknown"
    assert inspected(struct.pack("<Q", 9) + b"{not JSON", "m.safetensors").format == "unknown"
    harmful = pickle.dumps(Calls(os.system, "false"))
    assert inspected(harmful, "m.safetensors").format == "pickle"


ONNX = b"\x08\x08" + b"\x12\x07skl2onn" + b"\x3a\x05graph" + b"\x42\x02\x10\x12"


@pytest.mark.parametrize(
    ("file", "content", "form"),
    [
        ("m.onnx", ONNX, "onnx"),
        ("m.json", b'{"learner": {}}', "native"),
        ("m.json", b"\n [1]", "native"),
        ("m.ubj", b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner", "native"),
        ("m.txt", b"tree\nversion=v4\nnum_class=1\n", "native"),
        ("m.txt", b"booster[0]:\n0:[f0<1] yes=1,no=2\n", "native"),
        ("m.cbm", b"CBM1" + bytes(200), "native"),
    ],
)
def test_forms_of_the_libraries_are_known_by_their_beginning(
    file: str, content: bytes, form: str
) -> None:
    facts = inspected(content, file)
    assert (facts.format, facts.refused) == (form, ())


ENDINGS = ("onnx", "json", "txt", "ubj", "cbm", "safetensors", "bin")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_one_under_every_name(ending: str, protocol: int) -> None:
    content = pickle.dumps(Calls(os.system, "false"), protocol)
    facts = inspected(content, f"model.{ending}")
    assert facts.format == "pickle"
    assert facts.refused
    # A pickle that breaks off has already run what stands before.
    assert inspected(content[:-1], f"model.{ending}").refused


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    "content",
    [
        b"I0x10\ncposix\nsystem\n(S'false'\ntR.",  # a number that only some readers take
        b"CBM1" + bytes(64) + b"cposix\nsystem\n(S'false'\ntR.",
        b"CBM1" + bytes(64) + b"I0x10\ncposix\nsystem\n(S'false'\ntR.",
        b"(S'false'\niposix\nsystem\n.",
        b"CBM1" + bytes(64) + b"I0x10\n" + b"at position 1, opcode unknown",
        b"CBM1" + bytes(64) + b"cposix\nsystem",
        b"name of no form",
    ],
)
def test_what_a_reader_could_take_for_a_pickle_is_refused(ending: str, content: bytes) -> None:
    facts = inspected(content, f"model.{ending}")
    assert facts.format in {"pickle", "unknown"}
    assert facts.refused


@pytest.mark.parametrize("cut", range(1, len(ONNX)))
def test_an_onnx_file_is_read_to_its_end(cut: int) -> None:
    graph_ends = 18  # the next field is the last one
    expected = "onnx" if cut == graph_ends else "unknown"
    assert inspected(ONNX[:cut], "m.onnx").format == expected
    assert inspected(ONNX + b"\xff", "m.onnx").format == "unknown"


def test_an_archive_behind_other_bytes_is_refused() -> None:
    harmful = pickle.dumps(Calls(os.system, "false"))
    content = harmful + skops_naming("numpy.ndarray")
    assert "an archive behind other bytes" in inspected(content, "model.skops").refused


# ------------------------------------------------------------------------------------ archives


def test_the_demos_models_are_accepted() -> None:
    files = FileReader((DEMO,))
    for path in sorted((DEMO / "data" / "models").glob("*.skops")):
        facts = inspect_artefact(files, f"data/models/{path.name}")
        assert (facts.format, facts.refused) == ("skops", ())


@pytest.mark.parametrize(
    "types", [("os.system",), ("builtins.eval",), ("numpy.load",), ("operator.methodcaller",)]
)
def test_a_skops_file_with_other_types_is_refused(types: tuple[str, ...]) -> None:
    facts = inspected(skops_naming("sklearn.pipeline.Pipeline", *types), "m.skops")
    assert facts.format == "skops"
    assert facts.refused


@pytest.mark.parametrize(
    "node",
    [
        {
            "__class__": "float",
            "__module__": "builtins",
            "__loader__": "FunctionNode",
            "content": {"module_path": "os", "function": "system"},
        },
        {
            "__class__": "SVC",
            "__module__": "sklearn.svm",
            "__loader__": "MethodNode",
            "content": {"func": "fit"},
        },
        {"__class__": "parallel.Parallel", "__module__": "sklearn.utils"},
    ],
    ids=["function of the oldest protocol", "method", "path of attributes"],
)
def test_ways_around_the_list_of_a_skops_file_are_refused(node: dict[str, Any]) -> None:
    schema = json.dumps({**node, "protocol": 0}).encode()
    facts = inspected(archive(("schema.json", schema)), "m.skops")
    assert facts.format == "skops"
    assert facts.refused


def archive(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, content in members:
            target.writestr(name, content)
    return buffer.getvalue()


def test_pickles_inside_archives_are_found() -> None:
    harmful = pickle.dumps(Calls(os.system, "false"))
    assert "a pickle inside the archive" in inspected(archive(("a/data.pkl", harmful))).refused
    assert inspected(archive(("weights", harmful))).refused
    objects = io.BytesIO()
    np.save(objects, np.array([{}], dtype=object), allow_pickle=True)
    assert inspected(archive(("1.npy", objects.getvalue()))).refused
    assert inspected(archive(("../escape.txt", b"x"))).refused


def test_a_second_scanner_is_asked_about_pickles(caplog: pytest.LogCaptureFixture) -> None:
    assert inspected(pickle.dumps(Calls(os.system, "false"))).dangerous == 1
    assert inspected(pickle.dumps({"w": np.arange(3.0)})).dangerous == 0
    assert inspected(pickle.dumps(Calls(eval, "1"))[:-1]).dangerous is None  # cut off
    assert inspected(skops_naming("numpy.ndarray"), "model.skops").dangerous is None
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        for number in range(2):
            members.writestr(f"{number}.pkl", pickle.dumps(Calls(os.system, "false")))
    assert inspected(archive.getvalue()).dangerous == 2
    assert caplog.text == ""


def test_what_only_the_second_scanner_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = pickle.dumps({"w": np.arange(3.0)})
    monkeypatch.setitem(scanner._unsafe_globals, "numpy", {"dtype"})
    facts = inspected(content)
    assert (facts.refused, facts.dangerous) == (("the import numpy.dtype",), 1)


def test_no_name_on_our_list_is_one_that_the_second_scanner_knows_as_dangerous() -> None:
    names = sorted({*CALLED, *CLASSES, *_NAMED})
    lines = ["c{0}\n{2}\n".format(*name.rpartition(".")) for name in names]
    facts = inspected("".join(["(", *lines, "t."]).encode())
    assert (facts.imports, facts.refused, facts.dangerous) == (len(names), (), 0)


def test_signatures_beside_a_file_are_reported() -> None:
    facts = inspected(example_file(1.0), "m.skops", **{".sig": b"x", ".sigstore.json": b"{}"})
    assert facts.signatures == (".sig", ".sigstore.json")


def test_a_service_and_a_missing_file_are_told_apart() -> None:
    with pytest.raises(DataError, match="a service"):
        inspect_artefact(FileReader(), "https://model.example/v1")
    with pytest.raises(DataError, match="no such file"):
        inspect_artefact(FileReader(), "model.skops")


# --------------------------------------------------------------------------------- application


def scores_of(content: bytes, digest: str | None = None, columns: int = 2) -> Any:
    names = tuple(f"x{i}" for i in range(columns))
    request = ModelScores(
        "scores", Source("log"), "m", digest or hashlib.sha256(content).hexdigest(), names, 10
    )
    rows = {name: np.array([1.0, -2.0, 3.0]) for name in names}
    return scored_sample(FileReader(memory={"m": content}), request, rows)


def test_a_stored_model_scores_rows_and_changed_rows() -> None:
    sample = scores_of(example_file(2.0))
    np.testing.assert_allclose(sample.scores[:, 0], [2.0, -4.0, 6.0])
    other = {**sample.columns, "x0": np.array([0.0, 0.0, 1.0])}
    np.testing.assert_allclose(sample.score(other)[:, 0], [0.0, 0.0, 2.0])


@pytest.mark.parametrize(
    ("content", "more", "words"),
    [
        (example_file(2.0), {"digest": "0" * 64}, "digest differs"),
        (pickle.dumps(Calls(os.system, "false")), {}, "not skops"),
        (skops_naming("os.system"), {}, "not skops"),
        (skops_naming("sklearn.pipeline.Pipeline"), {}, "cannot be loaded"),
        (example_file(2.0), {"columns": 3}, "reads 2 inputs"),
    ],
)
def test_no_other_model_is_loaded(content: bytes, more: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        scores_of(content, **more)


# -------------------------------------------------------------------------------- dependencies


def test_lock_files_are_read() -> None:
    text = b"# by a tool\na==1.0 \\\n    --hash=sha256:00\nB_b[x]==2.0 ; python_version>'3'\nc>=3\n"
    assert read_lock(text, "requirements.lock") == ({("a", "1.0"), ("b-b", "2.0")}, 1)
    toml = b'[[package]]\nname = "a"\nversion = "1.0"\n[[package]]\nname = "own"\n'
    assert read_lock(toml, "uv.lock") == ({("a", "1.0")}, 1)
    with pytest.raises(DataError):
        read_lock(b"", "requirements.lock")
    with pytest.raises(DataError, match="includes other files"):
        read_lock(b"a==1.0\n-r base.txt\n", "requirements.lock")
    with pytest.raises(DataError, match="names no package"):
        read_lock(b'{"default": {"a": {"version": "==1.0"}}}', "Pipfile.lock")


@pytest.mark.parametrize(
    "line",
    [
        "-e git+https://example.org/x@main#egg=b", "-e.", "--editable ./b", "--editable=./b",
        "https://example.org/b-1.0-py3-none-any.whl", "git+https://example.org/b", "./b.whl",
        "../b", "b @ https://example.org/b-1.0.zip", "b==1.*", "b===1.*", "b==1.0,!=1.1", "b~=1.0",
        "b", "b[x]", "  b>=2", "b (==1.0)", "b==${B}", "b>=\\\n1.0", "b>=1  # ==1.0",
    ],
)  # fmt: skip
def test_a_line_that_is_no_exact_pin_is_counted(line: str) -> None:
    for text in (f"a==1.0\n{line}\n", f"{line}\na==1.0"):
        assert read_lock(text.encode(), "requirements.lock") == ({("a", "1.0")}, 1)


@pytest.mark.parametrize(
    "line",
    ["", "  # b", "#b \\", "--hash=sha256:00", "-i https://example.org/simple", "--no-binary b",
     "--extra-index-url=https://example.org", "--require-hashes", "-c limits.txt", "-f ./wheels"],
)  # fmt: skip
def test_options_and_comments_install_nothing(line: str) -> None:
    assert read_lock(f"{line}\na==1.0\n".encode(), "requirements.lock") == ({("a", "1.0")}, 0)


@pytest.mark.parametrize(
    "line",
    ["a == 1.0", "A[x,y]==1.0;python_version>'3'", "a===1.0", "\ufeffa==1.0  # note",
     "a==1.0 --hash=sha256:00", "a==1.0 \\\n  --hash=sha256:00 \\\n  # via b\n", "a==\\\n1.0"],
)  # fmt: skip
def test_exact_pins_are_read_however_they_are_written(line: str) -> None:
    assert read_lock(line.encode(), "requirements.lock") == ({("a", "1.0")}, 0)


@pytest.mark.parametrize(
    "line",
    ["-r other.txt", "-rother.txt", "  -r other.txt", "--requirement=other.txt",
     "--requirement other.txt", "--requirem other.txt", "-r \\\nother.txt"],
)  # fmt: skip
def test_lock_files_that_include_others_are_refused(line: str) -> None:
    with pytest.raises(DataError, match="includes other files"):
        read_lock(f"a==1.0\n{line}\n".encode(), "requirements.lock")


@pytest.mark.parametrize(
    "lock", sorted(PACKAGE_ROOT.glob("requirements*.lock")), ids=lambda lock: lock.name
)
def test_the_projects_own_locks_pin_everything(lock: Path) -> None:
    pins, unpinned = read_lock(lock.read_bytes(), lock.name)
    assert (len(pins) > 100, unpinned) == (True, 0)


@pytest.mark.parametrize(
    ("version", "affected"),
    [("0.9", False), ("1.0", True), ("1.4.post1", False), ("1.4", False), ("1.3.9", True),
     ("2.0", True), ("2.5", True), ("2.6", False), ("1.4rc1", True), ("odd", True)],
)  # fmt: skip
def test_ranges_switch_between_affected_and_not(version: str, affected: bool) -> None:
    events = [{"introduced": "1.0"}, {"fixed": "1.4"}, {"introduced": "2.0"}]
    item = {"ranges": [{"type": "ECOSYSTEM", "events": [*events, {"last_affected": "2.5"}]}]}
    assert is_affected(version, item) is affected


def test_withdrawn_entries_and_other_ecosystems_do_not_count() -> None:
    feed = (
        b'{"id": "A", "modified": "2026-03-01T00:00:00Z", "withdrawn": "2026-03-02T00:00:00Z", '
        b'"affected": [{"package": {"ecosystem": "PyPI", "name": "a"}, "versions": ["1.0"]}]}\n'
        b'{"id": "B", "modified": "2026-02-01T00:00:00Z", '
        b'"affected": [{"package": {"ecosystem": "npm", "name": "a"}, "versions": ["1.0"]}]}\n'
    )
    facts = audit(FileReader(memory={"lock": b"a==1.0\n", "feed": feed}), "lock", "feed")
    assert (facts.known, facts.entries, facts.newest) == ((), 1, "2026-03-01")
