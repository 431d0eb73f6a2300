"""Which identifiers a text holds, and how sure that is; no value leaves this module.

The forms and their proofs are those of the leak gate (:mod:`nachweis.domain.patterns`). Texts of
customers differ from our own documents in one way: they are full of order and parcel numbers, of
which one in ten or eleven has a valid check digit by chance. A bare number therefore counts as sure
only where a word before it says what it is; else it is *possible*, and whether there are more of
them than chance gives is for :func:`beyond_chance` to say.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from nachweis.domain.patterns import (
    LeakKind,
    hits,
    is_cpr_date,
    is_issued_card,
    may_be_tax_id,
    normalised,
    without_dates,
)

IP_ADDRESS = "ip_address"
SECRET = "secret"  # noqa: S105 - the name of a kind, not a secret
KINDS = (
    LeakKind.EMAIL.value,
    LeakKind.PHONE.value,
    LeakKind.IBAN.value,
    LeakKind.CARD.value,
    LeakKind.CPR.value,
    LeakKind.STEUER_ID.value,
    IP_ADDRESS,
    SECRET,
)
"""Kinds of identifiers that are looked for."""

CHANCE = {
    LeakKind.CARD.value: 1 / 10,
    LeakKind.CPR.value: 1 / 11,
    LeakKind.STEUER_ID.value: 1 / 10,
}
"""Share of random numbers of the right form whose check digit is right."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a text holds of one kind.

    Attributes:
        sure: Identifiers that are proved by check digits, form or the word before them.
        possible: Bare numbers whose check digit is right.
        forms: Bare numbers of that form, whatever their check digit.
    """

    sure: int = 0
    possible: int = 0
    forms: int = 0


@dataclass(frozen=True, slots=True)
class Own:
    """An organisation's own knowledge of its texts.

    Attributes:
        patterns: Name to expression of identifiers of its own, for example order numbers.
        harmless: Expressions of numbers that are no identifiers, for example parcel numbers.
        allowed: Contacts of the organisation itself.
    """

    patterns: Mapping[str, re.Pattern[str]]
    harmless: Sequence[re.Pattern[str]]
    allowed: Collection[str]

    @staticmethod
    def of(
        patterns: Sequence[tuple[str, str]] = (),
        harmless: Sequence[str] = (),
        allowed: Collection[str] = (),
    ) -> Own:
        """Compile what was declared.

        Args:
            patterns: Name and expression of own identifiers.
            harmless: Expressions of numbers that are none.
            allowed: Contacts of the organisation.

        Returns:
            The compiled knowledge.
        """
        return Own(
            {name: re.compile(expression) for name, expression in patterns},
            [re.compile(expression) for expression in harmless],
            frozenset(_contact(item) for item in allowed),
        )


NOTHING = Own({}, (), frozenset())


def find(text: str, own: Own = NOTHING) -> dict[str, Found]:
    """Count the identifiers in a text.

    Args:
        text: The text.
        own: What the organisation declared about its texts.

    Returns:
        Kind to what was found of it; kinds without any form are left out.
    """
    text = normalised(text)
    counts: dict[str, list[int]] = {}

    def add(kind: str, place: int) -> None:
        counts.setdefault(kind, [0, 0, 0])[place] += 1

    for name, pattern in own.patterns.items():
        for _ in pattern.finditer(text):
            add(name, 0)
    for pattern in own.harmless:
        text = pattern.sub(_blank, text)
    if "@" in text or _MANY_DIGITS.search(without_dates(text)):
        for kind, sure in _known(text, own.allowed):
            add(kind, 0 if sure else 1)
        for kind in _bare_forms(text):
            add(kind, 2)
    for _ in _SECRET.finditer(text):
        add(SECRET, 0)
    for _ in _addresses(text):
        add(IP_ADDRESS, 0)
    return {kind: Found(*numbers) for kind, numbers in counts.items()}


@lru_cache(maxsize=4096)
def beyond_chance(kind: str, possible: int, forms: int, level: float = 0.001) -> bool:
    """Whether more bare numbers pass their check digit than chance explains.

    Exact one-sided binomial test against :data:`CHANCE`.

    Args:
        kind: Kind of identifier.
        possible: Numbers that pass.
        forms: Numbers of that form.
        level: Probability below which chance no longer explains it.

    Returns:
        Whether it is beyond chance; never for a kind without a check digit.
    """
    chance = CHANCE.get(kind)
    if chance is None or not 0 < possible <= forms or possible <= chance * forms:
        return False
    log_odds = [
        math.lgamma(forms + 1)
        - math.lgamma(k + 1)
        - math.lgamma(forms - k + 1)
        + k * math.log(chance)
        + (forms - k) * math.log1p(-chance)
        for k in range(possible, forms + 1)
    ]
    return math.fsum(math.exp(value) for value in log_odds) < level


# ---------------------------------------------------------------------------- contacts, numbers


def _known(text: str, allowed: Collection[str]) -> Iterator[tuple[str, bool]]:
    """Kind of each hit of the leak gate's patterns, and whether it is sure."""
    taken: list[tuple[int, int]] = []
    # Where two kinds have one place, the one with the stronger proof counts.
    for kind, start, end in sorted(
        hits(text), key=lambda hit: (hit[1], -hit[2], hit[0] is LeakKind.PHONE)
    ):
        if any(first <= start and end <= last for first, last in taken):
            continue  # a part of a longer hit, such as the digits of an IBAN
        value = text[start:end]
        if _contact(value) in allowed:
            taken.append((start, end))
            continue
        sure = _is_sure(kind, value, text[max(0, start - _LOOK_BACK) : start])
        if sure is not None:
            taken.append((start, end))
            yield kind.value, sure


_MANY_DIGITS = re.compile(r"\d(?:[^0-9A-Za-z]{0,4}\d){7}|[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11}")
_LOOK_BACK = 32
_BEFORE_NUMBER = r"[^\d\n]{0,16}$"
_PHONE_WORD = re.compile(
    r"(?:\b(?:tel|tlf|call|ring|ruf\w*|fax|handy|mobil)|telefon|phone|mobile|whatsapp)"
    + _BEFORE_NUMBER,
    re.IGNORECASE,
)
_NUMBER_WORDS = {
    LeakKind.CARD: re.compile(
        r"(?:(?:\b|credit|kredit|debit|bank|betalings)(?:card|karten?|kort)"
        r"|\b(?:visa|mastercard|amex|dankort))\w*" + _BEFORE_NUMBER,
        re.IGNORECASE,
    ),
    LeakKind.CPR: re.compile(
        r"\b(?:cpr|personnummer|f(?:ø|oe)dselsnummer)\w*" + _BEFORE_NUMBER, re.IGNORECASE
    ),
    LeakKind.STEUER_ID: re.compile(
        r"(?:\b(?:steuer\w*|idnr|tax\W?id\w*|tin)|identifikationsnummer)" + _BEFORE_NUMBER,
        re.IGNORECASE,
    ),
}
_MIDDLE_OF_NUMBER = re.compile(r"\d[ ()/.\-]?$")
_GERMAN_MOBILE = re.compile(r"01[567]\d{8,9}")


def _is_sure(kind: LeakKind, value: str, before: str) -> bool | None:
    """Whether a hit is sure, only possible, or (None) no hit in a customer's text."""
    if kind in {LeakKind.EMAIL, LeakKind.IBAN}:
        return True
    bare = value.isdigit()
    if kind is LeakKind.PHONE:
        if _MIDDLE_OF_NUMBER.search(before) and not value.startswith("+"):
            return None
        # A bare number may be an order number that some numbering plan happens to hold.
        told = _PHONE_WORD.search(before) or value.startswith("00") or _GERMAN_MOBILE.match(value)
        return True if not bare or told else None
    if not bare and (kind is not LeakKind.CPR or "-" in value):
        return True
    if _NUMBER_WORDS[kind].search(before):
        return True
    if kind is LeakKind.CPR and not _passes_mod_11(value):
        return None
    return False


def _passes_mod_11(cpr: str) -> bool:
    """The check that CPR numbers had to pass until 2007; most numbers in use still do."""
    digits = [int(char) for char in cpr if char.isdigit()]
    weights = (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=True)) % 11 == 0


_BARE = re.compile(r"(?<!\w)(?<!\d[.,\-])\d{10,19}(?![\w\-]|[.,]\d)")


def _bare_forms(text: str) -> Iterator[str]:
    """Kinds of which a bare number has the form, whatever its check digit."""
    for match in _BARE.finditer(text):
        digits = match.group()
        if len(digits) == 10 and is_cpr_date(
            int(digits[:2]), int(digits[2:4]), int(digits[4:6]), int(digits[6])
        ):
            yield LeakKind.CPR.value
        elif may_be_tax_id(digits):
            yield LeakKind.STEUER_ID.value
        elif is_issued_card(digits):
            yield LeakKind.CARD.value


def _contact(text: str) -> str:
    """A contact in one form: numbers as digits, addresses in small letters."""
    plain = normalised(text).strip().casefold()
    return plain if "@" in plain else re.sub(r"\(0\)|[^\d]", "", plain).removeprefix("00")


def _blank(match: re.Match[str]) -> str:
    return "\x00" * len(match.group())


# --------------------------------------------------------------------- addresses and secrets

_IPV4 = re.compile(r"(?<![\w.])(?<!\d,)(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]{2,}:[0-9A-Fa-f]{1,4}(?![\w:])")
_SECTION_NUMBERS = 31
"""Numbers of versions, sections and days; an address has at least one larger part."""


def _addresses(text: str) -> Iterator[str]:
    """Addresses that can be reached from outside; private ones tell nothing about a person."""
    for pattern in (_IPV4, _IPV6):
        for match in pattern.finditer(text):
            try:
                address = ipaddress.ip_address(match.group())
            except ValueError:
                continue
            large = address.version == 6 or max(address.packed) > _SECTION_NUMBERS
            if address.is_global and large:
                yield match.group()


_KEY_PREFIXES = (
    "AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AIza|[sr]k_live_|[sr]k_test_|sk-|hf_|eyJ"
)
_SECRET = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"(?:AKIA|ASIA)[0-9A-Z]{16}"
    r"|gh[pousr]_[A-Za-z0-9]{36}"
    r"|github_pat_[A-Za-z0-9_]{60}"
    r"|glpat-[A-Za-z0-9_-]{20}"
    r"|xox[abprs]-[A-Za-z0-9-]{20}"
    r"|AIza[0-9A-Za-z_-]{35}"
    r"|[sr]k_(?:live|test)_[0-9A-Za-z]{16}"
    r"|sk-[A-Za-z0-9_-]{32}"
    r"|hf_[A-Za-z0-9]{30}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10}"
    r")|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----"
)
"""Shapes of keys and tokens that well-known services issue."""

# ------------------------------------------------------------------------ filter for the engine

# Simple forms of few states: counted repetitions of large classes make RE2 a hundred times slower.
_FILTER = "|".join(
    (
        "[@\\x{FF20}]",
        "[0-9](?:[^0-9A-Za-z]{0,4}[0-9]){7}",
        "[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11}",
        "[0-9]{1,3}[.][0-9]{1,3}[.][0-9]{1,3}[.][0-9]",
        "[0-9A-Fa-f]:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:",
        "[\\x{FF10}-\\x{FF19}]",
        "PRIVATE KEY",
        _KEY_PREFIXES,
    )
)


def candidate_filter(own_patterns: Sequence[tuple[str, str]] = ()) -> str:
    """An RE2 expression that every text with a hit matches, and few others.

    Args:
        own_patterns: Name and expression of own identifiers.

    Returns:
        The expression.
    """
    return "|".join((_FILTER, *(f"(?:{form})" for _, form in own_patterns)))
