"""Explanations in the language of a page: recognised by the message they were made of, or left."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nachweis.pages.check_messages import check_messages
from nachweis.pages.explanations import Explanations
from nachweis.pages.words import Words, translations
from nachweis.settings import PACKAGE_ROOT

PACKAGE = PACKAGE_ROOT / "plugins" / "nachweis"
TEMPLATES = PACKAGE_ROOT / "templates"
GERMAN = {
    "All labels of {1} are the same.": "Alle Labels in {1} sind gleich.",
    "Beyond the limit: {1}.": "Über der Grenze: {1}.",
    "No verdict: {1}.": "Kein Ergebnis: {1}.",
    "Nothing was looked at.": "Nichts wurde untersucht.",
    "{1} of {2} rows are late": "{1} von {2} Zeilen sind verspätet",
    "too few rows": "zu wenige Zeilen",
    "Version {1} of {2} is late.": "Version {1} von {2} ist verspätet.",
    "within {1}.": "innerhalb von {1}.",
    "{1} and {2}": "{1} und {2}",
}


def said(text: str) -> str | None:
    periods = {"P6M": "6 Monate"}
    return Explanations(GERMAN, lambda value: periods.get(value, value)).said(text)


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("Nothing was looked at.", "Nichts wurde untersucht."),
        ("All labels of training are the same.", "Alle Labels in training sind gleich."),
        ("Beyond the limit: age, spend.", "Über der Grenze: age, spend."),
        ("Beyond the limit: age and spend.", "Über der Grenze: age und spend."),
        ("No verdict: too few rows.", "Kein Ergebnis: zu wenige Zeilen."),
        ("1,234 of 5,000 rows are late", "1.234 von 5.000 Zeilen sind verspätet"),
        ("1-9 of 5,000 rows are late", "1-9 von 5.000 Zeilen sind verspätet"),
        ("within P6M.", "innerhalb von 6 Monate."),
        ("within 0.5%.", "innerhalb von 0,5\u00a0%."),
        # Names stay, even where they look like numbers.
        ("Version 1.2 of 1,500 is late.", "Version 1.2 von 1.500 ist verspätet."),
        ("Beyond the limit: 1.5, 2.5.", "Über der Grenze: 1.5, 2.5."),
        (
            "No verdict: too few rows. Nothing was looked at.",
            "Kein Ergebnis: zu wenige Zeilen. Nichts wurde untersucht.",
        ),
        ("too few rows; too few rows", "zu wenige Zeilen; zu wenige Zeilen"),
    ],
)
def test_what_is_known_is_said_with_its_numbers_and_names(english: str, german: str) -> None:
    assert said(english) == german


@pytest.mark.parametrize(
    "english",
    [
        "Somebody's own check found something else.",
        "No verdict: the moon was in the wrong house.",  # half a translation is none
        "Nothing was looked at. Somebody wrote more about it.",
        " and ".join(["some more words here"] * 500),
        "Beyond the limit: " + "too few rows " * 400,
    ],
)
def test_what_is_not_known_stays_whole(english: str) -> None:
    assert said(english) is None


def test_a_page_marks_what_stays_english() -> None:
    for language in ("de", "da"):
        words = Words(language, {}, translations(TEMPLATES, language))
        foreign = words.explained("Somebody's own check found something else.")
        assert foreign == ("Somebody's own check found something else.", True)
        known = words.explained("There are no rows to look at.")
        assert not known.foreign
        assert known.text != "There are no rows to look at."
    english = Words("en", {}, translations(TEMPLATES, "en"))
    assert english.explained("There are no rows to look at.") == (
        "There are no rows to look at.",
        False,
    )


@given(st.data())
def test_every_message_is_recognised_with_whatever_it_is_filled(data: st.DataObject) -> None:
    message = data.draw(st.sampled_from(MESSAGES))
    filled, values = message, []
    for place in re.findall(r"\{\d+\}", message):
        values.append(data.draw(st.from_regex(r"[a-z_]{3,12}|[1-9][0-9]{0,2}", fullmatch=True)))
        filled = filled.replace(place, values[-1], 1)
    for language in ("de", "da"):
        told = Words(language, {}, translations(TEMPLATES, language)).explained(filled)
        assert not told.foreign, filled


MESSAGES = sorted(check_messages(PACKAGE))
