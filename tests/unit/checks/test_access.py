"""The checks of access logs: readers, regions, volume, and logs as storage writes them."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nachweis import registry
from nachweis.domain.check import Check, Example
from nachweis.domain.finding import Finding, Outcome, Subject, SubjectKind
from nachweis.domain.manifest import DataSet
from nachweis.domain.night import Night
from nachweis.engines.tables import Tables
from nachweis.pipeline.example_worlds import example_world
from nachweis.pipeline.examples import run_example
from nachweis.pipeline.judge import judge, plan_subject
from nachweis.pipeline.observe import observe
from nachweis.settings import PACKAGE_ROOT

READERS = registry.check("readers_as_declared")
REGIONS = registry.check("access_regions_as_declared")
VOLUME = registry.check("access_volume_usual")


def titled(check: type[Check], title: str) -> Example:
    return next(example for example in check.examples if example.title == title)


def with_rows(example: Example, **rows: list[Any]) -> Example:
    log = example.tables["log"]
    return replace(example, tables={"log": replace(log, rows={**log.rows, **rows})})


def only(check: type[Check], example: Example) -> Finding:
    (finding,) = run_example(check, example)
    return finding


def values(finding: Finding) -> dict[str, Any]:
    return {m.name: m.value for m in finding.measurements}


def test_no_reader_and_no_region_ever_leaves_the_data() -> None:
    found = [
        only(READERS, with_rows(titled(READERS, "a reader nobody declared"), actor=["canary"] * 2)),
        only(REGIONS, with_rows(titled(REGIONS, "another region"), region=["canary"] * 2)),
    ]
    for finding in found:
        assert finding.outcome is Outcome.FAIL
        assert "canary" not in finding.model_dump_json()


def test_different_undeclared_readers_are_counted() -> None:
    example = titled(READERS, "a reader nobody declared")
    example = with_rows(
        example,
        actor=["x", "x", "y", "campaign-reader", None, "-"],
        at=[dt.datetime(2026, 3, 2, 10)] * 6,
    )
    numbers = values(only(READERS, example))
    assert numbers["accesses_by_undeclared"] == 3
    assert numbers["undeclared_readers"] == 2
    assert numbers["accesses_without_reader"] == 2
    assert numbers["declared_readers"] == 1


@settings(max_examples=15, deadline=None)
@given(
    names=st.lists(st.sampled_from(["job/a", "job/", "jobs", "x*", "x", "%", "_"]), min_size=1),
    declared=st.lists(st.sampled_from(["job/*", "x*", "%", "_", "job/a"]), min_size=1, unique=True),
)
def test_a_final_star_stands_for_any_ending_and_nothing_else(
    names: list[str], declared: list[str]
) -> None:
    example = titled(READERS, "declared roles and jobs")
    log = example.tables["log"]
    rows = {"actor": names, "at": [dt.datetime(2026, 3, 2, 10)] * len(names)}
    declare = {**log.declare, "access": {"readers": declared}}
    example = replace(
        example, activity={}, tables={"log": replace(log, rows=rows, declare=declare)}
    )
    heads = tuple(one[:-1] for one in declared if one.endswith("*"))
    others = sum(not (name in declared or (heads and name.startswith(heads))) for name in names)
    finding = only(READERS, example)
    assert values(finding)["accesses_by_undeclared"] == others
    assert finding.outcome is (Outcome.FAIL if others else Outcome.PASS)


def test_accesses_of_other_nights_do_not_count() -> None:
    example = with_rows(
        titled(READERS, "a reader nobody declared"),
        at=[dt.datetime(2026, 3, 2, 10), dt.datetime(2026, 3, 1, 10)],
    )
    assert only(READERS, example).outcome is Outcome.PASS


@pytest.mark.parametrize("hour", [0, 23])
def test_the_first_and_the_last_hour_belong_to_the_night(hour: int) -> None:
    example = titled(VOLUME, "ten times as many accesses")
    night = dt.date(2026, 3, 2)
    at = [
        one.replace(hour=hour) if one.date() == night else one
        for one in example.tables["log"].rows["at"]
    ]
    finding = only(VOLUME, with_rows(example, at=at))
    assert finding.outcome is Outcome.FAIL
    assert values(finding)["accesses"] == 300


def test_weekends_are_no_measure_for_working_days() -> None:
    example = titled(VOLUME, "ten times as many accesses")
    finding = only(VOLUME, replace(example, night="2026-03-07"))
    assert finding.outcome is Outcome.NOT_AVAILABLE


def test_times_with_a_zone_are_counted_as_moments() -> None:
    example = titled(VOLUME, "ten times as many accesses")
    at = [one.replace(tzinfo=dt.UTC) for one in example.tables["log"].rows["at"]]
    assert values(only(VOLUME, with_rows(example, at=at)))["accesses"] == 300


# ---------------------------------------------------------------------- logs as they are written

PAGE = PACKAGE_ROOT / "docs" / "access-logs.md"
LINE = (
    "79a59df900b949e5 example-bucket [{at} +0000] 192.0.2.3 {who} 3E57427F3EXAMPLE "
    'REST.GET.OBJECT training/rows.parquet "GET /example-bucket?x=1 HTTP/1.1" 200 - {size} 113 '
    '7 - "-" "Agent/0.4 (a b)" - s9lzHYrFp76ZVx= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader '
    "example-bucket.s3.eu-central-1.amazonaws.com TLSv1.2 - -\n"
)


def declared_for(title: str) -> dict[str, Any]:
    """The declaration that the page shows under a heading."""
    text = PAGE.read_text(encoding="utf-8")
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    (wanted,) = [one for one in section if one.startswith(title)]
    block = re.search(r"```yaml\n(.*?)```", wanted, re.DOTALL)
    assert block is not None
    content: dict[str, Any] = yaml.safe_load(block.group(1))
    return content


def test_s3_access_logs_are_read_as_the_page_declares(tmp_path: Path) -> None:
    lines = [
        LINE.format(at="02/Mar/2026:08:00:38", who="arn:aws:iam::1:role/loader", size=100),
        LINE.format(at="02/Mar/2026:08:01:00", who="-", size="-"),
        # 23:30 UTC of 1 March is already 2 March in Berlin.
        LINE.format(at="01/Mar/2026:23:30:00", who="arn:aws:iam::1:role/loader", size=7),
        LINE.format(at="01/Mar/2026:08:30:00", who="somebody", size=7),
    ]
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "2026-03-02.csv").write_text("".join(lines), encoding="utf-8")
    finding = judged(declared_for("Server access logs of S3"), tmp_path)
    assert values(finding) == {
        "accesses": 3,
        "accesses_by_undeclared": 0,
        "accesses_without_reader": 1,
        "undeclared_readers": 0,
        "declared_readers": 1,
    }
    assert finding.outcome is Outcome.FAIL


def test_cloudtrail_records_are_read_as_the_page_declares(tmp_path: Path) -> None:
    record = (
        '{{"eventTime": "2026-03-02T08:00:00Z", "eventName": "GetObject", "awsRegion": '
        '"eu-central-1", "actor": "{who}", "bytes": 12}}\n'
    )
    (tmp_path / "cloudtrail").mkdir()
    (tmp_path / "cloudtrail" / "2026-03-02.jsonl").write_text(
        record.format(who="arn:aws:iam::1:role/loader") + record.format(who="x"), encoding="utf-8"
    )
    finding = judged(declared_for("CloudTrail"), tmp_path)
    assert values(finding)["accesses_by_undeclared"] == 1


def judged(declared: dict[str, Any], folder: Path) -> Finding:
    """The finding about readers for a declaration and files in a folder."""
    log = DataSet.model_validate(declared)
    example = titled(READERS, "no reader declared")
    world = example_world(READERS, example).model_copy(update={"data_sets": {log.id: log}})
    night, subject = Night(dt.date(2026, 3, 2)), Subject(kind=SubjectKind.DATA_SET, id=log.id)
    plan = plan_subject(world, subject, night, [READERS])
    with Tables(world, {log.id: folder}, night, cache=folder / "cache", threads=1) as tables:
        seen = observe(tables, plan.requests, model=None, suites={}, history=lambda _: [])
    (finding,) = judge(world, subject, night, plan, seen)
    return finding


@pytest.mark.parametrize("check", [READERS, REGIONS, VOLUME], ids=lambda check: check.id)
def test_a_log_without_times_says_nothing_about_a_night(check: type[Check]) -> None:
    example = next(one for one in check.examples if one.outcome is Outcome.FAIL)
    log = example.tables["log"]
    timeless = replace(log, declare={**log.declare, "time": None})
    finding = only(check, replace(example, tables={"log": timeless}))
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "time" in finding.declare
