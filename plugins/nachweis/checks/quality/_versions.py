"""Which versions a model's log names, and which its manifest declares."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from nachweis.domain.check import Inputs
from nachweis.domain.manifest import DataSet
from nachweis.domain.manifest.model import ModelVersion
from nachweis.domain.observation import CountTable, GroupedCounts, Source

REQUEST = "versions"
"""Name of the request for rows per version, the same in all checks, so that it is one query."""


def log_of(inputs: Inputs) -> DataSet:
    """The log in which every use of the model stands; dialogues are one."""
    log = inputs.data("scoring_log") or inputs.data("dialogues")
    if log is None:
        raise KeyError("scoring_log")
    return log


def log_source(inputs: Inputs) -> Source:
    """The night's rows of the log."""
    return Source(log_of(inputs).id, "night")


def versions_request(inputs: Inputs) -> GroupedCounts | None:
    """Rows per version; None if the log does not say which version it was."""
    column = log_of(inputs).field("model_version")
    if column is None:
        return None
    return GroupedCounts(REQUEST, log_source(inputs), {"version": column})


def rows_per_version(table: CountTable) -> dict[str | None, int]:
    """Rows per version as text; None where the log names none."""
    found: dict[str | None, int] = {}
    for (value,), count in table.rows.items():
        version = None if value is None else _text(value)
        found[version] = found.get(version, 0) + count
    return found


def _text(value: object) -> str:
    """A version that was stored as a number reads as it is declared: 2.0 and 2 stay apart."""
    return str(value).strip()


@dataclass(frozen=True, slots=True)
class Live:
    """Versions declared as live in a night.

    Attributes:
        always: Live from its first to its last moment, by name.
        sometimes: Live in a part of it only.
    """

    always: Mapping[str, ModelVersion]
    sometimes: Mapping[str, ModelVersion]


def live_in(inputs: Inputs) -> Live:
    """Versions with traffic in the night, as declared."""
    night = inputs.night
    last = night.end - dt.timedelta(microseconds=1)
    at_start = {v.version for v in inputs.model.served_on(night.start)}
    at_end = {v.version for v in inputs.model.served_on(last)}
    always: dict[str, ModelVersion] = {}
    sometimes: dict[str, ModelVersion] = {}
    for version in inputs.model.versions:
        began = version.live_from is not None and _aware(version.live_from) < night.end
        ended = version.live_to is not None and _aware(version.live_to) <= night.start
        if not began or ended or version.traffic_share <= 0:
            continue
        whole = version.version in at_start and version.version in at_end
        (always if whole else sometimes)[version.version] = version
    return Live(always, sometimes)


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
