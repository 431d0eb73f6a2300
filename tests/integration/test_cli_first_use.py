"""From a data file to a signed draft dossier, with the commands that a newcomer types."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from nachweis.domain.finding import Outcome
from nachweis.storage.embedded import EmbeddedStore
from tests.integration.night_support import FIRST, SECOND, Place, command, place

pytestmark = pytest.mark.store

COLUMNS = ("customerId", "e_mail", "alter", "Geschlecht", "plz", "umsatz", "scored_at", "score")


def rows(count: int = 300) -> list[dict[str, object]]:
    draw = random.Random(7)
    return [
        {
            "customerId": f"K{number:05d}",
            "e_mail": f"person{number}@mail.example",
            "alter": draw.randint(18, 90),
            "Geschlecht": draw.choice("fmd"),
            "plz": f"{draw.randint(1000, 99999):05d}",
            "umsatz": round(draw.uniform(0, 500), 2),
            "scored_at": f"{FIRST} {number % 24:02d}:00:00",
            "score": round(draw.random(), 4),
        }
        for number in range(count)
    ]


@dataclass(frozen=True)
class FirstUse:
    """A draft world in which a newcomer typed the commands that `init` named."""

    here: Place
    folder: Path
    typed: dict[str, tuple[int, str, str]]


@pytest.fixture(scope="module")
def use(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[FirstUse]:
    with place(tmp_path_factory.mktemp("first"), embedded_store) as here:
        folder = here.world.parent / "mine"
        folder.mkdir()
        with (folder / "customers.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(rows())
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NACHWEIS_WORLD", str(folder))
            data = str(folder / "customers.csv")
            typed = {
                "init": command("init", "--from", data, "--folder", str(folder)),
                "lint": command("lint"),
                "run": command("run", "--night", FIRST),
                "render": command("site", "render"),
                "again": command("init", "--from", data, "--folder", str(folder)),
            }
            yield FirstUse(here, folder, typed)


def test_every_step_succeeds(use: FirstUse) -> None:
    for step in ("init", "lint", "run", "render"):
        code, out, err = use.typed[step]
        assert code == 0, (step, out, err)
    said = use.typed["lint"][1]
    assert "0 errors, 5 warnings" in said
    assert "controller.legal_name: still holds the text of the draft" in said
    assert "git knows no complete history" in said


def test_init_says_what_it_guessed_and_what_comes_next(use: FirstUse) -> None:
    out = use.typed["init"][1]
    for guess in (
        "customerId: customer number",
        "e_mail: e-mail address",
        "alter: age or date of birth",
        "Geschlecht: gender",
        "plz: postal address",
        "umsatz: purchases and orders",
        "scored_at: time of the row",
        "score: score",
    ):
        assert guess in out
    assert f"export NACHWEIS_WORLD={use.folder}" in out
    assert f"export NACHWEIS_STATE={use.folder / '.nachweis'}" in out
    assert "nachweis run --night" in out


def test_the_draft_holds_names_and_types_and_no_value(use: FirstUse) -> None:
    for path in (use.folder / "manifests").rglob("*.yaml"):
        text = path.read_text("utf-8")
        assert "person1@" not in text
        assert "K00001" not in text
        schema = text.splitlines()[0].partition("$schema=")[2]
        json.loads((path.parent / schema).read_text("utf-8"))
    assert "location: customers.csv" in (
        use.folder / "manifests/datasets/my-model-scoring.yaml"
    ).read_text("utf-8")


def test_the_dossier_and_record_are_signed_as_incomplete(use: FirstUse) -> None:
    archive = use.here.archive
    versions = {item.kind: item for item in use.here.statement(FIRST).versions}
    dossier = archive.dossier(versions["dossier"].key, versions["dossier"].digest)
    assert dossier.draft
    assert dossier.stage == "draft"
    assert "intended_purpose" in dossier.incomplete
    record = archive.record(versions["record"].key, versions["record"].digest)
    assert record.status == "planned"
    assert {"data_subjects", "recipients", "retention", "toms", "transfers"} <= set(
        record.incomplete
    )
    page = (use.here.settings.site / "en/models/my-model.html").read_text("utf-8")
    assert "Draft" in page or "draft" in page or "incomplete" in page


def test_the_first_night_finds_the_schema_as_drafted(use: FirstUse) -> None:
    finding = use.here.finding(FIRST, "schema_as_declared:data_set/my-model-scoring")
    assert finding.outcome is Outcome.PASS
    assert use.here.verify().ok


def test_another_world_signs_nothing_into_the_same_ledger(use: FirstUse) -> None:
    before = use.here.keys()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NACHWEIS_WORLD", str(use.here.world))
        code, out, err = command("run", "--night", SECOND)
    assert (code, out) == (2, "")
    assert "one ledger serves one organisation" in err
    assert "export NACHWEIS_STATE=" in err
    assert use.here.keys() == before


def test_init_overwrites_nothing(use: FirstUse) -> None:
    code, _, err = use.typed["again"]
    assert code == 2
    assert "exists already" in err
    assert "--model" in err


def test_a_parquet_file_of_another_folder_and_another_kind(tmp_path: Path) -> None:
    table = pa.table({"order_id": [1, 2], "amount": [1.5, None], "created": [True, False]})
    pyarrow.parquet.write_table(table, tmp_path / "orders.parquet")
    target = tmp_path / "world"
    code, out, err = command(
        "init", "--from", str(tmp_path / "orders.parquet"), "--folder", str(target),
        "--model", "orders", "--kind", "regression", "--languages", "da", "--country", "DK",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "Read 3 columns" in out
    data_set = (target / "manifests/datasets/orders-scoring.yaml").read_text("utf-8")
    assert f"location: {tmp_path / 'orders.parquet'}" in data_set
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NACHWEIS_WORLD", str(target))
        code, out, _ = command("lint", "--quick")
        assert code == 0, out


def test_a_table_of_a_database(tmp_path: Path) -> None:
    import duckdb

    with duckdb.connect(tmp_path / "crm.duckdb") as database:
        database.execute("CREATE SCHEMA sales")
        database.execute("CREATE TABLE sales.scores (customer_id VARCHAR, score DOUBLE)")
        database.execute("INSERT INTO sales.scores VALUES ('K77777', 0.5)")
    target = tmp_path / "world"
    code, out, err = command(
        "init", "--from", f"{tmp_path / 'crm.duckdb'}::sales.scores", "--folder", str(target)
    )
    assert (code, err) == (0, "")
    assert "Read 2 columns" in out
    text = (target / "manifests/datasets/my-model-scoring.yaml").read_text("utf-8")
    assert f"location: {tmp_path / 'crm.duckdb'}\ntable: sales.scores\n" in text
    assert "K77777" not in text
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NACHWEIS_WORLD", str(target))
        code, out, _ = command("lint", "--quick")
        assert code == 0, out
        night = ("--on", "data_set/my-model-scoring", "--night", FIRST)
        code, out, err = command("check", "try", "schema_as_declared", *night)
        assert (code, err) == (0, "")
        assert "pass" in out
    code, _, err = command(
        "init", "--from", str(tmp_path / "crm.duckdb"), "--folder", str(tmp_path / "other")
    )
    assert code == 2
    assert "sales.scores" in err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "postgres://me:hush@host/db::t"), "postgres:// cannot be read here"),
        (("--from", "DATA::main.t"), "is not a database"),
        (("--from", "nowhere.csv"), "there is no file"),
        (("--from", "DATA", "--model", "Über Modell"), "lower-case letters"),
        (("--from", "DATA", "--kind", "oracle"), "not a kind of model"),
        (("--from", "DATA", "--languages", "fr"), "not a list of languages"),
        (("--from", "DATA", "--country", "Germany"), "two capital letters"),
        ((), "--from"),
    ],
)
def test_a_wrong_argument_is_a_sentence_and_writes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    data = tmp_path / "data.csv"
    data.write_text("a,b\n1,2\n", "utf-8")
    given = [item.replace("DATA", str(data)) for item in arguments]
    code, _, err = command("init", *given, "--folder", str(tmp_path / "world"))
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert "hush" not in err
    assert not (tmp_path / "world").exists()
