"""The DAG files: thin, safe with mapped failures, and every night exactly once."""

from __future__ import annotations

import ast
import datetime as dt
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions.asset import AssetAll
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import DagRunInfo, TimeRestriction

from nachweis.airflow_bridge import schedule, tasks
from nachweis.domain.errors import DataError, NachweisError, StoreUnavailableError
from nachweis.settings import PACKAGE_ROOT

FILES = sorted((PACKAGE_ROOT / "dags").glob("*.py"))
NIGHTLY = ("training_data_quality", "deployed_model_monitoring")
LONGEST_FILE = 60
ZONES = ("Europe/Berlin", "Europe/Copenhagen", "Europe/Lisbon", "Europe/Helsinki", "UTC")


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    bag = DagBag(dag_folder=PACKAGE_ROOT / "dags")
    assert bag.import_errors == {}
    return dict(bag.dags)


def test_the_nightly_dags_exist(dags: dict[str, Any]) -> None:
    assert set(dags) >= {*NIGHTLY, "processing_records", "evidence_self_check"}


def test_the_evidence_is_checked_each_morning_whatever_the_nights_do(dags: dict[str, Any]) -> None:
    timetable = coerce_to_core_timetable(dags["evidence_self_check"].timetable)
    info = timetable.next_dagrun_info_v2(
        last_dagrun_info=None,
        restriction=TimeRestriction(pendulum.datetime(2026, 1, 2), None, catchup=True),
    )
    assert info is not None
    assert info.run_after.in_timezone("Europe/Berlin").hour == 6
    assert info.partition_key is None


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dag_file_is_thin_and_imports_only_the_sdk_and_the_bridge(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    modules = {
        node.module if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert all(
        name in ("typing", "airflow.sdk") or str(name).startswith("nachweis.airflow_bridge")
        for name in modules
    ), modules


@pytest.mark.parametrize("dag_id", NIGHTLY)
def test_only_the_last_task_hands_a_night_on_even_if_a_mapped_task_failed(
    dags: dict[str, Any], dag_id: str
) -> None:
    outlets = {task.task_id: task.outlets for task in dags[dag_id].tasks if task.outlets}
    assert set(outlets) == {"finish"}
    finish = dags[dag_id].get_task("finish")
    assert not finish.is_mapped
    assert finish.trigger_rule == "all_done"
    assert finish.downstream_task_ids == set()
    (mapped,) = [task for task in dags[dag_id].tasks if task.is_mapped]
    assert mapped.task_id in finish.upstream_task_ids
    assert "subject" in (mapped.partial_kwargs.get("map_index_template") or "")


def test_records_wait_for_both_dags_of_the_same_night(dags: dict[str, Any]) -> None:
    condition = dags["processing_records"].timetable.asset_condition
    assert isinstance(condition, AssetAll)
    assert set(condition.objects) == {schedule.DATA_SETS_TESTED, schedule.MODELS_OBSERVED}
    handed_on = {asset for dag_id in NIGHTLY for asset in dags[dag_id].get_task("finish").outlets}
    assert handed_on == set(condition.objects)
    assert coerce_to_core_timetable(dags["processing_records"].timetable).partitioned


def test_one_writer_of_the_ledger(dags: dict[str, Any]) -> None:
    assert dags["processing_records"].max_active_runs == 1


@pytest.mark.parametrize("zone", ZONES)
def test_two_years_of_nights_come_once_each_in_order(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "organisation_zone", lambda: zone)
    timetable = coerce_to_core_timetable(schedule.nightly())
    first = dt.date(2026, 1, 1)
    expected = [(first + dt.timedelta(days=day)).isoformat() for day in range(730)]

    scheduled = []
    last: DagRunInfo | None = None
    begin = pendulum.datetime(2026, 1, 2, tz=zone)
    for _ in expected:
        last = timetable.next_dagrun_info_v2(
            last_dagrun_info=last,
            restriction=TimeRestriction(None if last else begin, None, catchup=True),
        )
        assert last is not None
        scheduled.append(last.partition_key)
        local = last.run_after.in_timezone(zone)
        assert local.date() == dt.date.fromisoformat(str(last.partition_key)) + dt.timedelta(1)
    assert scheduled == expected

    backfilled = timetable.iter_partition_dagrun_infos(
        earliest=pendulum.datetime(2026, 1, 1), latest=pendulum.datetime(2027, 12, 31, 23)
    )
    assert [info.partition_key for info in backfilled] == expected


def test_a_new_installation_starts_with_the_coming_morning_not_with_the_past(
    dags: dict[str, Any],
) -> None:
    for dag_id in NIGHTLY:
        info = coerce_to_core_timetable(dags[dag_id].timetable).next_dagrun_info_v2(
            last_dagrun_info=None,
            restriction=TimeRestriction(dags[dag_id].start_date, None, dags[dag_id].catchup),
        )
        assert info is not None
        # Airflow still takes a schedule that passed less than a tenth of its interval ago.
        assert info.run_after > pendulum.now("UTC") - dt.timedelta(days=0.1)


def test_parsing_loads_no_heavy_library_and_does_not_read_the_store() -> None:
    heavy = ("pandas", "great_expectations", "evidently", "fairlearn", "duckdb", "ibis", "boto3")
    code = (
        "import sys, runpy\n"
        f"for file in {[str(file) for file in FILES]!r}: runpy.run_path(file)\n"
        f"found = [name for name in {heavy!r} if name in sys.modules]\n"
        "assert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_schedule_follows_the_organisations_time_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NACHWEIS_WORLD", f"{tmp_path / 'empty'}:{tmp_path}")
    manifest = tmp_path / "manifests" / "organisation.yaml"
    manifest.parent.mkdir()
    manifest.write_text("timezone: Europe/Lisbon\n")
    assert schedule.organisation_zone() == "Europe/Lisbon"
    for broken in (
        "timezone: [",
        "timezone: 3",
        "timezone: Mars/Olympus",
        "on: 2026-02-30",
        "- a",
        "",
    ):
        manifest.write_text(broken)
        assert schedule.organisation_zone() == schedule.DEFAULT_ZONE
    manifest.unlink()
    assert schedule.organisation_zone() == schedule.DEFAULT_ZONE


def run(partition_key: str | None, conf: dict[str, str] | None) -> Any:
    return {"dag_run": SimpleNamespace(partition_key=partition_key, conf=conf, run_id="manual__1")}


def test_the_night_is_the_partition_key_else_the_configured_one() -> None:
    assert tasks.night_of(run("2026-10-20", {"night": "2026-10-19"})) == "2026-10-20"
    assert tasks.night_of(run(None, {"night": "2026-10-19"})) == "2026-10-19"
    with pytest.raises(NachweisError, match="names no night"):
        tasks.night_of(run(None, None))


def test_code_never_reads_the_logical_date() -> None:
    bridge = PACKAGE_ROOT / "plugins" / "nachweis" / "airflow_bridge"
    for file in (*FILES, *bridge.glob("*.py")):
        reads = [
            node
            for node in ast.walk(ast.parse(file.read_text()))
            if (isinstance(node, ast.Attribute) and node.attr == "logical_date")
            or (isinstance(node, ast.Constant) and node.value in ("logical_date", "ds"))
        ]
        assert not reads, file


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (StoreUnavailableError("down"), "retry"),
        (DataError("broken"), "fail"),
        (OSError("network"), "default"),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(error: Exception, action: str) -> None:
    decision = schedule.RETRIES["retry_policy"].evaluate(error, try_number=1, max_tries=2)
    assert decision.action.value == action
