"""Group rates equal Fairlearn's on the rows; small, undefined and undeclared groups are marked."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from fairlearn import metrics as fairlearn_metrics  # noqa: TID253 - the peer under comparison
from hypothesis import given, settings
from hypothesis import strategies as st

from nachweis.domain.observation import CountTable
from nachweis.engines.fairness import error_rates, group_means, selection_rates

# docs/user_guide/assessment/perform_fairness_assessment.rst of Fairlearn
Y_TRUE = [0, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1]
Y_PRED = [0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0]
GROUPS = list("bbabbcccaacabccbcc")

rows = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 1), st.integers(0, 1)),
    min_size=1,
    max_size=120,
)


def table(groups, labels, predictions):
    counted = Counter(zip(groups, labels, predictions, strict=True))
    return CountTable(("group", "label", "prediction"), counted)


def on_rows(metric, data):
    groups, labels, predictions = zip(*data, strict=True)
    return fairlearn_metrics.MetricFrame(
        metrics=lambda t, p: getattr(fairlearn_metrics, metric)(t, p, pos_label=1),
        y_true=labels,
        y_pred=predictions,
        sensitive_features=list(groups),
    )


def test_fairlearns_published_example():
    counts = table(GROUPS, Y_TRUE, Y_PRED)
    selection = selection_rates(counts, "group", "prediction", 1, 1)
    errors = error_rates(counts, "group", "label", "prediction", 1, 1)
    hit, alarm = errors["true_positive_rate"], errors["false_positive_rate"]

    assert [v.value for v in selection.groups] == [0.75, 0.5, 0.5]
    assert [v.n for v in selection.groups] == [4, 6, 8]
    assert [v.value for v in hit.groups] == [0.5, 0.6, 0.4]
    assert [v.value for v in alarm.groups] == pytest.approx([1.0, 0.0, 0.666667], abs=1e-6)
    assert (selection.difference, hit.difference) == pytest.approx((0.25, 0.2))
    assert alarm.difference == 1.0
    assert (selection.ratio, hit.ratio) == pytest.approx((0.666667, 0.666667), abs=1e-6)
    assert alarm.ratio == 0.0
    assert (hit.highest, hit.lowest) == ("b", "c")


@given(rows)
@settings(max_examples=60, deadline=None)
def test_selection_rates_are_bit_identical_to_fairlearn_on_the_rows(data):
    report = selection_rates(table(*zip(*data, strict=True)), "group", "prediction", 1, 1)
    frame = on_rows("selection_rate", data)

    assert {v.group: v.value for v in report.groups} == frame.by_group.to_dict()
    if len(report.groups) > 1:
        assert report.difference == frame.difference()
        assert report.ratio == (frame.ratio() if frame.group_max() > 0 else None)


@given(rows)
@settings(max_examples=60, deadline=None)
def test_error_rates_are_bit_identical_where_they_are_defined(data):
    reports = error_rates(table(*zip(*data, strict=True)), "group", "label", "prediction", 1, 1)
    for metric, label in (("true_positive_rate", 1), ("false_positive_rate", 0)):
        by_group = on_rows(metric, data).by_group.to_dict()
        for value in reports[metric].groups:
            n = sum(1 for g, y, _ in data if g == value.group and y == label)
            assert value.n == n
            assert value.value == (by_group[value.group] if n else None)
            assert value.compared == (n > 0)


def test_rates_of_a_million_rows_are_those_of_their_counts():
    generator = np.random.default_rng(3)
    n = 1_000_000
    codes = generator.integers(0, 16, n)
    counted = Counter(codes.tolist())
    counts = CountTable(
        ("group", "label", "prediction"),
        {("abcd"[c // 4], c // 2 % 2, c % 2): k for c, k in counted.items()},
    )
    weights = fairlearn_metrics.MetricFrame(
        metrics=lambda t, p: fairlearn_metrics.selection_rate(t, p),
        y_true=codes // 2 % 2,
        y_pred=codes % 2,
        sensitive_features=codes // 4,
    )

    report = selection_rates(counts, "group", "prediction", 1, 100)
    assert [v.value for v in report.groups] == weights.by_group.tolist()


def test_small_groups_are_listed_with_their_rate_but_not_compared():
    counts = CountTable(
        ("group", "prediction"),
        {("a", 1): 50, ("a", 0): 50, ("b", 1): 40, ("b", 0): 60, ("c", 1): 9},
    )
    report = selection_rates(counts, "group", "prediction", 1, 10)

    small = report.of("c")
    assert (small.value, small.n, small.compared) == (1.0, 9, False)
    assert "9 rows, 10 are needed" in small.reason
    assert report.difference == pytest.approx(0.1)
    assert (report.highest, report.lowest) == ("a", "b")
    assert [v.group for v in report.compared] == ["a", "b"]


def test_an_undefined_rate_is_not_reported_as_zero():
    counts = table("aaabbb", [1, 1, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0])
    report = error_rates(counts, "group", "label", "prediction", 1, 1)["true_positive_rate"]

    assert report.of("b").value is None
    assert report.of("b").interval is None
    assert "undefined" in report.of("b").reason
    assert (report.difference, report.ratio, report.p_value) == (None, None, None)
    assert "1 group(s)" in report.reason


def test_people_without_the_attribute_are_shown_last_and_left_out_of_the_comparison():
    counts = CountTable(
        ("gender", "region", "prediction"),
        {
            ("f", "north", 1): 30,
            ("f", "north", 0): 30,
            ("m", "north", 1): 20,
            ("m", "north", 0): 40,
            (None, "north", 1): 500,
            ("f", None, 1): 70,
            (None, None, 1): 1,
        },
    )
    by_gender = selection_rates(counts, "gender", "prediction", 1, 10)
    both = selection_rates(counts, ("gender", "region"), "prediction", 1, 10)

    assert by_gender.groups[-1].group == "undeclared"
    assert by_gender.groups[-1].n == 501
    assert not by_gender.groups[-1].compared
    assert by_gender.difference == pytest.approx(100 / 130 - 20 / 60)
    assert [v.group for v in both.groups] == ["f & north", "m & north", "undeclared"]
    assert both.of("undeclared").n == 571
    with pytest.raises(KeyError):
        both.of("x & north")


def test_rows_without_prediction_or_outcome_do_not_enter_a_rate():
    counts = CountTable(
        ("group", "label", "prediction"),
        {("a", 1, 1): 6, ("a", None, 1): 90, ("a", 1, None): 90, ("b", 1, 0): 5, ("c", None, 1): 5},
    )
    report = error_rates(counts, "group", "label", "prediction", 1, 1)["true_positive_rate"]

    assert (report.of("a").value, report.of("a").n) == (1.0, 6)
    assert (report.of("c").value, report.of("c").n) == (None, 0)


@pytest.mark.parametrize("counts", [{}, {("a", 1): 0}])
def test_no_rows_give_an_empty_report_that_says_so(counts):
    report = selection_rates(
        CountTable(("group", "prediction"), counts), "group", "prediction", 1, 1
    )

    assert report.groups == ()
    assert report.difference is None
    assert "0 group(s)" in report.reason


def test_nobody_selected_leaves_the_ratio_undefined():
    counts = CountTable(("group", "prediction"), {("a", 0): 50, ("b", 0): 50})
    report = selection_rates(counts, "group", "prediction", 1, 1)

    assert (report.difference, report.ratio, report.p_value) == (0.0, None, 1.0)
    assert "no group has a positive value" in report.reason


@pytest.mark.parametrize(
    ("stored", "declared"), [("yes", "yes"), (True, True), (1, 1), (1.0, 1), ("1", 1), (True, 1)]
)
def test_the_declared_favourable_value_is_found_in_the_data(stored, declared):
    counts = CountTable(("group", "prediction"), {("a", stored): 3, ("a", "other"): 1})

    assert selection_rates(counts, "group", "prediction", declared, 1).of("a").value == 0.75


def test_the_outcome_may_be_written_differently_from_the_prediction():
    counts = table("aaaa", ["sale", "sale", "none", "none"], ["contact", "skip", "contact", "skip"])
    report = error_rates(
        counts, "group", "label", "prediction", "contact", 1, positive_label="sale"
    )

    assert report["true_positive_rate"].of("a").value == 0.5
    assert report["false_positive_rate"].of("a").value == 0.5


def test_a_real_difference_has_a_small_p_value_and_an_interval_off_zero():
    counts = CountTable(
        ("group", "prediction"),
        {("a", 1): 600, ("a", 0): 400, ("b", 1): 400, ("b", 0): 600, ("c", 1): 5, ("c", 0): 5},
    )
    report = selection_rates(counts, "group", "prediction", 1, 100)
    assert report.p_value < 1e-6
    assert report.difference_interval[0] > 0.1

    by_chance = selection_rates(counts, "group", "prediction", 1, 10)
    assert by_chance.p_value == pytest.approx(3 * report.p_value, rel=1e-9)


def test_means_by_group_come_with_intervals_where_squares_are_summed():
    values = {"a": np.array([1.0, 2, 3, 4]), "b": np.array([5.0, 7, 9])}
    counts = CountTable(
        ("group",),
        {(g,): len(v) for g, v in values.items()},
        {
            "score": {(g,): float(v.sum()) for g, v in values.items()},
            "score2": {(g,): float((v**2).sum()) for g, v in values.items()},
        },
    )
    report = group_means(counts, "group", "score", 1, squares="score2")

    assert (report.metric, report.difference, report.p_value) == ("mean_score", 4.5, None)
    low, high = report.of("a").interval
    half = 1.959963984540054 * values["a"].std(ddof=1) / 2
    assert (low, high) == pytest.approx((2.5 - half, 2.5 + half))
    assert report.difference_interval[0] < 4.5 < report.difference_interval[1]
    plain = group_means(counts, "group", "score", 1)
    assert plain.of("a").interval is None
    assert plain.difference_interval is None


def test_the_recipe_names_library_intervals_and_group_size():
    report = selection_rates(table(GROUPS, Y_TRUE, Y_PRED), "group", "prediction", 1, 7)

    for part in ("Fairlearn 0.15.0", "Wilson", "Newcombe", "7 rows"):
        assert part in report.recipe


def test_the_parity_claim_names_the_installed_version():
    from importlib.metadata import version

    report = selection_rates(table(GROUPS, Y_TRUE, Y_PRED), "group", "prediction", 1, 1)
    assert f"Fairlearn {version('fairlearn')}" in report.recipe
