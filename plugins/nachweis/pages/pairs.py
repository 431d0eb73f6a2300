"""A declared value beside what was observed, in words."""

from __future__ import annotations

import re

from nachweis.domain.record import Pair
from nachweis.pages.words import Words, label_key

SIGNS = {"<=": "≤", ">=": "≥", "==": "=", "!=": "≠", "<": "<", ">": ">"}
"""Comparison as code writes it to the sign that people read."""

_LIMIT = re.compile(r"(<=|>=|==|!=|<|>) (.+)")
_ABOUT = re.compile(r"(.+ (?:of|by)) (.+)")
_GROUP = re.compile(r"(.+?)( \[.+\])")


def pair_name(pair: Pair, words: Words) -> tuple[str, bool]:
    """What is compared.

    Args:
        pair: The pair.
        words: The language.

    Returns:
        Its name, and whether it is in the language; names without a label stay in English.
    """
    name, group = pair.what, ""
    found = _GROUP.fullmatch(name)
    if found:
        name, group = found[1], found[2]
    if (key := label_key("measure", name)) in words.labels:
        return words.label(key) + group, True
    about = _ABOUT.fullmatch(name)
    if about and (key := label_key("measure", about[1])) in words.labels:
        return words.label(key).replace("{name}", about[2]) + group, True
    unit = f" ({pair.unit})" if pair.unit else ""
    return f"{name}{unit}{group}", words.language == "en"


def pair_value(value: str | int | float | bool | None, words: Words) -> str:
    """One side of a pair: a limit with its sign, a period or a country in words.

    Args:
        value: What was declared or observed.
        words: The language.

    Returns:
        The value in the language; what is no word of ours stays as it is.
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return words.label("export.yes" if value else "export.no")
    if isinstance(value, int | float):
        return words.short(value)
    limit = _LIMIT.fullmatch(value)
    if limit:
        said = _word(limit[2], words)
        return (
            said if limit[1] == "==" and limit[2] in _SWITCHES else f"{SIGNS[limit[1]]}\u00a0{said}"
        )
    return " + ".join(
        ", ".join(_word(word, words) for word in part.split(", ")) for part in value.split(" + ")
    )


_SWITCHES = {"true", "false"}


def _word(word: str, words: Words) -> str:
    if word in _SWITCHES:
        return words.label("export.yes" if word == "true" else "export.no")
    if re.fullmatch(r"-?\d{1,15}(\.\d+)?", word):
        return words.short(float(word))
    said = words.period(word)
    return words.value(word, "pair") if said == word else said
