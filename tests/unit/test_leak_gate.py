"""Nothing that looks like personal data passes, and clean documents pass untouched."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nachweis.domain.errors import LeakError
from nachweis.domain.patterns import (
    LeakKind,
    hits,
    is_cpr_date,
    is_tax_id,
    tax_id_check_digit,
)
from nachweis.storage.leak_gate import (
    Exemption,
    Leak,
    allowed_contacts,
    require_clean,
    scan,
    scan_text,
)

SAMPLES = [
    (LeakKind.EMAIL, "erika.muster@example.org"),
    (LeakKind.EMAIL, "søren@blåbær.dk"),
    (LeakKind.EMAIL, '"the one"@mail.example.co.uk'),
    (LeakKind.PHONE, "+49 30 901820"),
    (LeakKind.PHONE, "+49 (0)30 9018-20"),
    (LeakKind.PHONE, "0049 30 901820"),
    (LeakKind.PHONE, "030 / 901 820 33"),
    (LeakKind.PHONE, "0171 2345678"),
    (LeakKind.PHONE, "+45 33 92 00 00"),
    (LeakKind.PHONE, "+4533920000"),
    (LeakKind.PHONE, "33 92 00 00"),
    (LeakKind.PHONE, "3392 0000"),
    (LeakKind.PHONE, "20123456"),
    (LeakKind.PHONE, "+1 212 555 2368"),
    (LeakKind.IBAN, "DE89370400440532013000"),
    (LeakKind.IBAN, "DE89 3704 0044 0532 0130 00"),
    (LeakKind.IBAN, "dk50 0040 0440 1162 43"),
    (LeakKind.CARD, "4539 1488 0343 6467"),
    (LeakKind.CARD, "5500005555555559"),
    (LeakKind.CARD, "378282246310005"),
    (LeakKind.STEUER_ID, "86095742719"),
    (LeakKind.STEUER_ID, "86 095 742 719"),
    (LeakKind.CPR, "070761-4285"),
    (LeakKind.CPR, "0707614285"),
    (LeakKind.CPR, "311299 1234"),
]

QUIET = [
    "",
    "2026-11-20T02:00:00+01:00",
    "window 2026-11-20 00:00 to 2026-11-21 00:00",
    "20.11.2026",
    "41188 of 1000000 rows, 12345678 rows in all",
    "20261120",
    "20261120123456",
    "1790000000000000000",
    "distance 0.12345678901234567890, limit 0.1",
    "share 0.4539148803436467",
    "nights 2025 2026",
    "feature_distribution_stable@model/churn",
    "evidently 0.7.23, duckdb 1.5.5, 3.11.2",
    "records/newsletter/v000001/record.json",
    "ledger/0000000123.json",
    "urn:nachweis:predicate:night:v1",
    "Art. 30(1)(a) to (g) GDPR; sections 4, 5, 6, 7",
    "P24M + P1M",
    "deciles 10, 20, 30, 40, 50, 60, 70, 80",
    "v1.20.12.34.56",
    hashlib.sha256(b"x").hexdigest(),
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "127.0.0.1:8333",
    "10.000.000 rows",
    "+12 rows against last night",
    "a@b",
    "Behörde, Straße 12, 10115 Berlin",
]


@pytest.mark.parametrize(("kind", "sample"), SAMPLES)
def test_every_kind_is_found_alone_in_a_sentence_and_encoded(kind: LeakKind, sample: str) -> None:
    sentence = f"Note: {sample}."
    encoded = base64.b64encode(f"Kontakt: {sample};".encode()).decode()
    twice = base64.b64encode(encoded.encode()).decode()
    percent = sentence.replace(" ", "%20").replace("@", "%40")
    named = sentence if sample != "20123456" else f"Tlf. {sample}."
    documents = [sample, named, encoded, encoded.rstrip("="), f"x={twice}", percent]
    if sample == "20123456":
        documents = [sample, named, base64.b64encode(named.encode()).decode()]
    for text in documents:
        found = scan({"a": [{"b": text}]})
        assert Leak("/a/0/b", kind) in found, text
        assert all(sample not in str(leak) for leak in found)


@pytest.mark.parametrize("text", QUIET)
def test_what_is_no_personal_data_stays_quiet(text: str) -> None:
    assert scan({"text": text}, exempt=()) == []
    assert scan_text(f"<p>{text}</p>") == []


@pytest.mark.parametrize(("kind", "sample"), SAMPLES)
def test_invisible_and_wide_characters_hide_nothing(kind: LeakKind, sample: str) -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) if c.isdigit() or c == "@" else c for c in sample)
    spaced = sample.replace(" ", "\u202f")
    split = sample[:3] + "\u200b" + sample[3:]
    dashed = sample.replace("-", "\u2013")
    for text in (wide, spaced, split, dashed):
        assert Leak("/a", kind) in scan({"a": text}), ascii(text)


def test_planted_identifiers_are_found_everywhere() -> None:
    planted = {"Greta Canary-Muster", "K-000471", "471471"}
    document = {
        "text": "see greta canary-muster",
        "inside": ["x", "key=K-000471,"],
        "number": 471471,
        "other": 1471471,
        "K-000471": {"nested": "k-000471"},
        "hidden": base64.b64encode(b"id K-000471").decode(),
    }
    found = scan(document, planted=planted)
    assert {leak.kind for leak in found} == {LeakKind.PLANTED}
    assert [leak.pointer for leak in found] == [
        "/<key 4>",
        "/<key 4>/nested",
        "/hidden",
        "/inside/1",
        "/number",
        "/text",
    ]


def test_a_pointer_never_shows_a_leaky_key() -> None:
    found = scan({"list": {"erika@example.org": {"phone": "+49 30 901820", "a/b": "x"}}})
    assert found == [
        Leak("/list/<key 0>", LeakKind.EMAIL),
        Leak("/list/<key 0>/phone", LeakKind.PHONE),
    ]


@given(st.text("0123456789", min_size=10, max_size=10))
def test_tax_ids_obey_both_rules(digits: str) -> None:
    full = digits + tax_id_check_digit(digits)
    expected = digits[0] != "0" and sorted((digits.count(d) for d in set(digits)), reverse=True)[
        :2
    ] in ([2, 1], [3, 1])
    assert is_tax_id(full) == expected
    wrong = digits + str((int(full[-1]) + 1) % 10)
    assert not is_tax_id(wrong)


@given(st.dates(dt.date(1858, 1, 1), dt.date(2020, 12, 31)), st.integers(0, 999))
def test_every_birthday_makes_a_cpr(birthday: dt.date, serial: int) -> None:
    sevenths = [d for d in range(10) if _century(birthday.year, d)]
    for seventh in sevenths:
        number = f"{birthday:%d%m%y}-{seventh}{serial:03d}"
        assert Leak("", LeakKind.CPR) in scan(number)
    assert is_cpr_date(31, 2, 80, 1) is False


def _century(year: int, seventh: int) -> bool:
    short = year % 100
    if seventh <= 3:
        return 1900 <= year < 2000
    if seventh in {4, 9}:
        return year == (2000 if short <= 36 else 1900) + short
    return year == (2000 if short <= 57 else 1800) + short


@given(st.integers(0, 10**15 - 1), st.sampled_from(["", " ", "-"]))
def test_every_card_with_a_check_digit_is_found(number: int, separator: str) -> None:
    body = f"4{number:015d}"[:15]
    total = sum(sum(divmod(int(d) * (2 - place % 2), 10)) for place, d in enumerate(body))
    card = body + str(-total % 10)
    grouped = separator.join(card[i : i + 4] for i in range(0, 16, 4))
    assert Leak("", LeakKind.CARD) in scan(f"paid with {grouped} today")
    wrong = card[:-1] + str((int(card[-1]) + 1) % 10)
    assert Leak("", LeakKind.CARD) not in scan(f"paid with {wrong} today")


@given(st.text("0123456789", min_size=18, max_size=18))
def test_every_german_iban_is_found(account: str) -> None:
    check = 98 - int(account + "131400") % 97
    iban = f"DE{check:02d}{account}"
    spaced = " ".join(iban[i : i + 4] for i in range(0, 22, 4))
    for text in (iban, spaced, spaced.lower(), f"IBAN: {spaced}, BIC"):
        assert Leak("", LeakKind.IBAN) in scan(text)
    other = f"DE{(check + 1 - 2) % 97 + 2:02d}{account}"
    assert Leak("", LeakKind.IBAN) not in scan(other)


@given(
    st.sampled_from([sample for _, sample in SAMPLES if sample != "20123456"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Nd", "L", "Cs"]), max_size=20),
)
def test_surroundings_do_not_hide_a_planted_text(sample: str, around: str) -> None:
    planted = {"canary-4711-secret"}
    text = f"{around}canary-4711-secret{around}"
    assert any(leak.kind is LeakKind.PLANTED for leak in scan([text], planted=planted))
    assert scan([f"{around}\n {sample} \n{around}"])


@given(st.text(max_size=300))
def test_any_text_is_scanned_without_an_error(text: str) -> None:
    for kind, start, end in hits(text):
        assert kind in LeakKind
        assert 0 <= start < end <= len(text)
    scan_text(text)
    scan({text: [text, 1, None, True, 1.5]})


def test_long_texts_are_scanned_to_their_end() -> None:
    for text in ("a" * 200_000, "1 " * 100_000, "a@" * 50_000, "AB12" * 50_000, "+4 " * 50_000):
        found = {leak.kind for leak in scan([f"{text} ; x.y@web.de"])}
        assert LeakKind.EMAIL in found, text[:4]


# ------------------------------------------------------------------------------- exemptions


@given(st.randoms(use_true_random=False))
def test_typed_values_of_clean_documents_stay_quiet(rng: random.Random) -> None:
    digests = ["".join(rng.choices("0123456789abcdef", k=64)) for _ in range(4)]
    only_digits = "".join(rng.choices("0123456789", k=16))
    document = {
        "night": "2026-11-20",
        "attempt": only_digits,
        "supersedes": f"{only_digits}-{only_digits[:12]}",
        "manifests_digest": digests[0],
        "evidence": {"model/churn": digests[1]},
        "assessments": {"record/newsletter": digests[2]},
        "versions": [{"renderings": {"record.de.html": digests[0], "record.en.html": only_digits}}],
        "software": {"duckdb": "1.5.5", "date-like": "2026.11.20"},
        "findings": [{"check": "retention_kept", "value": rng.randrange(10**15)}],
        "signatures": [{"keyid": digests[3], "sig": base64.b64encode(rng.randbytes(64)).decode()}],
    }
    assert scan(document) == []


def test_an_exempt_place_with_another_form_is_scanned() -> None:
    assert scan({"digest": "erika@example.org"}) == [Leak("/digest", LeakKind.EMAIL)]
    assert scan({"night": "+49 30 901820"}) == [Leak("/night", LeakKind.PHONE)]
    page = {"versions": [{"renderings": {"record.de.html": "erika@example.org"}}]}
    assert [leak.kind for leak in scan(page)] == [LeakKind.EMAIL]


def test_the_same_value_elsewhere_is_no_exemption() -> None:
    exempt = (Exemption("/a/*/id", "digest"),)
    value = "4539148803436467"
    assert scan({"a": [{"id": value}]}, exempt=exempt) == []
    assert scan({"a": [{"name": value}]}, exempt=exempt) == [Leak("/a/0/name", LeakKind.CARD)]
    assert scan({"a": {"id": value}}, exempt=exempt) == [Leak("/a/id", LeakKind.CARD)]


def test_a_planted_identifier_is_found_even_in_an_exempt_place() -> None:
    value = "0123456789abcdef"
    assert scan({"attempt": value}, planted={value}) == [Leak("/attempt", LeakKind.PLANTED)]


def test_contacts_of_parties_pass_only_byte_for_byte() -> None:
    allowed = allowed_contacts(
        {"controller": {"email": "privacy@example.org", "phone": "+45 70 10 20 30"}, "roles": [{}]}
    )
    assert scan({"email": "privacy@example.org", "phone": "+45 70 10 20 30"}, allowed=allowed) == []
    assert scan({"text": "Write to privacy@example.org."}, allowed=allowed) == []
    assert scan_text("<td>+45 70 10 20 30</td><td>2</td>", allowed=allowed) == []
    assert scan({"email": "Privacy@example.org"}, allowed=allowed)
    assert scan({"email": "privacy@example.org.evil.example"}, allowed=allowed)
    assert scan({"phone": "+45 70 10 20 31"}, allowed=allowed)


# ------------------------------------------------------------------------------------- text


def test_html_is_scanned_as_it_is_read() -> None:
    page = """<!DOCTYPE html><html><body>
<table><tr><td>20</td><td>12</td><td>34</td><td>56</td></tr></table>
<p>erika<b>.muster</b>@<i>example</i>.org</p>
<a href="mailto:erika%40example.org" title="x">write</a>
<!-- +49 30 901820 -->
<script type="application/json">{"iban": "DE89370400440532013000"}</script>
<p data-x="311299-1234">4111&nbsp;1111&#32;1111 1111</p>
</body></html>"""
    assert scan_text(page) == [
        Leak("line:3", LeakKind.EMAIL),
        Leak("line:4", LeakKind.EMAIL),
        Leak("line:5", LeakKind.PHONE),
        Leak("line:6", LeakKind.IBAN),
        Leak("line:7", LeakKind.CPR),
        Leak("line:7", LeakKind.CARD),
    ]


def test_plain_text_is_scanned_line_by_line() -> None:
    assert scan_text("one\ntwo erika@example.org\nthree") == [Leak("line:2", LeakKind.EMAIL)]


def test_a_refusal_names_places_and_kinds_only() -> None:
    leaks = scan({"a": "erika@example.org"})
    with pytest.raises(LeakError) as caught:
        require_clean(leaks, "assessment of model/churn")
    assert "/a: email" in str(caught.value)
    assert "erika" not in str(caught.value)
    require_clean([], "anything")


def test_documents_survive_json() -> None:
    document = json.loads('{"a": "erika\\u0040example.org"}')
    assert scan(document) == [Leak("/a", LeakKind.EMAIL)]
    assert scan({"a": '{"x": "erika\\u0040example.org"}'}) == [Leak("/a", LeakKind.EMAIL)]
