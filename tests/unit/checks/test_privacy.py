"""The privacy checks: what counts as a leak, a release, a useless feature; nothing leaves them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nachweis.checks.privacy._examples import table, turns
from nachweis.checks.privacy._texts import seen
from nachweis.checks.privacy.anonymity_dossier_complete import AnonymityDossierComplete
from nachweis.checks.privacy.dialogues_free_of_identifiers import DialoguesFreeOfIdentifiers
from nachweis.checks.privacy.direct_identifiers_absent import DirectIdentifiersAbsent
from nachweis.checks.privacy.features_minimal import FeaturesMinimal
from nachweis.checks.privacy.membership_inference_bounded import MembershipInferenceBounded
from nachweis.checks.privacy.outputs_free_of_identifiers import OutputsFreeOfIdentifiers
from nachweis.checks.privacy.personal_data_declared import PersonalDataDeclared
from nachweis.checks.privacy.releases_k_anonymous import ReleasesKAnonymous
from nachweis.checks.privacy.values_coarse_enough import ValuesCoarseEnough
from nachweis.domain.check import Check, Example, ExampleTable
from nachweis.domain.finding import Finding, Outcome
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.manifest.privacy import Release, TextPatterns
from nachweis.domain.observation import ColumnProfile, KindCount, TextCounts
from nachweis.engines.contribution import contributions
from nachweis.engines.membership import attacks
from nachweis.pipeline.examples import run_example

CANARY = "canary.person@example.com"


def run(check: type[Check], tables: dict[str, ExampleTable], **more: Any) -> Finding:
    (finding,) = run_example(check, Example("x", Outcome.PASS, tables, **more))
    return finding


def number(finding: Finding, name: str, group: str | None = None) -> Any:
    return next(m.value for m in finding.measurements if m.name == name and m.group == group)


# -------------------------------------------------------------------------------------- texts


def test_no_finding_tells_what_was_found() -> None:
    said = turns(("assistant", f"It went to {CANARY}."), ("customer", f"I am {CANARY}"))
    rows = table({"key": [CANARY, "k1"], "n": [1, 2]}, identifiability="pseudonymised")
    findings = [
        run(OutputsFreeOfIdentifiers, said),
        run(DialoguesFreeOfIdentifiers, said),
        run(DirectIdentifiersAbsent, {"rows": rows}),
        run(PersonalDataDeclared, {"rows": rows}),
    ]
    assert {finding.outcome for finding in findings} == {Outcome.FAIL}
    assert not any("canary" in finding.model_dump_json() for finding in findings)


def test_only_texts_of_the_model_are_its_outputs() -> None:
    said = turns(("customer", CANARY), ("bot", CANARY), turns={"ai": ["bot"]})
    assert number(run(OutputsFreeOfIdentifiers, said), "texts_with_identifiers") == 1
    assert number(run(DialoguesFreeOfIdentifiers, said), "texts_with_identifiers") == 2


def test_turns_of_the_system_may_be_declared_as_nobodys() -> None:
    spoken = (("assistant", "Hello"), ("system", f"Contact: {CANARY}"))
    assert run(OutputsFreeOfIdentifiers, turns(*spoken)).outcome is Outcome.NOT_AVAILABLE
    declared = turns(*spoken, turns={"others": ["system"]})
    assert run(OutputsFreeOfIdentifiers, declared).outcome is Outcome.PASS


def test_kinds_that_a_column_is_declared_to_hold_do_not_excuse_others() -> None:
    said = turns(("customer", "+49 171 2345678, cpr 070761-4285"), columns={"holds": ["phone"]})
    finding = run(DialoguesFreeOfIdentifiers, said)
    assert finding.outcome is Outcome.FAIL
    assert "danish cpr" in finding.explanation
    assert "phone" not in finding.explanation


def test_harmless_numbers_are_declared_per_data_set() -> None:
    parcel = ("customer", "parcel card 4539148803436467")
    assert run(DialoguesFreeOfIdentifiers, turns(parcel)).outcome is Outcome.FAIL
    declared = turns(parcel, text_patterns={"harmless": [r"parcel card \d{16}"]})
    assert run(DialoguesFreeOfIdentifiers, declared).outcome is Outcome.PASS


@pytest.mark.parametrize("expression", ["(?=a)b", r"(a)\1", "a++", "(", "a*"])
def test_patterns_outside_the_common_subset_are_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"subset|expression|empty"):
        TextPatterns(identifiers={"own": expression})


def test_unproved_texts_are_never_a_pass() -> None:
    (finding,) = DialoguesFreeOfIdentifiers()._of(*_judged(unproved=3))
    assert finding.outcome is Outcome.NOT_AVAILABLE
    (finding,) = DialoguesFreeOfIdentifiers()._of(*_judged(unproved=0))
    assert finding.outcome is Outcome.PASS


def _judged(unproved: int) -> Any:
    import datetime as dt

    from nachweis.domain.check import Inputs
    from nachweis.domain.finding import Subject, SubjectKind
    from nachweis.domain.night import Night
    from nachweis.pipeline.example_worlds import example_world

    check = DialoguesFreeOfIdentifiers
    world = example_world(check, Example("x", Outcome.PASS, turns()))
    subject = Subject(kind=SubjectKind.DATA_SET, id="dialogues")
    night = Night(dt.date(2026, 3, 2))
    inputs = Inputs(world, subject, night, check.effective_params({}, {}))
    column = world.data_sets["dialogues"].columns[3]
    return inputs, column, TextCounts({None: 10}, 0, unproved, {}, {})


@given(st.integers(0, 30), st.integers(0, 300))
def test_sure_identifiers_always_count_and_bare_ones_only_beyond_chance(
    possible: int, more: int
) -> None:
    found = {(None, "payment_card"): KindCount(possible=possible, forms=possible + more)}
    counts = TextCounts({None: 500}, 0, 0, found, {})
    (one,) = seen(counts, ("payment_card",), 0.001)
    if possible <= 2 or possible <= more / 9:
        assert not one.told
    if possible >= 10 and more == 0:
        assert one.told
    sure = TextCounts({None: 1}, 0, 0, {(None, "payment_card"): KindCount(1, 1)}, {})
    assert seen(sure, ("payment_card",), 0.001)[0].told


# -------------------------------------------------------------------------------- declarations


def test_a_column_that_is_in_the_data_and_not_declared_is_not_classified() -> None:
    rows = table({"key": ["a", "b"]}, columns={"key": {"category": "number"}})
    more = ExampleTable(rows.role, {**rows.rows, "extra": [1, 2]}, rows.declare)
    finding = run(PersonalDataDeclared, {"rows": more})
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "extra" in finding.declare


def test_random_card_like_ids_do_not_make_a_column_of_cards() -> None:
    draw = np.random.default_rng(3)
    ids = [f"4{n:015d}" for n in draw.integers(0, 10**15, 400)]
    rows = table({"id": ids}, columns={"id": {"personal": False}})
    assert run(PersonalDataDeclared, {"rows": rows}).outcome is Outcome.PASS


def test_a_hashed_key_is_not_scanned() -> None:
    rows = table(
        {"key": ["0707614285" * 6 + "abcd"] * 3, "n": ["x"] * 3},
        identifiability="pseudonymised",
        subject_key={"column": "key", "form": "hmac_sha256", "key_env": "KEY"},
    )
    assert run(DirectIdentifiersAbsent, {"rows": rows}).outcome is Outcome.PASS


def test_a_dossier_does_not_cover_columns_it_does_not_know() -> None:
    good = AnonymityDossierComplete.examples[0].tables["rows"]
    more = ExampleTable(good.role, {**good.rows, "street": ["x"] * 20}, good.declare)
    finding = run(AnonymityDossierComplete, {"rows": more})
    assert finding.outcome is Outcome.FAIL
    assert "street" in finding.explanation


def test_missing_coordinates_and_whole_numbers_are_not_finer() -> None:
    rows = table({"lon": [10.0, None, 10.125, float("nan")]})
    finding = run(ValuesCoarseEnough, {"rows": rows})
    assert finding.outcome is Outcome.PASS
    assert number(finding, "share_finer", "lon") == 0


# ------------------------------------------------------------------------------------ releases

_ROWS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from((1, 2, None)), st.sampled_from("xyz")),
    min_size=1,
    max_size=40,
)


@settings(max_examples=8, deadline=None)
@given(_ROWS)
def test_classes_are_those_of_a_plain_count(rows: list[tuple[str, int | None, str]]) -> None:
    release = {"quasi_identifiers": ["p", "q"], "sensitive": ["s"], "k": 3, "l": 2, "t": 0.25}
    columns = {"p": [r[0] for r in rows], "q": [r[1] for r in rows], "s": [r[2] for r in rows]}
    finding = run(
        ReleasesKAnonymous,
        {
            "rows": table(
                columns, DataSetRole.SOURCE, columns={"q": {"type": "integer"}}, release=release
            )
        },
    )
    classes = Counter(r[:2] for r in rows)
    overall = Counter(r[2] for r in rows)
    inside = {key: Counter(r[2] for r in rows if r[:2] == key) for key in classes}
    distances = [
        sum(abs(inside[key][v] / n - overall[v] / len(rows)) for v in overall) / 2
        for key, n in classes.items()
    ]
    assert number(finding, "smallest_class") == min(classes.values())
    assert number(finding, "rows_in_small_classes") == sum(n for n in classes.values() if n < 3)
    assert number(finding, "rows_alone") == sum(n == 1 for n in classes.values())
    assert number(finding, "fewest_values", "s") == min(map(len, inside.values()))
    assert number(finding, "largest_distance", "s") == pytest.approx(max(distances), abs=1e-9)
    kept = min(classes.values()) >= 3 and min(map(len, inside.values())) >= 2
    assert (finding.outcome is Outcome.PASS) == (kept and max(distances) <= 0.25 + 1e-12)


def test_columns_of_a_release_must_exist() -> None:
    with pytest.raises(ValueError, match=r"release\.quasi_identifiers"):
        run(ReleasesKAnonymous, {"rows": table({"a": [1]}, release={"quasi_identifiers": ["b"]})})
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        Release(quasi_identifiers=["a"], k=1)


# ---------------------------------------------------------------------------------- membership


def profile(values: np.ndarray) -> ColumnProfile:
    support, counts = np.unique(values, return_counts=True)
    return ColumnProfile("numeric", support, counts, 0, 0, len(values))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(5, 60), st.integers(5, 60))
def test_attacks_equal_sklearn_and_scipy(seed: int, m: int, n: int) -> None:
    from sklearn.metrics import roc_auc_score

    draw = np.random.default_rng(seed)
    a, b = draw.integers(0, 12, m) / 12, draw.integers(0, 12, n) / 12
    high, low, sure = attacks(profile(a), profile(b))
    truth = np.r_[np.ones(m), np.zeros(n)]
    both = np.r_[a, b]
    assert high.auc == pytest.approx(roc_auc_score(truth, both), abs=1e-9)
    assert low.auc == pytest.approx(roc_auc_score(truth, -both), abs=1e-9)
    assert sure.auc == pytest.approx(roc_auc_score(truth, np.abs(both - 0.5)), abs=1e-9)
    one_sided = stats.ks_2samp(a, b, alternative="less").statistic
    assert high.advantage == pytest.approx(one_sided, abs=1e-9)


def test_the_interval_is_that_of_delong() -> None:
    draw = np.random.default_rng(1)
    a, b = draw.normal(0.3, 1, 40), draw.normal(0, 1, 30)
    wins = (a[:, None] > b[None, :]) + 0.5 * (a[:, None] == b[None, :])
    variance = wins.mean(1).var(ddof=1) / 40 + wins.mean(0).var(ddof=1) / 30
    half = stats.norm.ppf(1 - 0.05 / 4) * np.sqrt(variance)
    attack = attacks(profile(a), profile(b))[0]
    assert attack.interval == pytest.approx((wins.mean() - half, wins.mean() + half), abs=1e-9)


def test_scores_outside_of_probabilities_know_no_confidence() -> None:
    assert len(attacks(profile(np.arange(9.0)), profile(np.arange(9.0)))) == 2
    assert attacks(profile(np.ones(1)), profile(np.ones(5))) == []


def test_a_constant_score_tells_nothing() -> None:
    same = [0.5] * 300
    fields: dict[str, Any] = {"fields": {"score": "s"}}
    finding = run(
        MembershipInferenceBounded,
        {
            "training": table({"s": same}, **fields),
            "reference": table({"s": same}, DataSetRole.REFERENCE, **fields),
        },
    )
    assert finding.outcome is Outcome.PASS


# -------------------------------------------------------------------------------- contribution


def test_the_effect_is_the_rise_of_the_residual_of_nested_models() -> None:
    from sklearn.linear_model import LinearRegression

    draw = np.random.default_rng(5)
    n = 600
    a, b = draw.integers(0, 4, n).astype(float), draw.choice(["x", "y", "z"], n).astype(object)
    y = a + (b == "x") + draw.normal(size=n)
    found = {c.feature: c for c in contributions({"a": a, "b": b}, y)}  # type: ignore[union-attr]
    dummies = {
        "a": np.column_stack([a == v for v in (1, 2, 3)]).astype(float),
        "b": np.column_stack([b == v for v in ("y", "z")]).astype(float),
    }

    def residual(*names: str) -> float:
        x = np.column_stack([dummies[name] for name in names])
        return float(((y - LinearRegression().fit(x, y).predict(x)) ** 2).sum())

    full = residual("a", "b")
    for name, other in (("a", "b"), ("b", "a")):
        rise = (residual(other) - full) / full
        assert found[name].f_squared == pytest.approx(rise, abs=1e-9)
        degrees = dummies[name].shape[1]
        p = stats.f.sf(rise * (n - 6) / degrees, degrees, n - 6)
        assert found[name].p_value == pytest.approx(p, abs=1e-9)


def test_the_bound_covers_an_effect_of_known_size() -> None:
    covered = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        a, b = draw.choice([0.0, 1.0], 3000), draw.choice([0.0, 1.0], 3000)
        y = a + 0.1 * b + draw.normal(size=3000)
        found = contributions({"a": a, "b": b}, y)
        covered += found[1].upper >= 0.0025  # type: ignore[union-attr]
    assert covered >= 56  # 99.5 % per feature: fewer than 56 of 60 has a probability below 0.1 %


def test_a_copy_adds_nothing_and_classes_and_gaps_are_read() -> None:
    draw = np.random.default_rng(2)
    a = draw.normal(size=2000)
    a[:100] = np.nan
    label = np.where(np.nan_to_num(a) + draw.normal(size=2000) > 0, "yes", "no").astype(object)
    label[5] = None
    found = contributions({"a": a, "copy": a}, label)
    assert [one.f_squared for one in found] == [0.0, 0.0]  # type: ignore[union-attr]
    alone = contributions({"a": a}, label)
    assert alone[0].f_squared > 0.1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (np.ones(1000), "one value"),
        (np.full(1000, np.nan), "one value"),
        (np.array([f"c{i}" for i in range(1000)], dtype=object), "too many"),
    ],
)
def test_a_label_without_classes_gives_no_verdict(label: np.ndarray, reason: str) -> None:
    found = contributions({"a": np.arange(1000.0)}, label)
    assert isinstance(found, str)
    assert reason in found


def test_a_label_that_is_a_feature_is_not_judged() -> None:
    values = np.tile([0.0, 1.0], 500)
    assert "exactly" in str(contributions({"a": values}, values))


def test_features_with_random_labels_are_not_blamed_on_few_rows() -> None:
    draw = np.random.default_rng(9)
    n = 400
    rows = {
        "key": [f"k{i}" for i in range(n)],
        "a": draw.integers(0, 50, n).tolist(),
        "y": draw.integers(0, 2, n).tolist(),
    }
    columns = {"a": {"feature": True}}
    more: dict[str, Any] = {"subject_key": {"column": "key"}, "fields": {"label": "y"}}
    given_tables = {"training": table(rows, columns=columns, **more)}
    finding = run(FeaturesMinimal, given_tables, model={"features": ["a"]})
    assert finding.outcome is Outcome.PASS
