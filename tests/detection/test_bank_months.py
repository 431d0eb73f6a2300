"""Real telemarketing calls, month by month: what a model of 2008 is told about 2009 and 2010.

Each month is a night. The model was trained on 2008; its reference are scores of 2008 out of
sample. Interest rates fell and employment shrank after 2008, and far more people said yes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd  # noqa: TID253 - the peers under comparison work on pandas
import pytest

from nachweis import registry
from nachweis.domain.disclosure import seal_finding, seal_findings
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, Subject, SubjectKind
from nachweis.domain.observation import Source
from nachweis.domain.record import Evidence
from nachweis.engines.drift import drift
from nachweis.engines.expectations import check_suite
from nachweis.pipeline.archive import Archive, open_archive
from nachweis.pipeline.lint import lint
from nachweis.pipeline.load import load_world
from nachweis.pipeline.night import observe_subject, run_night
from nachweis.pipeline.summary import NightSummary
from nachweis.pipeline.verification import verify_all
from nachweis.settings import Settings
from tests.detection.real_data import (
    CATEGORIES,
    FEATURES,
    FIXTURES,
    NUMBERS,
    BankWorld,
    context_of,
    night_of,
    night_settings,
    prepare_bank,
)
from tests.raw_values import declared, everything, raw_values
from tests.subtraction import small_counts

MODEL = Subject(kind=SubjectKind.MODEL, id="deposit-propensity")
STEPPED = ("euribor3m", "nr.employed", "emp.var.rate")
"""Columns that really moved after 2008."""
SMALL = {"2008-10": 67, "2008-12": 10}
STATISTICAL = (
    "error_rate_parity_held",
    "feature_distribution_stable",
    "missing_share_stable",
    "prediction_distribution_stable",
    "selection_rate_parity_held",
)
MONTHLY = (*STATISTICAL, "groups_large_enough")
"""What is looked at in all 26 months; the signed ones are looked at by every check."""
SIGNED = ("2008-11", "2008-12", "2009-04")


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> BankWorld:
    return prepare_bank(tmp_path_factory.mktemp("bank"))


class ObservedPast(Archive):
    """Evidence of the months observed so far, as it would have been signed."""

    def __init__(self, cache: Path) -> None:
        super().__init__(store=None, cache=cache)  # type: ignore[arg-type] - nothing is read
        self._past: list[tuple[str, Evidence]] = []

    def remember(self, night: str, findings: Sequence[Finding]) -> None:
        evidence = Evidence(
            night=night,
            subject=str(MODEL),
            data_versions={},
            windows={},
            findings=tuple(seal_finding(finding) for finding in findings),
            queries={},
            software={},
        )
        self._past.append((night, evidence))

    def history(self, subject: str, night: dt.date, nights: int) -> list[tuple[str, Evidence]]:
        assert subject == str(MODEL)
        return list(reversed(self._past[-nights:]))


Months = dict[str, dict[tuple[str, str | None], Finding]]


@pytest.fixture(scope="module")
def months(bank: BankWorld, tmp_path_factory: pytest.TempPathFactory) -> Months:
    """Findings about the model in every month, each with the months before as its history."""
    settings = Settings(world=str(bank.folder), state=tmp_path_factory.mktemp("state"))
    past, found = ObservedPast(settings.cache), {}
    checks = [registry.check(name) for name in MONTHLY]
    for month in bank.months:
        night = night_of(month)
        context = context_of(night, settings)
        seen = observe_subject(context, MODEL, archive=past, checks=checks).findings
        past.remember(night, seen)
        found[month] = {(finding.check, finding.column): finding for finding in seen}
    return found


def measured(finding: Finding, name: str) -> list[Measurement]:
    return [one for one in finding.measurements if one.name == name]


def value(finding: Finding, name: str) -> object:
    (one,) = measured(finding, name)
    return one.value


def after(months: Months, first: str) -> list[str]:
    return [month for month in months if month >= first]


# ------------------------------------------------------------------------------- declarations


@pytest.mark.parametrize("world", ["bank", "support"])
def test_the_manifests_have_no_problem(world: str, tmp_path: Path) -> None:
    settings = Settings(world=str(FIXTURES / world), state=tmp_path)

    assert [str(problem) for problem in lint(settings, registry.checks(), check_suite)] == []


def test_the_model_sees_neither_the_length_of_a_call_nor_its_month(bank: BankWorld) -> None:
    declared = context_of("2009-04-30", Settings(world=str(bank.folder))).loaded.world
    log, training = declared.data_sets["bank-scores"], declared.data_sets["bank-training"]

    assert [column.name for column in log.columns if column.feature] == [
        column.name for column in training.columns if column.feature
    ]
    assert {column.name for column in log.columns if column.feature} == set(FEATURES)
    assert not {"duration", "month", "y"} & {column.name for column in log.columns}


# -------------------------------------------------------------------------------- training data


def test_training_data_fail_their_suite_for_calls_recorded_twice_and_nothing_else(
    bank: BankWorld, tmp_path: Path
) -> None:
    settings = Settings(world=str(bank.folder), state=tmp_path)
    subject = Subject(kind=SubjectKind.DATA_SET, id="bank-training")
    context = context_of("2009-04-30", settings)

    seen = observe_subject(context, subject, archive=ObservedPast(settings.cache)).findings
    found = {finding.check: finding for finding in seen}

    suite = found["training_data_meets_suite"]
    assert (suite.outcome, suite.severity) == (Outcome.FAIL, Severity.MEDIUM)
    (twice,) = measured(suite, "expect_compound_columns_to_be_unique")
    facts = bank.reference.drop(columns=["call_id", "score", "selected"])
    assert twice.value == facts.duplicated(keep=False).sum() > 0
    assert twice.n == len(bank.reference)
    others = [one for one in suite.measurements if one != twice]
    assert len(others) == 9
    assert all(one.value in (0, True) for one in others)
    assert found["schema_as_declared"].outcome is Outcome.PASS


def test_all_twelve_duplicates_of_the_source_are_kept(bank: BankWorld) -> None:
    facts = bank.calls.drop(columns=["call_id", "score", "selected"])

    assert len(facts) == 41_188
    assert facts.duplicated().sum() == 12


# ---------------------------------------------------------------------------------------- drift


@pytest.mark.parametrize("column", STEPPED)
def test_economic_indicators_drift_by_the_librarys_rule_in_every_later_month(
    months: Months, column: str
) -> None:
    for month in after(months, "2009-03"):
        finding = months[month]["feature_distribution_stable", column]
        (distance,) = measured(finding, "distance")
        assert distance.drifted, month
        assert float(str(distance.value)) > 0.5, month


@pytest.mark.parametrize("column", STEPPED)
def test_economic_indicators_fail_by_persistence_in_every_later_month_however_small(
    months: Months, column: str
) -> None:
    for month in after(months, "2009-03"):
        finding = months[month]["feature_distribution_stable", column]
        assert finding.outcome is Outcome.FAIL, month
        assert finding.severity is Severity.MEDIUM
        assert int(str(value(finding, "nights_different"))) >= 2


def test_a_difference_fails_on_its_second_night_and_is_told_on_its_first(months: Months) -> None:
    first, second = (
        months[month]["feature_distribution_stable", "emp.var.rate"]
        for month in ("2008-05", "2008-06")
    )

    assert (first.outcome, first.severity) == (Outcome.PASS, Severity.INFO)
    assert "not yet persistent" in first.explanation
    assert (second.outcome, second.severity) == (Outcome.FAIL, Severity.MEDIUM)


def test_a_month_without_a_verdict_does_not_interrupt_a_difference(months: Months) -> None:
    """October 2008 has 67 calls and says neither yes nor no; August and November both differ."""
    november = months["2008-11"]["feature_distribution_stable", "contact"]

    assert november.outcome is Outcome.FAIL
    assert value(november, "nights_different") == 3


@pytest.mark.parametrize("month", sorted(SMALL))
def test_months_of_a_few_calls_raise_no_alarm(months: Months, bank: BankWorld, month: str) -> None:
    assert len(bank.month(month)) == SMALL[month]
    found = months[month]

    assert {
        (finding.check, finding.column): finding.outcome
        for finding in found.values()
        if finding.check in STATISTICAL and finding.outcome is not Outcome.NOT_AVAILABLE
    } == {}
    # What remains is the plain fact that nobody can be compared, below every alarm.
    failed = [finding for finding in found.values() if finding.outcome is Outcome.FAIL]
    assert {finding.check for finding in failed} == {"groups_large_enough"}
    assert {finding.severity for finding in failed} == {Severity.LOW}


def test_people_called_before_appear_and_unknown_is_a_value_like_any_other(
    months: Months, bank: BankWorld
) -> None:
    """In 2008 hardly anybody had been called before; ``default`` is unknown for many, not null."""
    august = months["2009-08"]

    before = august["missing_share_stable", "pdays"]
    assert before.outcome is Outcome.FAIL
    assert value(before, "missing_share") == pytest.approx(
        bank.month("2009-08")["pdays"].isna().mean(), rel=1e-9
    )
    assert (bank.reference["default"] == "unknown").mean() > 0.2
    assert value(august["missing_share_stable", "default"], "missing_share_reference") == 0


@pytest.mark.parametrize("month", ["2009-04", "2010-07"])
def test_drift_values_equal_evidentlys_own_report(
    bank: BankWorld, months: Months, tmp_path: Path, month: str
) -> None:
    columns = ("age", "campaign", "previous", "euribor3m", "emp.var.rate", "job", "poutcome")
    theirs = evidently_values(bank.reference, bank.month(month), columns)
    context = context_of(night_of(month), Settings(world=str(bank.folder), state=tmp_path))
    model = context.loaded.world.models[MODEL.id]
    reference, current = Source("bank-reference"), Source("bank-scores", "current")

    with context.tables() as tables:
        for column in columns:
            kind = "numeric" if column in NUMBERS else "categorical"
            ours = drift(
                *(
                    tables.profile(source, model.current, column, kind)
                    for source in (reference, current)
                )
            )
            assert ours.value == pytest.approx(theirs[column], rel=1e-9, abs=1e-9), column
            published = value(months[month]["feature_distribution_stable", column], "distance")
            assert float(str(published)) == pytest.approx(theirs[column], rel=1e-8), column


def evidently_values(
    reference: pd.DataFrame, current: pd.DataFrame, columns: Sequence[str]
) -> dict[str, float]:
    """What a user of Evidently gets from its report, one ``ValueDrift`` per column."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    definition = DataDefinition(
        numerical_columns=[column for column in columns if column in NUMBERS],
        categorical_columns=[column for column in columns if column in CATEGORIES],
    )
    current_data, reference_data = (
        Dataset.from_pandas(rows[list(columns)].reset_index(drop=True), data_definition=definition)
        for rows in (current, reference)
    )
    report = Report([ValueDrift(column=column) for column in columns])
    results = report.run(current_data, reference_data).dict()["metrics"]
    assert len(results) == len(columns)
    return {column: float(result["value"]) for column, result in zip(columns, results, strict=True)}


# ------------------------------------------------------------------------- outcomes and groups


def test_the_rise_of_subscriptions_shows_in_the_numbers_by_outcome(
    months: Months, bank: BankWorld
) -> None:
    """People who subscribed are the denominator of one rate, the others of the other."""
    shares = {}
    for month, found in months.items():
        finding = found["error_rate_parity_held", "age-band"]
        yes, no = (
            sum(one.n or 0 for one in measured(finding, name))
            for name in ("true_positive_rate", "false_positive_rate")
        )
        calls = bank.month(month)
        assert (yes, yes + no) == ((calls["y"] == "yes").sum(), len(calls)), month
        assert value(finding, "outcomes_arrived") == 1
        shares[month] = yes / (yes + no)

    assert shares["2008-05"] < 0.04
    assert shares["2009-05"] < 0.1
    assert min(shares[month] for month in after(months, "2009-09")) > 0.38


def test_groups_are_counted_as_they_are(months: Months, bank: BankWorld) -> None:
    bands = pd.cut(
        bank.calls["age"],
        [0, 30, 45, 60, 200],
        right=False,
        labels=["under 30", "30 to under 45", "45 to under 60", "60 and over"],
    )
    groups = {"age-band": bands, "marital-status": bank.calls["marital"]}
    for month, found in months.items():
        rows = bank.calls["period"] == month
        for attribute, group in groups.items():
            finding = found["groups_large_enough", attribute]
            sizes = group[rows].astype(str).value_counts().to_dict()
            rare = {name: size for name, size in sizes.items() if size < 10}
            shown = {name: size for name, size in sizes.items() if name not in rare}
            if rare:
                shown["(groups of fewer than 10 rows)"] = sum(rare.values())
            assert {one.group: one.value for one in measured(finding, "group_size")} == shown, month
            expected = Outcome.PASS if min(sizes.values()) >= 100 else Outcome.FAIL
            assert finding.outcome is expected, (month, attribute)


def test_selection_rates_are_those_of_the_groups_that_are_large_enough(
    months: Months, bank: BankWorld
) -> None:
    compared = 0
    for month, found in months.items():
        finding = found["selection_rate_parity_held", "marital-status"]
        rates = bank.month(month).groupby("marital")["selected"].agg(["size", "mean"])
        large = rates[rates["size"] >= 100]["mean"]
        assert {
            one.group: one.value
            for one in measured(finding, "selection_rate")
            if one.value is not None
        } == pytest.approx(large.to_dict(), rel=1e-8), month
        if len(large) < 2:
            assert finding.outcome is Outcome.NOT_AVAILABLE
            continue
        compared += 1
        ratio = value(finding, "selection_rate_ratio")
        if large.max() > 0:
            assert ratio == pytest.approx(large.min() / large.max(), rel=1e-8)
        if finding.outcome is Outcome.FAIL:
            assert float(str(ratio)) < 0.8
    assert compared >= 15


# -------------------------------------------------------------------------------- signed nights


@pytest.fixture(scope="module")
def signed(bank: BankWorld, module_store_settings: Settings) -> Iterator[dict[str, NightSummary]]:
    """Three months run end to end into a real S3 server."""
    settings = module_store_settings.model_copy(update={"world": str(bank.folder)})
    with night_settings(settings):
        yield {month: run_night(night_of(month)) for month in SIGNED}


@pytest.mark.store
def test_months_are_signed_one_after_the_other_and_verify(
    signed: dict[str, NightSummary],
) -> None:
    settings = Settings()

    assert [summary.night for summary in signed.values()] == [night_of(month) for month in SIGNED]
    for summary in signed.values():
        assert (summary.models, summary.data_sets) == (1, 4)
        assert (summary.not_run, summary.blocked, summary.blind) == ((), (), ())
        assert summary.counts["error"] == 0
        assert summary.chain_ok, summary.chain_problems
        assert summary.site_problem == ""
    verification = verify_all(settings)
    assert verification.ok, verification.text()


@pytest.mark.store
def test_signed_findings_are_those_that_were_observed(
    signed: dict[str, NightSummary], bank: BankWorld
) -> None:
    """The first signed month has no history; the third fails because the first differed."""
    november, december, april = (
        {finding.column: finding.outcome.value for finding in drifted_in(month)} for month in SIGNED
    )

    assert {november[column] for column in STEPPED} == {"pass"}
    assert set(december.values()) == {"not_available"}
    assert {april[column] for column in STEPPED} == {"fail"}
    alarms = {
        (item.check, item.severity) for item in signed["2008-12"].open if item.subject == str(MODEL)
    }
    # The last two speak about the training set, and are as true in a month of ten calls: the
    # reference are the training calls, scored out of fold, and some inputs add nothing.
    assert alarms == {
        ("groups_large_enough", "low"),
        ("features_minimal", "low"),
        ("train_test_overlap_absent", "high"),
    }


def drifted_in(month: str) -> list[Finding]:
    archive = open_archive(Settings())
    attempt = archive.current(night_of(month))
    assert attempt is not None
    evidence = archive.evidence(archive.statement(attempt).evidence[str(MODEL)])
    return [one for one in evidence.findings if one.check == "feature_distribution_stable"]


@pytest.mark.store
def test_the_same_month_again_changes_nothing(signed: dict[str, NightSummary]) -> None:
    before = open_archive(Settings()).length

    again = run_night(night_of(SIGNED[-1]))

    assert again.repeated
    assert open_archive(Settings()).length == before
    assert again.attempt == signed[SIGNED[-1]].attempt


@pytest.mark.store
def test_no_number_of_a_call_and_no_rare_value_is_published(
    signed: dict[str, NightSummary], bank: BankWorld
) -> None:
    settings = Settings()
    nights = [night_of(month) for month in SIGNED]
    raw = raw_values(load_world(settings).world, bank.folder, nights)
    published = everything(settings)

    assert len(raw.keys) > 25_000
    assert len(raw.rare) > 1_000
    assert published.found(raw, lambda: declared(bank.folder)) == {}


@pytest.mark.store
def test_no_subtraction_of_signed_months_tells_of_few(signed: dict[str, NightSummary]) -> None:
    archive = open_archive(Settings())
    published = {
        attempt.night: {
            subject: list(archive.evidence(digest).findings)
            for subject, digest in archive.statement(attempt).evidence.items()
        }
        for attempt in archive.every_attempt
    }

    assert len(published) == len(SIGNED)
    assert small_counts(published) == []


def test_what_is_published_of_26_months_tells_of_few_neither_and_unsealed_it_would(
    months: Months,
) -> None:
    exact = {month: {str(MODEL): list(found.values())} for month, found in months.items()}
    sealed = {
        month: {str(MODEL): seal_findings(found[str(MODEL)])} for month, found in exact.items()
    }

    assert small_counts(sealed) == []
    assert len(small_counts(exact)) > 100
