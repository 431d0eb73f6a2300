"""Identifiers in texts: what is sure, what is only possible, and that the filter misses nothing."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nachweis.domain.check import Example, ExampleTable
from nachweis.domain.finding import Outcome
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.night import Night
from nachweis.domain.observation import KindCount, Source, TextCounts, TextScan
from nachweis.domain.patterns import is_cpr_date, is_luhn, mod_97, tax_id_check_digit
from nachweis.engines.tables import Tables
from nachweis.engines.text_patterns import (
    CHANCE,
    KINDS,
    Found,
    Own,
    beyond_chance,
    candidate_filter,
    find,
)

SURE = [
    ("email", "Write to erika.muster@example.org please"),
    ("email", "søren@blåbær.dk"),
    ("email", "full width: erika＠example．org"),
    ("phone", "call +49 171 2345678"),
    ("phone", "+45 33 92 00 00"),
    ("phone", "030 / 901 820 33"),
    ("phone", "my number: tlf. 20123456"),
    ("phone", "Handy 01712345678"),
    ("iban", "DE89 3704 0044 0532 0130 00"),
    ("iban", "LC55HEMM000100010012001200023015"),
    ("iban", "YE15CBYE0001018861234567891234"),
    ("iban", "SO21 1000 0010 0100 0100 141"),
    ("iban", "dk5000400440116243"),
    ("payment_card", "4539 1488 0343 6467"),
    ("payment_card", "my card is 4539148803436467"),
    ("danish_cpr", "070761-4285"),
    ("danish_cpr", "CPR-nummer: 0707614285"),
    ("german_tax_id", "86 095 742 719"),
    ("german_tax_id", "Steuer-ID 86095742719"),
    ("ip_address", "from 84.12.3.77 at night"),
    ("ip_address", "2001:67c:2e8:22::c100:68b"),
    ("secret", "AKIA" + "Q" * 16),
    ("secret", "token=ghp_" + "a1" * 18),
    ("secret", "-----BEGIN RSA " + "PRIVATE KEY-----"),
]
POSSIBLE = [
    ("payment_card", "reference 4539148803436467"),
    ("danish_cpr", "parcel 0707614285"),
    ("german_tax_id", "parcel 86095742719"),
]
QUIET = [
    "Order 4679105 is on its way",
    "ordrenummer 45612378",
    "Bestellung 03012345678",
    "on 2026-11-18 12:20:10 and 2026-11-19T08:00:00Z",
    "version 1.2.3.4, section 10.20.30.31",
    "192.168.10.77 is our printer",
    "between 12:30:15 and 13:45:59",
    "4539 1488 0343 6468",
    "DE88 3704 0044 0532 0130 00",
    "risk-based, not @ all.",
]


def sure(text: str, own: Own | None = None) -> set[str]:
    found = find(text, own) if own else find(text)
    return {kind for kind, one in found.items() if one.sure}


@pytest.mark.parametrize(("kind", "text"), SURE)
def test_an_identifier_is_found_once_and_under_its_own_name(kind: str, text: str) -> None:
    found = find(text)
    assert {name for name, one in found.items() if one.sure} == {kind}
    assert found[kind].sure == 1


@pytest.mark.parametrize(("kind", "text"), POSSIBLE)
def test_a_bare_number_with_a_right_check_digit_is_only_possible(kind: str, text: str) -> None:
    assert find(text) == {kind: Found(sure=0, possible=1, forms=1)}


@pytest.mark.parametrize("text", QUIET)
def test_numbers_of_trade_are_no_identifiers(text: str) -> None:
    assert {kind: one for kind, one in find(text).items() if one.sure or one.possible} == {}


def test_several_identifiers_are_counted_one_by_one() -> None:
    found = find("a@example.org, b@example.org, IBAN DE89370400440532013000")
    assert (found["email"].sure, found["iban"].sure) == (2, 1)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=40), st.sampled_from(SURE))
def test_whatever_stands_around_the_filter_lets_every_hit_through(
    around: str, sample: tuple[str, str]
) -> None:
    text = f"{around} {sample[1]} {around}"
    found = any(one.sure or one.possible for one in find(text).values())
    assert not found or _filtered(text)


def _filtered(text: str) -> bool:
    import duckdb

    row = duckdb.execute("SELECT regexp_matches(?, ?)", [text, candidate_filter()]).fetchone()
    return bool(row and row[0])


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("danish_cpr", "070761\u20134285"),
        ("danish_cpr", "070761\u20114285"),
        ("phone", "0171\u20132345678"),
        ("iban", "DE89\u20133704\u20130044\u20130532\u20130130\u201300"),
        ("payment_card", "4111\u20121111\u20121111\u20121111"),
    ],
)
def test_a_dash_of_good_typography_hides_nothing(kind: str, text: str) -> None:
    assert list(find(text)) == [kind]
    assert _filtered(text)


@pytest.mark.parametrize("text", [text for _, text in (*SURE, *POSSIBLE)])
def test_the_filter_lets_each_form_through(text: str) -> None:
    assert _filtered(text)


# ---------------------------------------------------------------------------------- check digits


@given(st.integers(0, 10**14 - 1))
def test_exactly_one_last_digit_makes_a_card_number(body: int) -> None:
    digits = [f"4{body:014d}{last}" for last in range(10)]
    assert sum(is_luhn(one) for one in digits) == 1
    assert [find(f"card {one}")["payment_card"].sure for one in digits if is_luhn(one)] == [1]


@given(st.integers(0, 10**18 - 1))
def test_exactly_one_pair_of_check_digits_makes_a_german_iban(account: int) -> None:
    valid = [one for one in (f"DE{k:02d}{account:018d}" for k in range(2, 99)) if mod_97(one) == 1]
    assert len(valid) == 1
    assert "iban" in sure(valid[0])


@given(st.permutations(range(10)), st.integers(0, 9))
def test_a_tax_id_is_found_with_its_check_digit_only(order: list[int], repeated: int) -> None:
    body = [*order[:9], order[repeated % 9]]
    digits = "".join(map(str, body))
    if digits[0] == "0":
        return
    right = tax_id_check_digit(digits)
    wrong = str((int(right) + 1) % 10)
    assert "german_tax_id" in sure(f"Steuer-ID {digits}{right}")
    assert "german_tax_id" not in sure(f"Steuer-ID {digits}{wrong}")


@given(st.dates(), st.integers(0, 9), st.integers(0, 999))
def test_a_cpr_number_needs_a_day_on_which_somebody_was_born(
    day: object, seventh: int, rest: int
) -> None:
    born = f"{day:%d%m%y}"
    known = is_cpr_date(int(born[:2]), int(born[2:4]), int(born[4:]), seventh)
    assert ("danish_cpr" in sure(f"CPR {born}-{seventh}{rest:03d}")) == known


def test_numbers_by_chance_stay_within_chance_and_planted_ones_do_not() -> None:
    draw = random.Random(7)
    totals = {kind: [0, 0] for kind in CHANCE}
    for _ in range(4000):
        length = draw.choice((10, 11, 16))
        text = f"ref {draw.randrange(10 ** (length - 1), 10**length)}"
        for kind, one in find(text).items():
            if kind in totals:
                totals[kind][0] += one.possible
                totals[kind][1] += one.forms
    for kind, (possible, forms) in totals.items():
        assert 0 < possible < forms
        assert not beyond_chance(kind, possible, forms)
        assert beyond_chance(kind, possible + 100, forms + 100)


@given(st.integers(1, 40), st.integers(0, 400), st.sampled_from(sorted(CHANCE)))
def test_beyond_chance_is_the_exact_binomial_test(possible: int, more: int, kind: str) -> None:
    forms = possible + more
    p = stats.binomtest(possible, forms, CHANCE[kind], alternative="greater").pvalue
    if abs(p - 0.001) > 1e-9 and possible > CHANCE[kind] * forms:
        assert beyond_chance(kind, possible, forms) == (p < 0.001)


def test_one_number_alone_is_never_beyond_chance() -> None:
    assert not any(beyond_chance(kind, 1, 1) for kind in KINDS)


# ------------------------------------------------------------------------------ what is declared


def test_own_identifiers_harmless_numbers_and_own_contacts() -> None:
    own = Own.of(
        patterns=(("order-number", r"\b[45]\d{6}\b"),),
        harmless=(r"\bGLS \d{11}\b",),
        allowed=("Service@Example.org", "+49 (0)30 9018-20"),
    )
    assert sure("Order 4679105", own) == {"order-number"}
    assert find("GLS 86095742719", own) == {}
    assert find("service@example.org or +49 30 901820", own) == {}
    assert sure("other@example.org", own) == {"email"}


# --------------------------------------------------------------------------------------- engine

_PLANTED = "mail a.b@example.org"


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[Tables]:
    from nachweis.checks.quality.schema_as_declared import SchemaAsDeclared
    from nachweis.pipeline.example_worlds import example_world

    plain = [f"Order {4_000_000 + i} has not arrived" for i in range(500)]
    rows = {
        "text": [*plain, *[_PLANTED] * 7, "tlf 20123456", None],
        "speaker": [*["assistant", "customer"] * 250, *["customer"] * 7, "assistant", "customer"],
    }
    table = ExampleTable(DataSetRole.DIALOGUES, rows)
    world = example_world(SchemaAsDeclared, Example("x", Outcome.PASS, {"d": table}))
    night = Night.parse("2026-03-02")
    with Tables(world, {}, night, cache=tmp_path, threads=1, memory_tables={"d": rows}) as opened:
        yield opened


def test_every_row_counts_by_group_and_equal_texts_are_proved_once(tables: Tables) -> None:
    counts = tables.texts(TextScan("x", Source("d"), "text", by="speaker"))
    assert counts == TextCounts(
        rows={"assistant": 251, "customer": 257},
        empty=1,
        unproved=0,
        found={
            ("customer", "email"): KindCount(rows=7, sure=7),
            ("assistant", "phone"): KindCount(rows=1, sure=1),
        },
        rows_with={"customer": 7, "assistant": 1},
    )
    assert tables.log.count("d:whole", "text") == 2


def test_texts_beyond_the_limit_are_counted_as_unproved(tables: Tables) -> None:
    counts = tables.texts(TextScan("x", Source("d"), "text", most=1))
    assert counts.unproved in {1, 7}
    assert sum(counts.rows.values()) == 508


def test_no_statement_holds_a_text(tables: Tables) -> None:
    counts = tables.texts(TextScan("x", Source("d"), "text"))
    assert not any(_PLANTED in entry.sql for entry in tables.log.entries)
    assert not re.search("example|Order", repr(counts))
