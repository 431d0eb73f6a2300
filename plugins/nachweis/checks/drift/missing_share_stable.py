"""Missing values and new categories in a model's inputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from nachweis.checks.drift._columns import Compared, features, scope, too_few_rows
from nachweis.checks.drift._examples import differed, normal, tables
from nachweis.checks.drift._nights import Persistence, history_request, persistence
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import ModelKind
from nachweis.domain.observation import ColumnProfile, Observations, PastFinding, Request
from nachweis.engines.drift import SMALLEST_SAMPLE, benjamini_hochberg, unseen
from nachweis.engines.intervals import newcombe_interval, two_proportion_p_value, wilson_interval

_Z95 = 1.959963984540054
_RECIPE = (
    "two-proportion test (pooled z, Fisher's exact test where expected counts are below 5), "
    "Benjamini-Hochberg over all shares of this model, Newcombe interval"
)


def _incomes(n: int, missing: int, seed: int) -> dict[str, list[float | None]]:
    return {"income": [*([None] * missing), *normal(n - missing, 0.0, seed)]}


def _regions(n: int, new: int) -> dict[str, list[str]]:
    known = ["north", "south"]
    return {"region": [*(["east"] * new), *(known[i % 2] for i in range(n - new))]}


class MissingShareStable(Check):
    """Are missing values and categories nobody has seen as rare as in the reference?

    Why: A broken join or a renamed code shows as missing values and new categories first, and
        distances ignore both: a model then guesses about people it knows nothing of.
    Method: For each feature, the share of rows without a finite value, and for categories the share
        of rows whose value the reference does not have, are compared with the reference's. A share
        differs if it moved by at least ``min_difference`` (share, 0 to 1) and the two-proportion
        test, corrected for all shares of the model (Benjamini-Hochberg), gives less than
        ``significance``. It fails if it differs persistently (policy: default 2 of 3 judged
        nights). There are too few rows for a verdict below the model's ``min_rows``, or where the
        95 % interval of a share would be wider than ``min_difference`` to either side, unless the
        whole interval of the change lies beyond ``min_difference`` in 30 rows or more. Undefined
        without rows.
        Source: this project; Newcombe (1998) and Benjamini and Hochberg (1995) for interval and
        correction.
    Leaves out: Values that stand for missing without being null, such as -1 or "unknown". New
        values of numbers. Free text, dates and nested values.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("MONITOR", "DATA-QUALITY")
    needs = (Needs.SCORING_LOG, Needs.REFERENCE, Needs.FEATURES)
    model_kinds = frozenset(ModelKind) - {ModelKind.GENERATIVE, ModelKind.EXTERNAL_AUDIENCE}
    params = (
        Param(
            "min_difference",
            0.05,
            "share",
            "design default of this project",
            "Smallest change of a share that counts.",
            minimum=0.001,
            maximum=1,
        ),
        Param(
            "significance",
            0.05,
            "corrected p-value",
            "convention",
            "A change that chance explains with at least this probability does not count.",
            minimum=0.0001,
            maximum=0.2,
        ),
    )
    remediation = (
        "Follow the feature back to its source: joins that find no partner, renamed codes, a "
        "delivery that came late. Decide with the owner whether scores made meanwhile stand."
    )
    examples = (
        Example(
            "nearly as many values missing",
            Outcome.PASS,
            tables(_incomes(400, 20, seed=1), _incomes(400, 24, seed=2)),
        ),
        Example(
            "a third of the values missing on two nights",
            Outcome.FAIL,
            tables(_incomes(400, 20, seed=1), _incomes(400, 130, seed=2)),
            history=differed("income"),
        ),
        Example(
            "a third of the values missing tonight",
            Outcome.PASS,
            tables(_incomes(400, 20, seed=1), _incomes(400, 130, seed=2)),
        ),
        Example(
            "a category nobody has seen on two nights",
            Outcome.FAIL,
            tables(_regions(400, 0), _regions(400, 60)),
            history=differed("region"),
        ),
        Example(
            "nearly all values missing in a small window on two nights",
            Outcome.FAIL,
            tables(_incomes(400, 20, seed=1), _incomes(60, 50, seed=2)),
            model={"current": {"min_rows": 30, "extend_to": "P1D"}},
            history=differed("income"),
        ),
        Example(
            "ten rows",
            Outcome.NOT_AVAILABLE,
            tables(_incomes(400, 20, seed=1), _incomes(10, 5, seed=2)),
        ),
        Example(
            "fewer rows than the model declares as its minimum",
            Outcome.NOT_AVAILABLE,
            tables(_incomes(400, 20, seed=1), _incomes(400, 130, seed=2)),
            model={"current": {"min_rows": 401, "extend_to": "P1D"}},
            history=differed("income"),
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """The profiles that the drift checks ask for too."""
        for column in features(inputs):
            yield from column.requests(inputs)
        yield history_request(inputs.source("scoring_log", "current"))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per feature."""
        columns = features(inputs)
        found = {column.name: _shares(column, observations) for column in columns}
        corrected = _corrected([share for shares in found.values() for share in shares.measured])
        looked_at = scope(inputs, observations, columns)
        too_few = too_few_rows(inputs, observations)
        history = list(observations.get("history") or ())
        for name, shares in found.items():
            own = [corrected[id(share)] for share in shares.measured]
            reason = shares.reason or too_few
            yield self._finding(inputs, name, reason, own, history, looked_at)

    def _finding(
        self,
        inputs: Inputs,
        column: str,
        reason: str,
        shares: Sequence[_Share],
        history: Sequence[PastFinding],
        looked_at: str,
    ) -> Finding:
        smallest, level = inputs.param("min_difference"), inputs.param("significance")
        measured = [one for share in shares for one in _measurements(inputs, share)]
        if not reason and not all(share.can_show(smallest) for share in shares):
            reason = f"too few rows to see a change of {smallest:g}"
        if reason:
            return self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                f"No verdict on missing values: {reason}.",
                measurements=measured,
                column=column,
                scope=looked_at,
            )
        moved = [share for share in shares if share.moved(smallest) and share.adjusted < level]
        nights = persistence(inputs, column, bool(moved), history)
        failed = bool(moved) and nights.reached
        return self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            _explanation(moved, nights, failed),
            measurements=[*measured, *nights.measurements(bool(moved))],
            column=column,
            severity=Severity.INFO if moved and not failed else None,
            scope=looked_at,
        )


@dataclass(frozen=True, slots=True)
class _Share:
    """A share of rows before and now."""

    name: str
    words: str
    hits_before: int
    n_before: int
    hits: int
    n: int
    adjusted: float = 1.0

    @property
    def before(self) -> float:
        return self.hits_before / self.n_before

    @property
    def now(self) -> float:
        return self.hits / self.n

    @property
    def difference(self) -> float:
        return self.now - self.before

    @property
    def p_value(self) -> float:
        return two_proportion_p_value(self.hits, self.n, self.hits_before, self.n_before)

    def moved(self, smallest: float) -> bool:
        """Whether the change is large enough to count."""
        return abs(self.difference) >= smallest

    def can_show(self, smallest: float) -> bool:
        """Whether so many rows could show the smallest change that counts."""
        share = min(self.before + smallest, 0.5)
        error = math.sqrt(share * (1 - share) * (1 / self.n + 1 / self.n_before))
        return _Z95 * error <= smallest or self.surely_moved(smallest)

    def surely_moved(self, smallest: float) -> bool:
        """Whether the whole interval of the change lies beyond the smallest that counts."""
        if min(self.n, self.n_before) < SMALLEST_SAMPLE:
            return False
        low, high = self.interval()
        return low > smallest or high < -smallest

    def interval(self) -> tuple[float, float]:
        """95 % interval of the difference."""
        return newcombe_interval(
            self.now,
            wilson_interval(self.hits, self.n),
            self.before,
            wilson_interval(self.hits_before, self.n_before),
        )


@dataclass(frozen=True, slots=True)
class _Shares:
    """The shares of one column, or why there are none."""

    measured: tuple[_Share, ...] = ()
    reason: str = ""


def _shares(column: Compared, seen: Observations) -> _Shares:
    profiles = column.profiles(seen)
    if isinstance(profiles, str):
        return _Shares(reason=profiles)
    reference, current = profiles
    if not reference.n or not current.n:
        return _Shares(reason="there are no rows on one side")
    lost = _Share(
        "missing_share",
        "missing values",
        _without_value(reference),
        reference.n,
        _without_value(current),
        current.n,
    )
    if current.kind != "categorical" or reference.kind != "categorical":
        return _Shares((lost,))
    if not reference.valid or not current.valid:
        return _Shares((lost,))
    rows, _ = unseen(reference, current)
    new = _Share("unseen_share", "unseen categories", 0, reference.valid, rows, current.valid)
    return _Shares((lost, new))


def _without_value(profile: ColumnProfile) -> int:
    return profile.nulls + profile.infinite


def _corrected(shares: Sequence[_Share]) -> dict[int, _Share]:
    """Each share with its p-value corrected for all of them, by identity."""
    adjusted = benjamini_hochberg([share.p_value for share in shares])
    return {
        id(share): replace(share, adjusted=value)
        for share, value in zip(shares, adjusted, strict=True)
    }


def _explanation(moved: Sequence[_Share], nights: Persistence, failed: bool) -> str:
    if not moved:
        return "Missing values and unseen categories are as rare as in the reference."
    what = " and ".join(share.words for share in moved)
    if failed:
        return f"The share of {what} moved on {nights.words}."
    return f"The share of {what} moved tonight, not yet persistent: {nights.words}."


def _measurements(inputs: Inputs, share: _Share) -> list[Measurement]:
    limit = inputs.threshold("min_difference", "<")
    moved = share.moved(inputs.param("min_difference"))
    return [
        Measurement(
            name=f"{share.name}_reference", value=share.before, unit="share", n=share.n_before
        ),
        Measurement(name=share.name, value=share.now, unit="share", n=share.n),
        Measurement(
            name=f"{share.name}_difference",
            value=share.difference,
            unit="difference",
            threshold=limit,
            n=share.n,
            interval=share.interval(),
            interval_level=0.95,
            recipe=_RECIPE,
            drifted=moved and share.adjusted < inputs.param("significance"),
        ),
        Measurement(
            name=f"{share.name}_p_value_adjusted",
            value=share.adjusted,
            unit="probability",
            threshold=inputs.threshold("significance", ">="),
            recipe=_RECIPE,
        ),
    ]
