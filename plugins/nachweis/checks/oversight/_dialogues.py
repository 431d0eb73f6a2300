"""Dialogues of a model: who speaks, which began in the night, in which words people ask."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from typing import Any

from nachweis.domain.check import Inputs, Param
from nachweis.domain.manifest import DataSet, FieldRole
from nachweis.domain.manifest.privacy import Turns
from nachweis.domain.observation import Source
from nachweis.engines.moments import comparable, zone_of

SETTLE = Param(
    "settle",
    30,
    "minutes",
    "design default of this project",
    "Dialogues that begin or ask this close to midnight are left out: their other part lies in "
    "another night.",
    minimum=0,
    maximum=600,
)


def dialogues(inputs: Inputs) -> DataSet:
    """The model's dialogues; the need was met."""
    found = inputs.data("dialogues")
    if found is None:
        raise LookupError("the need 'turns_in_order' was not met")
    return found


def turns(inputs: Inputs) -> Turns:
    """How turns are read, with the defaults."""
    return dialogues(inputs).turns or Turns()


def night(inputs: Inputs) -> Source:
    """The turns of the night."""
    return inputs.source("dialogues", "night")


def time_column(data_set: DataSet) -> str:
    """Name of the column with the time of a turn."""
    return data_set.time.column if data_set.time else ""


def first_of_ai(inputs: Inputs) -> Any:
    """Filter: the first turn of the AI in each dialogue that began in the night."""
    data_set = dialogues(inputs)
    time, speaker = time_column(data_set), data_set.fields[FieldRole.SOURCE]
    conversation = data_set.fields[FieldRole.CONVERSATION]
    key = data_set.field(FieldRole.KEY)
    ai, zone = turns(inputs).ai, zone_of(data_set, inputs.night)
    begin = inputs.night.start + dt.timedelta(minutes=inputs.param("settle"))

    def first(table: Any) -> Any:
        order = [table[time], *([table[key]] if key else [])]
        place = (
            table[time]
            .rank()
            .over(group_by=[table[conversation], table[speaker].isin(ai)], order_by=order)
        )
        began = table[time].min().over(group_by=table[conversation])
        # As a window the start is taken before any row is left out; a plain comparison is not.
        return (
            table[speaker].isin(ai) & (place == 0) & (began >= comparable(table[time], begin, zone))
        )

    return first


def spoken(text: Any) -> Any:
    """A column of texts in the form in which words are compared: small letters, single spaces."""
    return text.cast("string").lower().re_replace(r"\s+", " ")


def plain(text: str) -> str:
    """A declared text in the form of :func:`spoken`."""
    return " ".join(text.lower().split())


def any_of(phrases: Iterable[str]) -> str:
    """A pattern (RE2) that finds one of several phrases as whole words.

    Args:
        phrases: Declared phrases.

    Returns:
        The pattern, for texts in the form of :func:`spoken`.
    """
    words = "|".join(sorted({re.escape(plain(phrase)) for phrase in phrases}, reverse=True))
    return rf"(?:^|[^\pL])(?:{words})(?:[^\pL]|$)"
