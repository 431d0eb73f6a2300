"""What personal data looks like in a text: contacts, account, card and national numbers.

Each detector looks for a form, then proves it: by check digits, by the calendar, or by the
numbering plan. A form alone is never a hit, so that row counts, digests and dates stay quiet.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum

import phonenumbers


class LeakKind(StrEnum):
    """What a hit looks like."""

    PLANTED = "planted_identifier"
    EMAIL = "email"
    PHONE = "phone"
    IBAN = "iban"
    CARD = "payment_card"
    STEUER_ID = "german_tax_id"
    CPR = "danish_cpr"


Hit = tuple[LeakKind, int, int]
"""Kind, start and end of a hit in the text."""

_DATE = re.compile(
    r"(?<!\d)(?:\d{4}-\d{2}-\d{2}"
    r"(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
    r"|\d{1,2}\.\d{1,2}\.\d{4}|\d{1,2}/\d{1,2}/\d{4})(?!\d)"
)


_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
_SPACES = re.compile(r"[\u00a0\u2000-\u200a\u202f\u205f\u3000]")
_DASHES = re.compile(r"[\u2010-\u2015\u2212]")


def normalised(text: str) -> str:
    """One form for the many ways to write the same characters.

    Args:
        text: Any text.

    Returns:
        The text in compatibility form, without invisible characters, unusual spaces and dashes.
    """
    if text.isascii():
        return text
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    return _DASHES.sub("-", _SPACES.sub(" ", plain))


def without_dates(text: str) -> str:
    """A text of the same length in which dates and times of day hold no digits."""
    return _DATE.sub(lambda match: "\x00" * len(match.group()), text)


def hits(text: str) -> Iterator[Hit]:
    """Everything in a text that looks like personal data.

    Args:
        text: Normalised text (see :func:`normalised`).

    Yields:
        Hits; they may overlap.
    """
    if "@" in text:
        yield from _emails(text)
    if sum(map(str.isdigit, text)) < 8:
        return
    masked = without_dates(text)
    yield from _phones(masked)
    yield from _ibans(masked)
    yield from _cards(masked)
    yield from _tax_ids(masked)
    yield from _cprs(masked)


# ------------------------------------------------------------------------------------ e-mail

_EMAIL = re.compile(
    r"(?:(?<![\w.!#$%&'*+/=?^`{|}~-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}|\"[^\"\n]{1,64}\")"
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})(?![\w-])",
    re.IGNORECASE,
)


def _emails(text: str) -> Iterator[Hit]:
    for match in _EMAIL.finditer(text):
        yield LeakKind.EMAIL, match.start(), match.end()


# ------------------------------------------------------------------------------------- phone

_BEFORE = r"(?<![\w+\-])(?<!\d[.,])"
_INTERNATIONAL = re.compile(
    r"(?<![\w+])(?<!\d[.,-])(?:\+|00)\s?[1-9](?:[ ()/.\-\u2011]{0,2}\d){7,14}(?!\w)"
)
_GERMAN = re.compile(_BEFORE + r"\(?0[1-9]\d{1,4}\)?(?:[ /\-\u2011]{0,3}\d){5,9}(?!\w)")
_DANISH = re.compile(
    _BEFORE + r"(?<!\d )(?:[2-9]\d(?:[ \-]\d{2}){3}|[2-9]\d{3} \d{4})(?![\w-]| \d|[.,]\d)"
)
_DANISH_BARE = re.compile(_BEFORE + r"[2-9]\d{7}(?![\w-]|[.,]\d)")
_PHONE_WORD = re.compile(
    r"(?:phone|telefon|tlf|tel|mobile?|mobil|handy|fax|call|ring|nummer|number)\W{0,3}$",
    re.IGNORECASE,
)
_YEARS = re.compile(r"(?:19|20)\d{2} (?:19|20)\d{2}")


def _phones(text: str) -> Iterator[Hit]:
    for match in _INTERNATIONAL.finditer(text):
        if length := _phone_length(match.group(), None):
            yield LeakKind.PHONE, match.start(), match.start() + length
    for match in _GERMAN.finditer(text):
        if length := _phone_length(match.group(), "DE"):
            yield LeakKind.PHONE, match.start(), match.start() + length
    for match in _DANISH.finditer(text):
        if not _YEARS.fullmatch(match.group()) and is_phone(match.group(), "DK"):
            yield LeakKind.PHONE, match.start(), match.end()
    for match in _DANISH_BARE.finditer(text):
        # Eight bare digits are far more often a count or a compact date than a Danish number.
        alone = match.group() == text.strip() and not _compact_date(match.group())
        named = _PHONE_WORD.search(text[max(0, match.start() - 20) : match.start()]) is not None
        if (alone or named) and is_phone(match.group(), "DK"):
            yield LeakKind.PHONE, match.start(), match.end()


def _phone_length(candidate: str, region: str | None) -> int:
    """Length of the number that a candidate begins with; trailing groups may belong to the text."""
    while len(candidate) >= 8:
        if is_phone(candidate, region):
            return len(candidate)
        shorter = re.sub(r"[ ()/.\-\u2011]+\d+$", "", candidate)
        candidate = shorter if shorter != candidate else ""
    return 0


def is_phone(number: str, region: str | None) -> bool:
    """Whether the numbering plan holds a telephone number.

    Args:
        number: The number as written.
        region: Country it was written for; None for an international form.

    Returns:
        Whether it can be dialled by the plan.
    """
    try:
        parsed = phonenumbers.parse(re.sub(r"^00", "+", number), region)
    except phonenumbers.NumberParseException:
        return False
    if region is not None:
        return bool(phonenumbers.is_valid_number_for_region(parsed, region))
    grouped = number.startswith("+") and not number[1:].isdigit()
    return bool(
        phonenumbers.is_valid_number(parsed)
        or (grouped and phonenumbers.is_possible_number(parsed))
    )


def _compact_date(digits: str) -> bool:
    try:
        return 1900 <= dt.datetime.strptime(digits, "%Y%m%d").year <= 2099
    except ValueError:
        return False


# -------------------------------------------------------------------------------------- IBAN

_IBAN = re.compile(
    r"(?<![A-Za-z0-9])(?=([A-Z]{2}\d{2}(?:[ \-]?[A-Z0-9]){11,40}))", re.IGNORECASE | re.ASCII
)
IBAN_LENGTHS = {
    code: length
    for length, codes in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for code in codes.split()
}


def _ibans(text: str) -> Iterator[Hit]:
    for match in _IBAN.finditer(text):
        candidate = match.group(1)
        end = _end_of(candidate, IBAN_LENGTHS.get(candidate[:2].upper(), 0))
        if end and mod_97(re.sub(r"[ \-]", "", candidate[:end]).upper()) == 1:
            yield LeakKind.IBAN, match.start(), match.start() + end


def _end_of(candidate: str, length: int) -> int:
    """Where the first so many letters and digits end; 0 if there are not exactly so many."""
    seen = 0
    for place, char in enumerate(candidate):
        seen += char.isalnum()
        if seen == length and char.isalnum():
            following = candidate[place + 1 : place + 2]
            return 0 if following.isalnum() else place + 1
    return 0


def mod_97(iban: str) -> int:
    """Remainder that proves an IBAN (ISO 13616, ISO 7064 MOD 97-10): 1 for a valid one.

    Args:
        iban: Upper-case letters and digits without separators.

    Returns:
        The remainder.
    """
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97


# ------------------------------------------------------------------------------ payment cards

_CARD = re.compile(r"(?<!\w)(?<!\d[.,])(?=([2-68](?:[ \-]?\d){12,18})(?![.,]\d))")
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"
    r"|5[1-5]\d{14}|2(?:2(?:0[0-4]|2[1-9]|[3-9]\d)|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11,16}|35\d{14,17}"
    r"|(?:5[06-8]|6\d)\d{11,17}|81\d{14,17}"
)
"""Prefixes and lengths that card networks issue; a time stamp has neither."""


def _cards(text: str) -> Iterator[Hit]:
    for match in _CARD.finditer(text):
        candidate = match.group(1)
        for length in range(13, 20):
            end = _end_of(candidate, length)
            if not end or text[match.start() + end : match.start() + end + 1].isalnum():
                continue
            digits = re.sub(r"\D", "", candidate[:end])
            if is_issued_card(digits) and is_luhn(digits):
                yield LeakKind.CARD, match.start(), match.start() + end
                break


def is_issued_card(digits: str) -> bool:
    """Whether a number has a prefix and length that card networks issue.

    Args:
        digits: Digits only.

    Returns:
        Whether it has; its check digit is another matter.
    """
    return _ISSUED.fullmatch(digits) is not None


def is_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812-1 (Luhn).

    Args:
        digits: Digits only.

    Returns:
        Whether it is.
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


# ----------------------------------------------------------------------------- national ids

_TAX_ID = re.compile(r"(?<!\w)(?<!\d[.,])[1-9]\d(?:[ /]?\d{3}){3}(?!\w|[.,]\d)")
_CPR = re.compile(r"(?<![\w-])(?<!\d[.,])(\d{2})(\d{2})(\d{2})[ -]?(\d)\d{3}(?![\w-]|[.,]\d)")


def _tax_ids(text: str) -> Iterator[Hit]:
    for match in _TAX_ID.finditer(text):
        if is_tax_id(re.sub(r"\D", "", match.group())):
            yield LeakKind.STEUER_ID, match.start(), match.end()


def is_tax_id(digits: str) -> bool:
    """Whether eleven digits are a German tax identification number.

    One digit of the first ten occurs twice or three times, every other at most once; the last is
    the check digit of ISO 7064 MOD 11,10.

    Args:
        digits: Digits only.

    Returns:
        Whether both rules hold.
    """
    return may_be_tax_id(digits) and tax_id_check_digit(digits[:10]) == digits[10]


def may_be_tax_id(digits: str) -> bool:
    """Whether digits keep the rule of repetition of a German tax identification number.

    Args:
        digits: Digits only.

    Returns:
        Whether they do; the check digit is another matter.
    """
    if len(digits) != 11 or digits[0] == "0":
        return False
    occurrences = sorted((digits[:10].count(digit) for digit in set(digits[:10])), reverse=True)
    return occurrences[0] in {2, 3} and not any(count > 1 for count in occurrences[1:])


def tax_id_check_digit(digits: str) -> str:
    """Check digit of ISO 7064 MOD 11,10 over the first ten digits."""
    product = 10
    for digit in digits:
        total = (int(digit) + product) % 10 or 10
        product = 2 * total % 11
    return str((11 - product) % 10)


def _cprs(text: str) -> Iterator[Hit]:
    for match in _CPR.finditer(text):
        day, month, year, century = (int(group) for group in match.groups())
        if is_cpr_date(day, month, year, century):
            yield LeakKind.CPR, match.start(), match.end()


def is_cpr_date(day: int, month: int, year: int, seventh: int) -> bool:
    """Whether the first seven digits of a CPR number name a day on which somebody was born.

    The seventh digit tells the century. Many valid numbers fail the old modulus-11 check since
    2007, so that only the date is proved.

    Args:
        day: Digits 1 and 2.
        month: Digits 3 and 4.
        year: Digits 5 and 6.
        seventh: Digit 7.

    Returns:
        Whether such a date exists and is not in the future.
    """
    if seventh <= 3:
        century = 1900
    elif seventh in {4, 9}:
        century = 2000 if year <= 36 else 1900
    else:
        century = 2000 if year <= 57 else 1800
    try:
        return dt.date(century + year, month, day) <= dt.datetime.now(dt.UTC).date()
    except ValueError:
        return False
