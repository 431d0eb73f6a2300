"""Windows: nights, clock changes, zones, partitions, and the declared current window."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nachweis.domain.errors import DataError
from nachweis.domain.manifest.model import CurrentWindow
from nachweis.domain.night import Night
from nachweis.domain.observation import Source
from nachweis.engines.windows import choose, spans
from tests.unit.data_worlds import data_set, memory_tables_of, parquet, tables_of

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT, CURRENT, WHOLE = (Source("log", name) for name in ("night", "current", "whole"))
TIMED = {"time": {"column": "at"}}


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type,misc]


def ids(tables, source, current=None) -> list[int]:
    return sorted(tables.relation(source, current).id.to_pyarrow().to_pylist())


@pytest.mark.parametrize(
    ("night", "inside", "outside"),
    [
        # Spring: the local day has 23 hours, 23:00 UTC to 22:00 UTC.
        (
            "2026-03-29",
            [utc(2026, 3, 28, 23), utc(2026, 3, 29, 21, 59, 59)],
            [utc(2026, 3, 28, 22, 59, 59), utc(2026, 3, 29, 22)],
        ),
        # Autumn: it has 25 hours, 22:00 UTC to 23:00 UTC.
        (
            "2026-10-25",
            [utc(2026, 10, 24, 22), utc(2026, 10, 25, 22, 59, 59)],
            [utc(2026, 10, 24, 21, 59, 59), utc(2026, 10, 25, 23)],
        ),
    ],
)
def test_night_follows_clock_changes_for_aware_times(tmp_path: Path, night, inside, outside):
    moments = [*inside, *outside]
    parquet(
        tmp_path / "log.parquet",
        {"id": list(range(4)), "at": pa.array(moments, pa.timestamp("us", tz="UTC"))},
    )
    with tables_of(tmp_path, data_set(**TIMED), night=night) as tables:
        assert ids(tables, NIGHT) == [0, 1]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_naive_times_are_in_the_organisations_zone(tmp_path: Path, unit: str):
    moments = [
        dt.datetime(2026, 3, 1, 23, 59, 59),
        dt.datetime(2026, 3, 2),
        dt.datetime(2026, 3, 2, 23, 59, 59),
        dt.datetime(2026, 3, 3),
        None,
    ]
    parquet(
        tmp_path / "log.parquet",
        {"id": list(range(5)), "at": pa.array(moments, pa.timestamp(unit))},
    )
    with tables_of(tmp_path, data_set(**TIMED)) as tables:
        assert ids(tables, NIGHT) == [1, 2]
        assert ids(tables, WHOLE) == [0, 1, 2, 3, 4]


def test_declared_zone_of_naive_times_wins(tmp_path: Path):
    moments = [
        dt.datetime(2026, 3, 1, 22, 59),
        dt.datetime(2026, 3, 1, 23),
        dt.datetime(2026, 3, 2, 23),
    ]
    parquet(
        tmp_path / "log.parquet", {"id": [0, 1, 2], "at": pa.array(moments, pa.timestamp("us"))}
    )
    declared = data_set(time={"column": "at", "zone": "UTC"})
    with tables_of(tmp_path, declared) as tables:
        assert ids(tables, NIGHT) == [1]


def test_dates_are_calendar_dates_of_the_organisation(tmp_path: Path):
    days = [dt.date(2026, 3, 1), dt.date(2026, 3, 2), dt.date(2026, 3, 3)]
    parquet(tmp_path / "log.parquet", {"id": [0, 1, 2], "at": pa.array(days, pa.date32())})
    declared = data_set(time={"column": "at", "zone": "Asia/Tokyo"})
    with tables_of(tmp_path, declared) as tables:
        assert ids(tables, NIGHT) == [1]


@given(
    date=st.dates(dt.date(2020, 1, 1), dt.date(2030, 12, 31)),
    minutes=st.integers(-3000, 3000),
    zone=st.sampled_from(["Europe/Berlin", "Europe/Copenhagen", "UTC", "America/New_York"]),
)
def test_a_moment_is_in_exactly_the_night_of_its_local_date(date, minutes, zone):
    night = Night(date, zone)
    moment = night.start + dt.timedelta(minutes=minutes)
    moment = moment.astimezone(dt.UTC)
    inside = night.start <= moment < night.end
    assert inside == (moment.astimezone(ZoneInfo(zone)).date() == date)


def test_facts_tell_bounds_and_rows(tmp_path: Path):
    parquet(
        tmp_path / "log.parquet",
        {"id": [0, 1], "at": pa.array([dt.datetime(2026, 3, 2, 1), None], pa.timestamp("us"))},
    )
    with tables_of(tmp_path, data_set(**TIMED)) as tables:
        night = tables.facts(NIGHT)
        whole = tables.facts(WHOLE)
    assert (night.start, night.end) == ("2026-03-02T00:00:00+01:00", "2026-03-03T00:00:00+01:00")
    assert (night.rows, whole.rows, whole.start) == (1, 2, "")


def _log(folder: Path, rows_per_day: dict[str, int]) -> None:
    moments = [
        dt.datetime.fromisoformat(day) + dt.timedelta(minutes=i)
        for day, rows in rows_per_day.items()
        for i in range(rows)
    ]
    parquet(
        folder / "log.parquet",
        {"id": list(range(len(moments))), "at": pa.array(moments, pa.timestamp("us"))},
    )


@pytest.mark.parametrize(
    ("minimum", "rows", "start", "extended"),
    [
        (3, 3, "2026-03-02T00:00:00+01:00", False),
        (4, 5, "2026-03-01T00:00:00+01:00", True),
        (6, 9, "2026-02-27T00:00:00+01:00", True),
        (1000, 9, "2026-02-24T00:00:00+01:00", True),
    ],
)
def test_current_window_grows_by_days_until_it_has_enough_rows(
    tmp_path: Path, minimum, rows, start, extended
):
    _log(tmp_path, {"2026-02-20": 50, "2026-02-27": 4, "2026-03-01": 2, "2026-03-02": 3})
    current = CurrentWindow(window="P1D", min_rows=minimum, extend_to="P7D")
    with tables_of(tmp_path, data_set(**TIMED)) as tables:
        facts = tables.facts(CURRENT, current)
        assert (facts.rows, facts.start, facts.extended) == (rows, start, extended)
        assert len(ids(tables, CURRENT, current)) == rows
        assert tables.log.count("log:current", "window") == 1


@given(counts=st.lists(st.integers(0, 400), min_size=1, max_size=12), minimum=st.integers(1, 600))
def test_narrowest_sufficient_window_is_chosen(counts, minimum):
    cumulative = [sum(counts[: i + 1]) for i in range(len(counts))]
    chosen = choose(cumulative, minimum)
    if cumulative[-1] >= minimum:
        assert cumulative[chosen] >= minimum
        assert chosen == 0 or cumulative[chosen - 1] < minimum
    else:
        assert chosen == len(counts) - 1


@given(
    date=st.dates(dt.date(2024, 1, 1), dt.date(2027, 12, 31)),
    window=st.sampled_from(["P1D", "P7D", "PT6H", "P1M", "P2W"]),
    reach=st.sampled_from(["P1D", "P7D", "P1M"]),
)
def test_spans_grow_and_all_end_with_the_night(date, window, reach):
    night = Night(date)
    found = spans(night, CurrentWindow(window=window, extend_to=reach))
    assert found[0].start == night.window(window)[0]
    assert all(span.end == night.end for span in found)
    starts = [span.start for span in found]
    assert starts == sorted(starts, reverse=True)
    assert len(set(starts)) == len(starts)
    assert min(starts) == min(night.window(window)[0], night.window(reach)[0])
    for span in found:
        assert span.nights[0] == span.start.date()
        assert span.nights[-1] == date


def test_without_time_and_partition_every_window_is_everything(tmp_path: Path):
    parquet(tmp_path / "log.parquet", {"id": [1, 2, 3]})
    with tables_of(tmp_path, data_set()) as tables:
        for source in (NIGHT, CURRENT, WHOLE):
            assert tables.facts(source).rows == 3
            assert tables.facts(source).start == ""


# ------------------------------------------------------------------------------- partitions


def _partitions(folder: Path, rows: dict[str, list[int]], pattern: str = "log/{date}.parquet"):
    for day, numbers in rows.items():
        parquet(folder / pattern.replace("{date}", day), {"id": numbers})


def test_a_partition_is_the_night_it_names(tmp_path: Path):
    _partitions(
        tmp_path, {"2026-02-28": [1], "2026-03-02": [2, 3], "2026-03-03": [4], "2026-13-45": [9]}
    )
    declared = data_set(location="log/{date}.parquet")
    with tables_of(tmp_path, declared) as tables:
        assert ids(tables, NIGHT) == [2, 3]
        # Everything up to the night: later partitions belong to later nights.
        assert ids(tables, WHOLE) == [1, 2, 3]


def test_a_missing_partition_counts_as_no_rows_while_others_exist(tmp_path: Path):
    _partitions(tmp_path, {"2026-02-27": [1, 2], "2026-03-02": [3]})
    declared = data_set(location="log/{date}.parquet")
    current = CurrentWindow(window="P1D", min_rows=2, extend_to="P7D")
    with tables_of(tmp_path, declared) as tables:
        facts = tables.facts(CURRENT, current)
        assert (facts.rows, facts.start) == (3, "2026-02-27T00:00:00+01:00")
        assert ids(tables, CURRENT, current) == [1, 2, 3]


def test_the_current_window_may_have_no_partition_of_its_own_night(tmp_path: Path):
    _partitions(tmp_path, {"2026-03-01": [1]})
    declared = data_set(location="log/{date}.parquet")
    with tables_of(tmp_path, declared) as tables:
        current = CurrentWindow(window="P1D", min_rows=1, extend_to="P3D")
        assert ids(tables, CURRENT, current) == [1]


def test_a_late_partition_is_a_clear_error_for_its_night_only(tmp_path: Path):
    _partitions(tmp_path, {"2026-03-01": [1]})
    declared = data_set(location="log/{date}.parquet")
    with tables_of(tmp_path, declared) as tables:
        with pytest.raises(DataError, match="there is no file for the night 2026-03-02"):
            tables.facts(NIGHT)
        assert tables.facts(WHOLE).rows == 1


def test_partition_and_time_column_both_narrow_the_night(tmp_path: Path):
    moments = [dt.datetime(2026, 3, 1, 12), dt.datetime(2026, 3, 2, 12)]
    parquet(
        tmp_path / "log" / "2026-03-02" / "part.parquet",
        {"id": [1, 2], "at": pa.array(moments, pa.timestamp("us"))},
    )
    declared = data_set(location="log/{date}/*.parquet", **TIMED)
    with tables_of(tmp_path, declared) as tables:
        assert ids(tables, NIGHT) == [2]


@pytest.mark.parametrize(
    "pattern",
    [
        "log/{date}.parquet",
        "log/{date}",
        "log/date={date}/part-*.parquet",
        "*/{date}/x-{date}.parquet",
        "./log/{date}.parquet",
    ],
)
def test_date_placeholder_works_wherever_it_stands(tmp_path: Path, pattern: str):
    for day, number in (("2026-03-01", 1), ("2026-03-02", 2), ("2026-03-04", 3)):
        path = pattern.replace("{date}", day).replace("*", "0")
        path = path if path.endswith(".parquet") else f"{path}/data.parquet"
        parquet(tmp_path / path, {"id": [number]})
    declared = data_set(location=pattern, columns=[{"name": "id", "type": "integer"}])
    with tables_of(tmp_path, declared) as tables:
        assert ids(tables, NIGHT) == [2]
        assert ids(tables, WHOLE) == [1, 2]
        assert tables.schema(NIGHT) == {"id": "integer"}


def test_dates_in_the_folder_of_the_world_do_not_confuse_partitions(tmp_path: Path):
    folder = tmp_path / "world [2020-01-01]"
    _partitions(folder, {"2026-03-02": [1], "2026-03-05": [2]})
    with tables_of(folder, data_set(location="log/{date}.parquet")) as tables:
        assert ids(tables, WHOLE) == [1]


# -------------------------------------------------------------------------------- locations


def test_globs_folders_and_lists_are_read_together(tmp_path: Path):
    parquet(tmp_path / "a" / "1.parquet", {"id": [1], "x": [1.0]})
    parquet(tmp_path / "a" / "deep" / "2.parquet", {"x": [2.0], "id": [2]})
    parquet(tmp_path / "b-1.parquet", {"id": [3]})
    (tmp_path / "a" / "_SUCCESS").touch()
    (tmp_path / "a" / ".part-0.parquet.crc").write_bytes(b"x")
    declared = data_set(location=["a", "b-*.parquet"])
    with tables_of(tmp_path, declared) as tables:
        assert ids(tables, WHOLE) == [1, 2, 3]
        assert tables.scalars(WHOLE, None, {"x": lambda t: t.x.sum()}) == {"x": 3.0}


def test_hive_keys_are_columns_if_declared(tmp_path: Path):
    parquet(tmp_path / "log" / "country=DE" / "a.parquet", {"id": [1]})
    parquet(tmp_path / "log" / "country=DK" / "a.parquet", {"id": [2]})
    with tables_of(tmp_path, data_set(location="log")) as tables:
        assert tables.schema(WHOLE) == {"id": "integer", "country": "string"}
    only_id = data_set(location="log", columns=[{"name": "id", "type": "integer"}])
    with tables_of(tmp_path, only_id) as tables:
        assert tables.schema(WHOLE) == {"id": "integer"}


def test_wildcards_in_real_names_are_no_wildcards(tmp_path: Path):
    folder = tmp_path / "we[i]rd*"
    parquet(folder / "log.parquet", {"id": [1]})
    with tables_of(folder, data_set()) as tables:
        assert ids(tables, WHOLE) == [1]


def test_tables_in_memory_have_windows_and_declared_types(tmp_path: Path):
    declared = data_set(
        time={"column": "at"},
        columns=[
            {"name": "id", "type": "integer"},
            {"name": "at", "type": "timestamp"},
            {"name": "empty", "type": "number"},
        ],
    )
    rows = {
        "log": {
            "id": [1, 2],
            "at": ["2026-03-02T10:00:00+01:00", "2026-03-03T00:00:00+01:00"],
            "empty": [None, None],
        }
    }
    with memory_tables_of(rows, tmp_path, declared) as tables:
        assert ids(tables, NIGHT) == [1]
        assert tables.schema(NIGHT) == {"id": "integer", "at": "timestamp", "empty": "number"}
        assert tables.versions(["log"]) == {"log": "unpinned"}


def test_a_span_reads_only_the_partitions_it_touches(tmp_path: Path):
    for day in range(1, 7):
        at = pa.array([dt.datetime(2026, 3, day, hour) for hour in (1, 20)], pa.timestamp("us"))
        parquet(tmp_path / f"log-2026-03-0{day}.parquet", {"id": [day, day * 10], "at": at})
    logs = data_set(location="log-{date}.parquet", **TIMED)
    start = dt.datetime(2026, 3, 2, 12, tzinfo=BERLIN)
    span = Source("log", "span", (start, start + dt.timedelta(days=2)))
    with tables_of(tmp_path, logs, night="2026-03-06") as tables:
        assert ids(tables, span) == [3, 4, 20, 30]
        assert tables.facts(span).rows == 4
        sent = " ".join(entry.sql for entry in tables.log.entries)
        assert "2026-03-04.parquet" in sent
        assert "2026-03-01.parquet" not in sent
        assert "2026-03-05.parquet" not in sent
        assert {entry.source for entry in tables.log.entries} == {"log:2026-03-02/2026-03-04"}
