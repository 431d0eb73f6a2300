"""Our recognisers on the examples that Presidio publishes for its own, difference by difference.

The texts and what Presidio expects are from ``presidio-analyzer/tests`` of Presidio 2.2.363 (MIT
licence): its recognisers of cards, IBANs, e-mail and IP addresses and German tax numbers.
Presidio itself is not installed: docs/decisions/0019-no-presidio.md.
"""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path

import pytest

from nachweis.engines.text_patterns import find

EXAMPLES = json.loads((Path(__file__).parent / "presidio_examples.json").read_text("utf-8"))

NOT_FOUND_BY_US = {
    "payment_card": {"122000000000003", "my credit card: 122000000000003"},  # airlines' own network
    # In a tax number one digit, and only one, stands two or three times among the first ten (BZSt);
    # here none does.
    "german_tax_id": {
        "12345678903",
        "98765432106",
        "Meine Steuer-ID: 12345678903.",
        "IdNr. 98765432106 liegt vor.",
    },
}
FOUND_BY_US_ALONE = {"iban": {"LV80 bANK 0000 4351 9500 1"}}  # people write small letters


def found_by_us(kind: str, text: str) -> bool:
    found = find(text).get(kind)
    # A bare number with a right check digit is possible, and counted against chance.
    return found is not None and found.sure + found.possible > 0


@pytest.mark.parametrize("kind", ["payment_card", "iban", "email", "german_tax_id"])
def test_what_presidio_finds_we_find_but_for_named_differences(kind: str) -> None:
    texts = EXAMPLES[kind]["found"]
    missed = {text for text in texts if not found_by_us(kind, text)}
    assert missed == NOT_FOUND_BY_US.get(kind, set())
    assert len(texts) > len(missed) or kind == "german_tax_id"


@pytest.mark.parametrize("kind", list(EXAMPLES))
def test_what_presidio_leaves_we_leave_but_for_named_differences(kind: str) -> None:
    more = {text for text in EXAMPLES[kind]["not_found"] if found_by_us(kind, text)}
    assert more == FOUND_BY_US_ALONE.get(kind, set())


def test_ip_addresses_are_found_where_they_can_belong_to_somebody() -> None:
    for text in EXAMPLES["ip_address"]["found"]:
        assert found_by_us("ip_address", text) is any(map(_public, _addresses(text))), text


def _addresses(text: str) -> list[str]:
    return [token.strip(".") for token in re.findall(r"[0-9A-Fa-f:.]+", text)]


def _public(token: str) -> bool:
    """Whether an address is one of somebody: no private, local, documentation or multicast one."""
    if token.startswith("::") and "." in token:
        token = token.rpartition(":")[2]  # nothing but an address of version 4 in a longer form
    try:
        address = ipaddress.ip_address(token)
        return address.is_global and not address.is_multicast
    except ValueError:
        return False
