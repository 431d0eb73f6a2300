"""One bad night: broken files, a broken manifest and a check that crashes stop nobody else."""

from __future__ import annotations

import contextlib
import csv
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from nachweis import registry
from nachweis.domain.finding import Outcome
from nachweis.pipeline.summary import NightSummary, summary_text
from nachweis.storage.embedded import EmbeddedStore
from tests.integration.night_support import FIRST, Place, place

pytestmark = pytest.mark.store

PLANTED = "anna.planted@mail.example"
CRASHING = "retention_kept"


@dataclass(frozen=True)
class BadNight:
    """A signed night and everything it said on its way."""

    here: Place
    summary: NightSummary
    said: str


@pytest.fixture(scope="module")
def bad(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[BadNight]:
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    with (
        place(tmp_path_factory.mktemp("trouble"), embedded_store) as here,
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(heard),
        contextlib.redirect_stderr(heard),
    ):
        spoil_data(here)
        spoil_manifests(here)
        patch.setattr(registry.check(CRASHING), "judge", crash)
        patch.setattr(registry.check(CRASHING), "needs", ())
        patch.setattr(registry.check(CRASHING), "observe", lambda *_: ())
        logging.getLogger().addHandler(handler)
        try:
            summary = here.run(FIRST)
        finally:
            logging.getLogger().removeHandler(handler)
        yield BadNight(here, summary, heard.getvalue() + summary_text(summary))


def crash(*_: Any) -> Any:
    raise ValueError(f"cannot parse {PLANTED}")


def spoil_data(here: Place) -> None:
    data = here.world / "data"
    table = pyarrow.csv.read_csv(data / "training.csv")
    customers = pa.array([PLANTED] * table.num_rows)
    planted = table.set_column(0, "customer", customers)
    pyarrow.parquet.write_table(planted, data / "truncated.parquet")
    whole = (data / "truncated.parquet").read_bytes()
    (data / "truncated.parquet").write_bytes(whole[: len(whole) // 2])
    (data / "empty.csv").write_bytes(b"")
    pyarrow.csv.write_csv(
        planted.rename_columns(["client", *table.column_names[1:]]), data / "renamed.csv"
    )
    for name in ("training.csv", f"scores/{FIRST}.csv"):
        with (data / name).open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
        rows[1][0] = rows[2][0] = PLANTED
        if name == "training.csv":
            rows[3][2] = PLANTED  # a region that the suite does not allow
        with (data / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(rows)


def spoil_manifests(here: Place) -> None:
    training = here.manifest("manifests/datasets/training.yaml")
    for name, location in (
        ("truncated", "truncated.parquet"),
        ("empty", "empty.csv"),
        ("absent", "absent.parquet"),
        ("renamed", "renamed.csv"),
    ):
        manifest = {**training, "id": name, "location": f"data/{location}"}
        here.write(f"manifests/datasets/{name}.yaml", manifest)
        suite = {**here.manifest("expectations/training.yaml"), "id": name, "data_set": name}
        here.write(f"expectations/{name}.yaml", suite)
    model = here.manifest("manifests/models/propensity.yaml")
    used = {**model["data"], "training": ["training", "truncated", "empty", "absent"]}
    here.write("manifests/models/propensity.yaml", {**model, "data": used})
    here.write("manifests/models/broken.yaml", {**model, "id": "broken", "stages": "draft"})
    here.write(f"manifests/models/{PLANTED}.yaml", "id: [")


def test_everybody_else_is_signed(bad: BadNight) -> None:
    statement = bad.here.statement(FIRST)
    assert set(statement.evidence) == set(statement.subjects)
    assert "model/propensity" in statement.subjects
    assert len(statement.subjects) == 8
    assert {(item.kind, item.id) for item in statement.versions} == {
        ("record", "marketing"),
        ("dossier", "propensity"),
    }
    assert bad.summary.chain_ok
    assert bad.here.verify().ok


def test_the_statement_names_the_file_that_nobody_could_read(bad: BadNight) -> None:
    statement = bad.here.statement(FIRST)
    assert [item.what for item in statement.not_run] == [
        "manifests/models/ (a file whose name looks like personal data)",
        "manifests/models/broken.yaml",
    ]
    assert "nachweis lint" in statement.not_run[1].reason
    assert "Not run    manifests/models/broken.yaml" in summary_text(bad.summary)


@pytest.mark.parametrize("name", ["truncated", "empty", "absent"])
def test_an_unreadable_file_is_no_pass(bad: BadNight, name: str) -> None:
    evidence = bad.here.evidence(FIRST, f"data_set/{name}")
    outcomes = {finding.check: finding.outcome for finding in evidence.findings}
    assert Outcome.PASS not in outcomes.values()
    assert outcomes["schema_as_declared"] in {Outcome.FAIL, Outcome.ERROR, Outcome.NOT_AVAILABLE}
    said = " ".join(finding.explanation for finding in evidence.findings)
    assert f"data set {name}" in said or "cannot be read" in said


def test_a_renamed_column_fails_and_is_named(bad: BadNight) -> None:
    evidence = bad.here.evidence(FIRST, "data_set/renamed")
    schema = next(item for item in evidence.findings if item.check == "schema_as_declared")
    assert schema.outcome is Outcome.FAIL
    assert "customer" in schema.explanation + str(schema.measurements)


def test_a_finding_that_no_document_shows_has_a_state(bad: BadNight) -> None:
    shown = bad.here.view(FIRST, "schema_as_declared:data_set/renamed")
    assert (shown.state, shown.since) == ("new", FIRST)


def test_a_check_that_raises_is_an_error_with_type_and_place(bad: BadNight) -> None:
    finding = bad.here.finding(FIRST, f"{CRASHING}:data_set/training")
    assert finding.outcome is Outcome.ERROR
    assert "ValueError" in finding.explanation
    others = bad.here.evidence(FIRST, "data_set/training").findings
    assert any(item.outcome is not Outcome.ERROR for item in others)


def test_no_data_value_leaves_anywhere(bad: BadNight) -> None:
    part = PLANTED.split("@")[0]
    for bucket in ("records", "narratives", "site", "anchor"):
        for key, content in bad.here.everything(bucket).items():  # type: ignore[arg-type]
            assert part not in key
            assert part.encode() not in content, key
    for page in bad.here.settings.site.rglob("*.html"):
        assert part not in page.read_text("utf-8"), page
    assert part not in bad.said
