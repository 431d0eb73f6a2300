"""Lists of people who must not be processed further: objections, suppressions, erasures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from nachweis.checks.permission._register import all_of, not_after_or_unknown
from nachweis.domain.check import Inputs, Needs
from nachweis.domain.finding import Measurement
from nachweis.domain.manifest import DataSet, FieldRole
from nachweis.domain.observation import (
    Expression,
    Observations,
    Overlap,
    OverlapCounts,
    Request,
    Scalar,
    Source,
)
from nachweis.engines.moments import zone_of

LISTS = ("suppression_list", "objections")
DECLARE_A_LIST = Needs.FORBIDDING_LIST.declare


def lists_of(inputs: Inputs) -> list[DataSet]:
    """Lists that the model declares."""
    return [listed for role in LISTS if (listed := inputs.data(role)) is not None]


def list_undeclared(listed: DataSet) -> str:
    """What a list must declare before it can be searched, or an empty string."""
    return "" if listed.subject_key else f"'subject_key' of the list {listed.id}"


# ------------------------------------------------------------------------------- who is listed


def list_entries(listed: DataSet) -> Iterator[Request]:
    """Entries of a list, and those that name nobody, in one scan with what others ask of it.

    Where keyed hashes are declared, also keys that are none, by which nobody would be found.
    """
    if listed.subject_key is None:
        return
    column = listed.subject_key.column
    source = Source(listed.id)
    yield Scalar(f"entries:{listed.id}", source, lambda table: table.count())
    yield Scalar(f"nameless:{listed.id}", source, _nulls(column))
    if listed.subject_key.form == "hmac_sha256":
        yield Scalar(f"unhashed:{listed.id}", source, no_hashes(column))


def no_hashes(column: str) -> Expression:
    """How many keys are not 64 hexadecimal digits (or bytes, which are not looked at)."""

    def count(table: Any) -> Any:
        key = table[column]
        if key.type().is_binary():
            return table.count(where=key.isnull() & key.notnull())
        wrong = ~key.cast("string").re_search("^[0-9a-fA-F]{64}$")
        return table.count(where=key.notnull() & wrong)

    return count


def _nulls(column: str) -> Expression:
    return lambda table: table.count(where=table[column].isnull())


def list_unusable(listed: DataSet, seen: Observations) -> str:
    """Why a list cannot be searched although it can be read, or an empty string."""
    found, nameless = seen.get(f"entries:{listed.id}"), seen.get(f"nameless:{listed.id}")
    if found is None or nameless is None:
        return f"{listed.id} could not be read"
    if found and found == nameless:
        return f"no entry of {listed.id} has a subject key"
    if seen.get(f"unhashed:{listed.id}"):
        return f"{listed.id} is declared to hold keyed hashes and holds keys that are none"
    return ""


def entries_without_key(lists: Iterable[DataSet], seen: Observations) -> list[Measurement]:
    """Entries that nobody can be found by."""
    return [
        Measurement(
            name="entries_without_key",
            value=int(seen.get(f"nameless:{listed.id}") or 0),
            unit="rows",
            group=listed.id,
        )
        for listed in lists
        if seen.get(f"nameless:{listed.id}") is not None
    ]


# ------------------------------------------------------------------------- rows of listed people


@dataclass(frozen=True, slots=True)
class Search:
    """Rows of a log that are looked for on lists.

    Attributes:
        inputs: The check's inputs.
        log: The log.
        source: Which of its rows.
        where: A filter on them.
        contacts: Rows that are contacts, for entries that forbid one channel only.
        delay_days: Days after receipt within which a row may still come.
        longest: Whether the longest time from receipt to row is wanted.
    """

    inputs: Inputs
    log: DataSet
    source: Source
    where: Expression | None = None
    contacts: Expression | None = None
    delay_days: int = 0
    longest: bool = False

    def requests(self, listed: DataSet) -> Iterator[Overlap]:
        """Rows of listed people: whatever the channel, or per channel where the list names them.

        An entry without a channel, or with an empty one, forbids all.
        """
        channel, own = listed.field(FieldRole.CHANNEL), self.log.field(FieldRole.CHANNEL)
        if channel is None or own is None:
            yield self._overlap(listed, listed.id)
            return
        yield self._overlap(
            listed, f"{listed.id}/channel", match=((own, channel),), where=self.contacts
        )
        yield self._overlap(listed, f"{listed.id}/all", also=_empty(channel))

    def _overlap(
        self,
        listed: DataSet,
        name: str,
        *,
        match: tuple[tuple[str, str], ...] = (),
        also: Expression | None = None,
        where: Expression | None = None,
    ) -> Overlap:
        own_key, key = self.log.subject_key, listed.subject_key
        if own_key is None or key is None:
            raise LookupError("a subject key is not declared")
        received, night = listed.field(FieldRole.RECEIVED_AT), self.inputs.night
        by_row = received is not None and self.log.time is not None
        filters = [one for one in (also,) if one is not None]
        if received is not None and not by_row:
            filters.append(not_after_or_unknown(received, night.end, zone_of(listed, night)))
        return Overlap(
            f"list:{name}",
            self.source,
            other=Source(listed.id),
            key=(own_key.column, key.column),
            match=match,
            where=where or self.where,
            other_where=all_of(filters),
            left_time=self.log.time.column if by_row and self.log.time else None,
            right_from=received if by_row else None,
            right_delay_days=self.delay_days if by_row else 0,
            unknown_counts=by_row,
            longest=self.longest and by_row,
        )


def _empty(column: str) -> Expression:
    def empty(table: Any) -> Any:
        values = table[column]
        return values.isnull() | (values.cast("string").strip() == "")

    return empty


def searched_lists(seen: Observations) -> dict[str, OverlapCounts]:
    """Counts per list and way of forbidding, of the lists that could be searched."""
    return {
        name.removeprefix("list:"): counts
        for name in seen
        if name.startswith("list:") and (counts := seen.get(name)) is not None
    }


def unread_lists(seen: Observations) -> list[str]:
    """Reasons why lists could not be searched."""
    return [why for name, why in seen.missing() if name.startswith("list:")]
