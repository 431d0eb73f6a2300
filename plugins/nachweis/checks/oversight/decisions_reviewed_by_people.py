"""Review of a model's decisions by people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import (
    Finding,
    Measurement,
    Outcome,
    Severity,
    SubjectKind,
    Threshold,
)
from nachweis.domain.manifest import DataSet, DataSetRole, FieldRole
from nachweis.domain.observation import (
    CountTable,
    GroupedCounts,
    Join,
    Observations,
    Overlap,
    OverlapCounts,
    Request,
    Scalar,
    Source,
)
from nachweis.engines.intervals import LEVEL, wilson_interval

FEWEST_REVIEWERS = 5
FEWEST_REVIEWS = 50
"""Fewer would tell how single people work; fixed, so that no manifest can lower them."""

_NOON = dt.datetime(2026, 2, 28, 12)
_INFORMED = {
    "employee_monitoring": {"agreement_ref": "works agreement", "staff_informed_on": "2026-01-01"}
}
_MODEL = {"oversight": {"reviews": "reviews", "share_reviewed": 0.5}}


def _tables(reviewed: int, of: int = 200, people: int = 8) -> dict[str, ExampleTable]:
    """A scoring log and reviews; every tenth review changes the decision."""
    log: dict[str, list[Any]] = {
        "row": [f"r{i}" for i in range(of)],
        "offer": [i % 2 for i in range(of)],
        "at": [_NOON] * of,
    }
    reviews: dict[str, list[Any]] = {
        "row": [f"r{i}" for i in range(reviewed)],
        "decision": [(i + (i % 10 == 0)) % 2 for i in range(reviewed)],
        "reviewer": [f"p{i % people}" for i in range(reviewed)],
        "seconds": [30 + i % 20 for i in range(reviewed)],
        "at": [_NOON] * reviewed,
    }
    time: dict[str, Any] = {"time": {"column": "at"}}
    return {
        "scoring_log": ExampleTable(
            DataSetRole.SCORING_LOG, log, {"fields": {"key": "row", "prediction": "offer"}, **time}
        ),
        "reviews": ExampleTable(
            DataSetRole.REVIEWS,
            reviews,
            {
                "columns": [
                    {"name": "row", "type": "string"},
                    {"name": "decision", "type": "integer"},
                    {"name": "reviewer", "type": "string"},
                    {"name": "seconds", "type": "integer"},
                    {"name": "at", "type": "timestamp"},
                ],
                "fields": {
                    "key": "row",
                    "reviewer_decision": "decision",
                    "reviewer": "reviewer",
                    "review_seconds": "seconds",
                },
                **time,
            },
        ),
    }


class DecisionsReviewedByPeople(Check):
    """Do people review as many of the model's decisions as declared?

    Why: Oversight that is declared but does not happen protects nobody (Art. 22(3) GDPR, Art. 14 AI
        Act). People who never disagree, or decide within seconds, may only be clicking.
    Method: Rows of the scoring log of ``days`` days until ``delay`` days ago that have a review, as
        a share, 0 to 1, with Wilson's interval, which must not lie below the declared
        ``share_reviewed``; beside it the share of reviews that change the decision and the median
        time of a review in seconds. Only sums over everybody: undefined with fewer than 5 reviewers
        or 50 reviews, and without a declared ``employee_monitoring``. Source: Art. 22(3) GDPR, Art.
        14 AI Act as good practice; section 26 BDSG and works agreements for the limits.
    Leaves out: Who reviewed what; teams, shifts and single people are never compared. Whether the
        review was competent.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("OVERSIGHT",)
    needs = (Needs.LOG_KEY, Needs.LOG_TIME, Needs.REVIEWS, Needs.EMPLOYEE_MONITORING)
    params = (
        Param(
            "days",
            7,
            "days",
            "design default of this project",
            "Days of decisions that are looked at together.",
            minimum=1,
            maximum=92,
        ),
        Param(
            "delay",
            1,
            "days",
            "design default of this project",
            "Days that a review may take.",
            minimum=0,
            maximum=92,
        ),
    )
    remediation = (
        "Compare the work load with the hours planned for reviews, and look whether cases reach "
        "the people at all. If fewer reviews suffice, the owner decides so and declares the new "
        "share. Never use these numbers to judge single people."
    )
    examples = (
        Example(
            "more than declared", Outcome.PASS, _tables(150), model=_MODEL, organisation=_INFORMED
        ),
        Example(
            "far fewer than declared",
            Outcome.FAIL,
            _tables(60),
            model=_MODEL,
            organisation=_INFORMED,
        ),
        Example("staff were not informed", Outcome.NOT_AVAILABLE, _tables(150), model=_MODEL),
        Example(
            "staff are informed later",
            Outcome.NOT_AVAILABLE,
            _tables(150),
            model=_MODEL,
            organisation={
                "employee_monitoring": {
                    "agreement_ref": "works agreement",
                    "staff_informed_on": "2026-06-01",
                }
            },
        ),
        Example(
            "three reviewers",
            Outcome.NOT_AVAILABLE,
            _tables(150, people=3),
            model=_MODEL,
            organisation=_INFORMED,
        ),
        Example(
            "too few reviews",
            Outcome.NOT_AVAILABLE,
            _tables(40),
            model=_MODEL,
            organisation=_INFORMED,
        ),
        Example(
            "no share is declared",
            Outcome.NOT_AVAILABLE,
            _tables(150),
            model={"oversight": {"reviews": "reviews"}},
            organisation=_INFORMED,
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Reviewed rows of the log, and sums over the reviews."""
        log, reviews = _log(inputs), _reviews(inputs)
        scored = _scored(inputs)
        done = Source(reviews.id, "span", (_from(inputs), inputs.night.end))
        key = reviews.fields[FieldRole.KEY]
        yield Overlap("reviewed", scored, other=done, key=(log.fields[FieldRole.KEY], key))
        yield Scalar("reviews", done, lambda table: table.count())
        reviewer = reviews.fields[FieldRole.REVIEWER]
        yield Scalar("reviewers", done, lambda table: table[reviewer].nunique())
        if seconds := reviews.field(FieldRole.REVIEW_SECONDS):
            yield Scalar("seconds", done, lambda table: table[seconds].median())
        decision, prediction = _decisions(inputs)
        if decision and prediction:
            yield GroupedCounts(
                "changed",
                done,
                by={"changed": lambda table: _text(table[decision]) != _text(table["predicted"])},
                join=Join(
                    other=scored,
                    key=(key, log.fields[FieldRole.KEY]),
                    columns=(("predicted", prediction),),
                ),
            )

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per model."""
        declared = inputs.model.oversight.share_reviewed if inputs.model.oversight else None
        reviewed: OverlapCounts = observations["reviewed"]
        reviews, reviewers = int(observations["reviews"] or 0), int(observations["reviewers"] or 0)
        refusal = ""
        monitoring = inputs.world.organisation.employee_monitoring
        if monitoring is None or monitoring.staff_informed_on > inputs.night.date.isoformat():
            refusal = "Staff had not yet been informed on this night."
        elif not reviewed.rows:
            refusal = "No decision of those days is in the scoring log."
        elif reviews < FEWEST_REVIEWS or reviewers < FEWEST_REVIEWERS:
            refusal = (
                "Numbers about so little work could be traced to single people; there must be "
                f"at least {FEWEST_REVIEWERS} reviewers and {FEWEST_REVIEWS} reviews."
            )
        elif declared is None:
            refusal = "No share is declared that the reviews could be held against."
        if refusal or declared is None:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                refusal,
                declare="'oversight.share_reviewed' of the model" if declared is None else "",
            )
            return
        interval = wilson_interval(reviewed.rows_matched, reviewed.rows)
        failed = interval[1] < declared
        yield self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            "Fewer decisions were reviewed than declared."
            if failed
            else "The share of decisions that were reviewed does not lie below the declared one.",
            measurements=[
                Measurement(
                    name="share_reviewed",
                    value=reviewed.rows_matched / reviewed.rows,
                    unit="share",
                    n=reviewed.rows,
                    interval=interval,
                    interval_level=LEVEL,
                    threshold=Threshold(value=declared, operator=">=", source="model manifest"),
                ),
                *_beside(observations),
            ],
            scope=f"decisions of {inputs.param('days')} days, reviews of all people together",
        )


def _beside(observations: Observations) -> Iterator[Measurement]:
    """How often and how fast people decided otherwise; no limits."""
    changed: CountTable | None = observations.get("changed")
    if changed is not None:
        known = changed.total(changed=True) + changed.total(changed=False)
        if known >= FEWEST_REVIEWS:
            share = changed.total(changed=True) / known
            yield Measurement(name="share_changed_by_people", value=share, unit="share", n=known)
    seconds = observations.get("seconds")
    if seconds is not None:
        yield Measurement(name="median_review_time", value=round(float(seconds)), unit="seconds")


def _log(inputs: Inputs) -> DataSet:
    log = inputs.data("scoring_log")
    if log is None:
        raise LookupError("the need 'log_key' was not met")
    return log


def _reviews(inputs: Inputs) -> DataSet:
    if inputs.reviews is None:
        raise LookupError("the need 'reviews' was not met")
    return inputs.reviews


def _from(inputs: Inputs) -> dt.datetime:
    return inputs.night.end - dt.timedelta(days=inputs.param("days") + inputs.param("delay"))


def _scored(inputs: Inputs) -> Source:
    until = inputs.night.end - dt.timedelta(days=inputs.param("delay"))
    return Source(_log(inputs).id, "span", (_from(inputs), until))


def _decisions(inputs: Inputs) -> tuple[str | None, str | None]:
    decision = _reviews(inputs).field(FieldRole.REVIEWER_DECISION)
    return decision, _log(inputs).field(FieldRole.PREDICTION)


def _text(column: Any) -> Any:
    return column.cast("string")
