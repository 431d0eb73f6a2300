"""Questions to a permission register, shared by the checks of this family."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from nachweis.domain.finding import Measurement, Threshold
from nachweis.domain.manifest import DataSet, FieldRole
from nachweis.domain.manifest.common import before
from nachweis.domain.night import Night
from nachweis.domain.observation import Expression, Overlap, Source
from nachweis.engines.moments import comparable, zone_of

_ENDS = (FieldRole.WITHDRAWN_AT, FieldRole.EXPIRES_AT)


@dataclass(frozen=True, slots=True)
class Use:
    """A use of people's data that needs a row in a register.

    Attributes:
        data_set: The data set whose rows were used.
        source: Which of its rows.
        register: The permission register.
        night: The night.
        fixed: Field of the register to the only value that counts.
        matched: Fields that must be equal in both data sets; a country is compared without regard
            to case, and only where both sides know it.
        at: Moment of use; None where each row's own time counts.
        where: Which rows were used.
        max_age: How old a permission may be on the night, where the organisation sets a limit.
        lacking: What the data set's own rule must declare.
    """

    data_set: DataSet
    source: Source
    register: DataSet
    night: Night
    fixed: tuple[tuple[FieldRole, str], ...] = ()
    matched: tuple[FieldRole, ...] = ()
    at: dt.datetime | None = None
    where: Expression | None = None
    max_age: str | None = None
    lacking: tuple[str, ...] = ()

    def undeclared(self) -> str:
        """What must be declared before the question can be asked, or an empty string.

        Without the time of withdrawal a withdrawn permission would pass for one that holds. A
        column named like an end of validity that is not declared as one would be ignored.
        """
        needed = [
            FieldRole.GIVEN_AT,
            FieldRole.WITHDRAWN_AT,
            *(role for role, _ in self.fixed),
            *self.matched,
        ]
        absent = [role.value for role in needed if self.register.field(role) is None]
        absent += [
            role.value
            for role in _ENDS
            if role not in needed
            and self.register.field(role) is None
            and self.register.column(role.value) is not None
        ]
        parts = [f"'fields.{name}' of the register {self.register.id}" for name in absent]
        parts += self.lacking
        if self.register.subject_key is None:
            parts.append(f"'subject_key' of the register {self.register.id}")
        return "; ".join(parts)

    def overlap(self, name: str) -> Overlap:
        """The question: which used rows have a valid row in the register.

        Args:
            name: Name of the request.

        Returns:
            The request; call only when nothing is undeclared.
        """
        register, own = self.register, self.data_set
        if register.subject_key is None or own.subject_key is None:
            raise LookupError("a subject key is not declared")
        ends = tuple(column for role in _ENDS if (column := register.field(role)))
        by_row = self.at is None
        pairs = {
            role: (column, other)
            for role in self.matched
            if (column := own.field(role)) and (other := register.field(role))
        }
        country = pairs.pop(FieldRole.COUNTRY, None)
        return Overlap(
            name,
            self.source,
            other=Source(register.id),
            key=(own.subject_key.column, register.subject_key.column),
            match=tuple(pairs.values()),
            match_known=(country,) if country else (),
            where=self.where,
            other_where=self._right_filter(ends),
            left_time=own.time.column if by_row and own.time else None,
            right_from=register.field(FieldRole.GIVEN_AT) if by_row else None,
            right_until=ends if by_row else (),
        )

    def _right_filter(self, ends: Sequence[str]) -> Expression | None:
        given, zone = self.register.fields[FieldRole.GIVEN_AT], zone_of(self.register, self.night)
        filters = [equal_to(self.register.fields[role], value) for role, value in self.fixed]
        if self.max_age is not None:
            filters.append(after(given, before(self.night.end, self.max_age), zone))
        if self.at is not None:
            filters.append(not_after(given, self.at, zone))
            filters += [open_at(column, self.at, zone) for column in ends]
        return all_of(filters)


def equal_to(column: str, value: str) -> Expression:
    """Rows whose column has this value."""
    return lambda table: table[column] == value


def not_after(column: str, moment: dt.datetime, zone: ZoneInfo) -> Expression:
    """Rows whose time is not after a moment."""
    return lambda table: table[column] <= comparable(table[column], moment, zone)


def after(column: str, moment: dt.datetime, zone: ZoneInfo) -> Expression:
    """Rows whose time is a moment or later."""
    return lambda table: table[column] >= comparable(table[column], moment, zone)


def not_after_or_unknown(column: str, moment: dt.datetime, zone: ZoneInfo) -> Expression:
    """Rows whose time is not after a moment, or missing."""

    def reached(table: Any) -> Any:
        time = table[column]
        return time.isnull() | (time <= comparable(time, moment, zone))

    return reached


def open_at(column: str, moment: dt.datetime, zone: ZoneInfo) -> Expression:
    """Rows whose end is not set or lies after a moment."""

    def still_open(table: Any) -> Any:
        end = table[column]
        return end.isnull() | (end > comparable(end, moment, zone))

    return still_open


def true_in(column: str) -> Expression:
    """Rows whose column is true."""
    return lambda table: table[column].cast("boolean")


def all_of(filters: Sequence[Expression]) -> Expression | None:
    """Rows that pass all filters; None for no filter."""
    if not filters:
        return None

    def both(table: Any) -> Any:
        result = filters[0](table)
        for one in filters[1:]:
            result = result & one(table)
        return result

    return both


def must_be_zero(
    numbers: Sequence[tuple[str, int, str, str | None]], source: str, recipe: str
) -> list[Measurement]:
    """Counts of which each must be 0.

    Args:
        numbers: Name, value, unit and, where there is one, list or ledger of each.
        source: The rule that says so.
        recipe: How they were counted.

    Returns:
        One measurement each.
    """
    limit = Threshold(value=0, operator="==", source=source)
    return [
        Measurement(name=name, value=value, unit=unit, threshold=limit, recipe=recipe, group=group)
        for name, value, unit, group in numbers
    ]
