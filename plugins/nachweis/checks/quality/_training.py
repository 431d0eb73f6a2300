"""A model's training sets and what a check of this family reads of them."""

from __future__ import annotations

from nachweis.domain.check import Inputs
from nachweis.domain.manifest import ColumnType, DataSet
from nachweis.domain.observation import Source

_NO_INPUTS = frozenset({ColumnType.BINARY, ColumnType.NESTED})


def training_sets(inputs: Inputs) -> list[DataSet]:
    """The model's declared training sets, in declared order."""
    sets = inputs.world.data_sets
    return [sets[key] for key in inputs.model.data.training if key in sets]


def training_rows(data_set: DataSet) -> Source:
    """The rows to look at tonight: the night's, where a set grows by a partition per night."""
    return Source(data_set.id, "night" if data_set.partitioned_by_night else "whole")


def inputs_in(data_set: DataSet, names: list[str]) -> list[str]:
    """Model inputs that a data set holds and that can be compared value by value."""
    found = []
    for name in names or [column.name for column in data_set.columns if column.feature]:
        column = data_set.column(name)
        if column is not None and not column.free_text and column.type not in _NO_INPUTS:
            found.append(name)
    return found
