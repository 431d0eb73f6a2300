"""Columns of a model that are compared with the reference, and the requests for their profiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from nachweis.domain.check import Inputs
from nachweis.domain.manifest import ColumnType, DataSet, FieldRole
from nachweis.domain.observation import ColumnProfile, Observations, Profile, WindowFacts

ProfileKind = Literal["numeric", "categorical", "auto"]

_KINDS: dict[ColumnType, ProfileKind] = {
    ColumnType.INTEGER: "numeric",
    ColumnType.NUMBER: "numeric",
    ColumnType.BOOLEAN: "categorical",
    ColumnType.STRING: "categorical",
}


@dataclass(frozen=True, slots=True)
class Compared:
    """A column and its counterpart in the reference.

    Attributes:
        name: Column of the data set that is watched.
        reference: Column of the reference, or None if it declares none.
        kind: How both are profiled; None if this type has no distribution that is compared.
        role: Role of the data set that is watched.
    """

    name: str
    reference: str | None
    kind: ProfileKind | None
    role: str = "scoring_log"

    def requests(self, inputs: Inputs) -> Iterator[Profile]:
        """Profiles of both sides; the reference's is cached by the engine."""
        if self.reference is None or self.kind is None:
            return
        reference, current = inputs.source("reference"), inputs.source(self.role, "current")
        yield Profile(f"reference:{self.name}", reference, self.reference, self.kind)
        yield Profile(f"current:{self.name}", current, self.name, self.kind)

    def profiles(self, seen: Observations) -> tuple[ColumnProfile, ColumnProfile] | str:
        """Both profiles, or why there are none."""
        if self.reference is None:
            return "the reference does not declare this column"
        if self.kind is None:
            return "a column of this type has no distribution that is compared"
        names = (f"reference:{self.name}", f"current:{self.name}")
        for name, reason in seen.missing():
            if name in names:
                return reason
        return seen[names[0]], seen[names[1]]


def features(inputs: Inputs) -> list[Compared]:
    """The model's inputs."""
    log, reference = inputs.data("scoring_log"), inputs.data("reference")
    return [
        Compared(name, _counterpart(reference, name), _kind(log, name))
        for name in inputs.feature_names
    ]


def outputs(inputs: Inputs) -> list[Compared]:
    """The model's score and prediction, as far as its scoring log declares them."""
    log, reference = inputs.data("scoring_log"), inputs.data("reference")
    if log is None or reference is None:
        return []
    found: list[Compared] = []
    for role in (FieldRole.SCORE, FieldRole.PREDICTION):
        name = log.field(role)
        if name is not None and all(name != other.name for other in found):
            counterpart = reference.field(role) or _declared(reference, name)
            found.append(Compared(name, counterpart, _kind(log, name)))
    return found


def labels(inputs: Inputs) -> list[Compared]:
    """What people really did, as far as it has arrived."""
    told, reference = inputs.data("outcomes"), inputs.data("reference")
    name = told.field(FieldRole.LABEL) if told else None
    if name is None or reference is None:
        return []
    kind = _kind(told, name)
    return [Compared(name, reference.field(FieldRole.LABEL), kind, role="outcomes")]


def _counterpart(reference: DataSet | None, name: str) -> str | None:
    if reference is None or not reference.columns:
        return name
    return _declared(reference, name)


def _declared(data_set: DataSet, name: str) -> str | None:
    return name if data_set.column(name) is not None else None


def _kind(log: DataSet | None, name: str) -> ProfileKind | None:
    """How a column is profiled, by its declared type, as a definition given to Evidently would."""
    column = log.column(name) if log else None
    if column is None:
        return "auto"
    return None if column.free_text else _KINDS.get(column.type)


def too_few_rows(inputs: Inputs, seen: Observations, role: str = "scoring_log") -> str:
    """Why the window is too small by the model's own declaration, or an empty string."""
    least = inputs.model.current.min_rows
    facts = seen.window(inputs.source(role, "current"))
    if facts is None or facts.rows >= least:
        return ""
    return f"the window holds fewer than the {least} rows that the model declares as its minimum"


def scope(inputs: Inputs, seen: Observations, columns: Sequence[Compared]) -> str:
    """What was looked at, for findings."""
    current = inputs.source(columns[0].role if columns else "scoring_log", "current")
    facts = seen.window(current)
    window = window_words(facts) if facts else "current window"
    against = inputs.source("reference").data_set
    return f"{len(columns)} columns of {current.data_set}, {window}, against {against}"


def window_words(facts: WindowFacts) -> str:
    """A window in words."""
    span = f"{facts.start} to {facts.end}" if facts.start else "all rows"
    return span + (" (widened to reach the declared number of rows)" if facts.extended else "")
