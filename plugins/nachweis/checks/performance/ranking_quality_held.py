"""Quality of ranked lists, once it is known what people found relevant."""

from __future__ import annotations

from collections.abc import Iterable

from nachweis.checks.performance._arrived import LABEL, arrived, counted, data_of, scope
from nachweis.checks.performance._examples import MODEL, RECENT, Rows, late
from nachweis.checks.performance._verdicts import MAX_DROP, compare, conclude, targets
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import FieldRole, ModelKind
from nachweis.domain.observation import CountTable, GroupedCounts, Observations, Request
from nachweis.engines.performance import Metric
from nachweis.engines.performance_ranking import list_keys, mean_of

_LISTS = 120
_PLACES = 5
_RANKED = {
    **MODEL,
    "kind": "ranking",
    "unit": "session",
    "metrics": [{"id": "ndcg", "value": 0.8}],
}
_FIELDS = {"query": "list", "rank": "place"}


def _lists(relevant_place: int, also: int | None = None) -> Rows:
    """Lists of five whose relevant row stands at one place, or at two places in turn."""
    places = [relevant_place if i % 2 or also is None else also for i in range(_LISTS)]
    return {
        "list": [f"s{i}" for i in range(_LISTS) for _ in range(_PLACES)],
        "place": [place for _ in range(_LISTS) for place in range(1, _PLACES + 1)],
        "clicked": [int(place == at) for at in places for place in range(1, _PLACES + 1)],
    }


class RankingQualityHeld(Check):
    """Does what people find relevant still stand at the top of the lists?

    Why: A ranking decides what people get to see. If its order no longer fits what they look for,
        they are served on inaccurate grounds (Art. 5(1)(d) GDPR).
    Method: Due rows are joined with outcomes by key; the outcome is the relevance, a whole number
        from 0 to 5. NDCG at ``k`` per list (linear gain, discount by the binary logarithm of the
        place plus 1; 0 to 1), averaged over lists with a relevant row, and precision at ``k``
        (relevant rows among the first ``k``, divided by ``k``), averaged over all lists with an
        outcome. Declared metrics (``ndcg``, ``precision-at-k``) are held against their value, else
        NDCG against the reference; fails if the whole 99 % interval of the difference (normal, over
        lists) lies beyond ``max_drop``. Computed per list by window functions of the engine, NDCG
        to four decimals. Undefined with fewer than ``min_lists`` lists or other grades. A row
        without an outcome, in a list with some, counts as not relevant. Source: Jarvelin and
        Kekalainen 2002, as scikit-learn's ndcg_score.
    Leaves out: Lists without any outcome, for instance without a click. That people click what
        stands at the top because it stands there (position bias).
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("MONITOR",)
    needs = (Needs.RANKED_LISTS, Needs.LOG_KEY, Needs.LOG_TIME, Needs.OUTCOMES)
    model_kinds = frozenset({ModelKind.RANKING})
    params = (
        MAX_DROP,
        Param(
            "k",
            10,
            "places",
            "design default of this project",
            "How many places of a list count.",
            minimum=1,
            maximum=50,
        ),
        Param(
            "min_lists",
            100,
            "lists",
            "design default of this project",
            "Fewest lists with an outcome for a verdict.",
            minimum=30,
        ),
    )
    remediation = (
        "Compare the features of what stands at the top with those of what was chosen. Look for "
        "items that are new or missing, and for a change of the page that moves attention. Train "
        "on newer lists only after the position bias is dealt with."
    )
    examples = (
        Example(
            "relevant rows at the top",
            Outcome.PASS,
            late(_lists(1, also=2), label="clicked", fields=_FIELDS),
            _RANKED,
        ),
        Example(
            "as in the reference",
            Outcome.PASS,
            late(_lists(2), reference=_lists(2), label="clicked", fields=_FIELDS),
            {**_RANKED, "metrics": []},
        ),
        Example(
            "relevant rows at the bottom",
            Outcome.FAIL,
            late(_lists(5), label="clicked", fields=_FIELDS),
            _RANKED,
        ),
        Example(
            "scored too recently",
            Outcome.NOT_AVAILABLE,
            late(_lists(5), label="clicked", fields=_FIELDS, at=RECENT),
            _RANKED,
        ),
        Example(
            "relevance is no grade",
            Outcome.NOT_AVAILABLE,
            late(
                {**_lists(1), "clicked": [17] * _LISTS * _PLACES}, label="clicked", fields=_FIELDS
            ),
            _RANKED,
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Lists counted by their metrics."""
        log, k = data_of(inputs, "scoring_log"), int(inputs.param("k"))
        query, rank = log.fields[FieldRole.QUERY], log.fields[FieldRole.RANK]
        yield arrived(inputs, "realised", list_keys(query, rank, LABEL, k))
        reference = inputs.data("reference")
        names = [
            reference.field(role) if reference else None
            for role in (FieldRole.QUERY, FieldRole.RANK, FieldRole.LABEL)
        ]
        if all(names):
            yield GroupedCounts(
                "reference",
                inputs.source("reference"),
                by=list_keys(*(name or "" for name in names), k),
            )

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding."""
        table = counted(observations, "realised")
        reason = table if isinstance(table, str) else _reason(inputs, table)
        if reason or isinstance(table, str):
            return [self.finding(inputs, Outcome.NOT_AVAILABLE, reason, scope=scope(inputs))]
        now = _metrics(inputs, table)
        reference = observations.get("reference")
        before = _metrics(inputs, reference) if reference is not None else {}
        compared = [compare(inputs, target, now, before) for target in targets(inputs, now)]
        measured = Measurement(
            name="lists_judged", value=_lists_of(table, "known"), unit="lists", n=None
        )
        return [conclude(self, inputs, compared, now, looked_at=scope(inputs), also=[measured])]


def _lists_of(table: CountTable, state: str) -> int:
    return table.total(first=True, state=state)


def _reason(inputs: Inputs, table: CountTable) -> str:
    if not table.n:
        return "No scored rows are old enough for their outcomes to be due."
    if table.total(state="odd"):
        return "Grades of relevance are whole numbers from 0 to 5 and places count from 1."
    if _lists_of(table, "known") < inputs.param("min_lists"):
        return "Too few lists have an outcome."
    return ""


def _metrics(inputs: Inputs, table: CountTable) -> dict[str, Metric]:
    k = int(inputs.param("k"))
    gained: dict[float, int] = {}
    hits: dict[float, int] = {}
    at = {name: table.keys.index(name) for name in table.keys}
    for row, n in table.rows.items():
        if not row[at["first"]] or row[at["state"]] != "known":
            continue
        share = int(row[at["hits"]]) / k
        hits[share] = hits.get(share, 0) + n
        if row[at["ndcg"]] is not None:
            value = float(row[at["ndcg"]])
            gained[value] = gained.get(value, 0) + n
    return {
        "ndcg": mean_of(gained, "no list holds a relevant row", f"NDCG at {k}, linear gain"),
        "precision_at_k": mean_of(hits, "no list has an outcome", f"precision at {k}"),
    }
