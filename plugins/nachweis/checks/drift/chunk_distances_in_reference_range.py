"""Distances of the window against the ordinary variation of the reference's own days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nachweis.checks.drift._columns import Compared, scope, too_few_rows
from nachweis.checks.drift._examples import by_day, differed, normal
from nachweis.checks.drift._nights import history_request, persistence
from nachweis.checks.drift._samples import (
    Columns,
    both,
    reference_time,
    sample_requests,
    sampled,
)
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.errors import UndefinedError
from nachweis.domain.finding import (
    Finding,
    Measurement,
    Outcome,
    Severity,
    SubjectKind,
    Threshold,
)
from nachweis.domain.manifest import ModelKind
from nachweis.domain.observation import Observations, PastFinding, Request
from nachweis.engines.drift import benjamini_hochberg
from nachweis.engines.reference_chunks import ChunkRange, chunk_range, chunks_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RULE = "NannyML: mean and three standard deviations of the reference's chunks"
_FAMILY = "design default of this project"


class ChunkDistancesInReferenceRange(Check):
    """Does each input lie within the range in which the reference's own days vary?

    Why: A fixed limit is too wide for inputs that hardly vary and too narrow for those that vary
        every day; what is unusual for this input shows earlier against its own days.
    Method: The reference is cut into chunks as long as the current window, by its time column. For
        each feature, the distance of every chunk to the whole reference (Wasserstein in standard
        deviations of the reference, or Jensen-Shannon; 0 or more) gives mean and standard
        deviation; a window beyond the mean plus 3 standard deviations is reported as ``drifted``
        (NannyML's rule; source: NannyML 0.13 and Evidently for the distances). The window is
        compared with as many rows as the median chunk has. It fails only if the distance is also
        larger than that of every chunk from the others and at least ``min_distance``, a prediction
        test on logarithms, corrected for all features (Benjamini-Hochberg), gives less than
        ``significance``, and this persists (policy: default 2 of 3 judged nights). Seeded samples
        of at most 20,000 reference and 5,000 current rows. Undefined with fewer than 10 chunks of
        30 sampled rows.
    Leaves out: References without times, whose ordinary variation nobody can know. Days are cut in
        the clock in which times are stored. Variation over longer spans than the reference holds,
        such as seasons, unless ``season`` is set and the reference is long enough.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.MODEL
    controls = ("MONITOR",)
    needs = (
        Needs.SCORING_LOG,
        Needs.REFERENCE,
        Needs.FEATURES,
        Needs.SAMPLE_KEYS,
        Needs.REFERENCE_TIME,
    )
    model_kinds = frozenset(ModelKind) - {ModelKind.GENERATIVE, ModelKind.EXTERNAL_AUDIENCE}
    params = (
        Param(
            "min_distance",
            0.05,
            "distance",
            _FAMILY,
            "Smallest distance that counts, however regular the reference is.",
            minimum=0,
            maximum=10,
        ),
        Param(
            "significance",
            0.001,
            "corrected p-value",
            _FAMILY,
            "A distance that ordinary days explain with at least this probability does not count.",
            minimum=0.000001,
            maximum=0.05,
        ),
        Param(
            "season",
            "none",
            "days that are compared",
            _FAMILY,
            "With weekday, one day is compared with the same weekdays of the reference only.",
            choices=("none", "weekday"),
        ),
    )
    remediation = (
        "Compare the days on which the input left its range with what happened then: campaign, "
        "release, delivery. If the new range is the ordinary one from now on, renew the reference "
        "with the approval of the owner."
    )
    examples = (
        Example(
            "within the range of the reference's days",
            Outcome.PASS,
            by_day({"income": normal(800, 0.0, 1)}, {"income": normal(60, 0.0, 7)}, days=20),
        ),
        Example(
            "outside the range on two nights",
            Outcome.FAIL,
            by_day({"income": normal(800, 0.0, 1)}, {"income": normal(60, 1.5, 3)}, days=20),
            history=differed("income"),
        ),
        Example(
            "outside the range tonight only",
            Outcome.PASS,
            by_day({"income": normal(800, 0.0, 1)}, {"income": normal(60, 1.5, 3)}, days=20),
        ),
        Example(
            "a Monday unlike other Mondays, on two nights",
            Outcome.FAIL,
            by_day(
                {"income": [*normal(400, 0.0, 4), *normal(400, 3.0, 5)]},
                {"income": normal(60, 0.0, 6)},
                days=20,
                step=[*range(1, 71, 7), *range(7, 77, 7)],
            ),
            params={"season": "weekday"},
            history=differed("income"),
        ),
        Example(
            "nine days",
            Outcome.NOT_AVAILABLE,
            by_day({"income": normal(360, 0.0, 1)}, {"income": normal(60, 1.0, 3)}, days=9),
            history=differed("income"),
        ),
        Example(
            "a reference without times",
            Outcome.NOT_AVAILABLE,
            by_day({"income": normal(480, 0.0, 1)}, {"income": normal(60, 1.0, 3)}, days=0),
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """The samples that features_jointly_stable asks for too."""
        yield from sample_requests(inputs, sampled(inputs))
        yield history_request(inputs.source("scoring_log", "current"))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per feature."""
        columns = sampled(inputs)
        looked_at = scope(inputs, observations, columns)
        samples = both(observations)
        reason = samples if isinstance(samples, str) else too_few_rows(inputs, observations)
        if isinstance(samples, str) or reason or not columns:
            yield self._without(inputs, None, reason, looked_at)
            return
        try:
            chunks = _chunks(inputs, observations, samples[0])
        except UndefinedError as undefined:
            yield self._without(inputs, None, undefined.what, looked_at)
            return
        compared = _corrected([_compare(one, samples, chunks) for one in columns])
        history = list(observations.get("history") or ())
        for one in compared:
            yield self._finding(inputs, one, history, looked_at)

    def _without(self, inputs: Inputs, column: str | None, reason: str, looked_at: str) -> Finding:
        return self.finding(
            inputs,
            Outcome.NOT_AVAILABLE,
            f"There is no range to compare with: {reason}.",
            column=column,
            scope=looked_at,
        )

    def _finding(
        self, inputs: Inputs, one: _Compared, history: Sequence[PastFinding], looked_at: str
    ) -> Finding:
        found = one.found
        if found is None:
            return self._without(inputs, one.column, one.reason, looked_at)
        differs = (
            found.outside
            and found.distance > found.largest
            and found.distance >= inputs.param("min_distance")
            and one.adjusted < inputs.param("significance")
        )
        nights = persistence(inputs, one.column, differs, history)
        failed = differs and nights.reached
        if failed:
            explanation = f"Outside the range of the reference's own chunks on {nights.words}."
        elif differs:
            explanation = (
                "Outside the range of the reference's own chunks tonight, not yet persistent: "
                f"{nights.words}."
            )
        elif found.outside:
            explanation = (
                "Beyond three standard deviations of the reference's chunks, but not so far that "
                "ordinary variation could not explain it."
            )
        else:
            explanation = "Within the range of the reference's own chunks."
        return self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            explanation,
            measurements=[
                *_measurements(inputs, found, one.adjusted),
                *nights.measurements(differs),
            ],
            column=one.column,
            severity=Severity.INFO if differs and not failed else None,
            scope=looked_at,
        )


# -------------------------------------------------------------------------------------- columns


@dataclass(frozen=True, slots=True)
class _Compared:
    """One feature's place in its range, or why there is none."""

    column: str
    found: ChunkRange | None = None
    reason: str = ""
    adjusted: float = 1.0


def _compare(column: Compared, samples: tuple[Columns, Columns], chunks: NDArray[Any]) -> _Compared:
    reference, current = samples
    try:
        found = chunk_range(reference[column.name], chunks, current[column.name], str(column.kind))
    except UndefinedError as undefined:
        return _Compared(column.name, reason=undefined.what)
    return _Compared(column.name, found)


def _corrected(compared: Sequence[_Compared]) -> list[_Compared]:
    """Correct the prediction tests of all features together."""
    family = [one.found.p_value for one in compared if one.found is not None]
    adjusted = iter(benjamini_hochberg(family))
    return [
        replace(one, adjusted=next(adjusted)) if one.found is not None else one for one in compared
    ]


def _chunks(inputs: Inputs, observations: Observations, reference: Columns) -> NDArray[Any]:
    """Chunk of each reference row: stretches of time as long as the current window."""
    length = _window_days(inputs, observations)
    weekday = None
    if inputs.param("season") == "weekday":
        if length > 1:
            raise UndefinedError("weekdays can be compared for a window of one day only")
        weekday = inputs.night.date.weekday()
    return chunks_of(reference[reference_time(inputs) or ""], length, weekday)


def _window_days(inputs: Inputs, observations: Observations) -> int:
    facts = observations.window(inputs.source("scoring_log", "current"))
    if facts is None or not facts.start or not facts.end:
        return 1
    span = dt.datetime.fromisoformat(facts.end) - dt.datetime.fromisoformat(facts.start)
    return max(1, round(span.total_seconds() / 86_400))


def _measurements(inputs: Inputs, found: ChunkRange, adjusted: float) -> list[Measurement]:
    recipe = f"{found.chunks} chunks of the reference of about {found.rows} sampled rows"
    return [
        Measurement(
            name="distance",
            value=found.distance,
            unit=found.method,
            threshold=Threshold(value=found.limit, operator="<=", source=_RULE),
            n=found.rows,
            recipe=recipe,
            drifted=found.outside,
        ),
        Measurement(
            name="largest_distance_of_a_chunk",
            value=found.largest,
            unit=found.method,
            n=found.rows,
            recipe=recipe,
        ),
        Measurement(
            name="p_value_adjusted",
            value=adjusted,
            unit="probability",
            threshold=inputs.threshold("significance", ">="),
            recipe="prediction test of one further chunk, Benjamini-Hochberg over all features",
        ),
    ]
