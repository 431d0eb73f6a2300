"""Dates, numbers, periods and texts as each language writes them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nachweis.domain.errors import NachweisError
from nachweis.pages.render import all_keys, by_data_set, in_reading_order, is_row_like
from nachweis.pages.words import Words, translations
from tests.site_world import TEMPLATES


def words(language: str, labels: dict[str, dict[str, str]] | None = None) -> Words:
    return Words(language, labels or {}, translations(TEMPLATES, language))


@pytest.mark.parametrize(
    ("language", "day", "moment", "number", "short", "period", "country", "share"),
    [
        ("en", "20 November 2026", "20 November 2026, 23:05:09 UTC", "1,234.5", "0.02767",
         "2 years, 14 days", "Denmark", "12.5 %"),
        ("de", "20. November 2026", "20. November 2026, 23:05:09 UTC", "1.234,5", "0,02767",
         "2 Jahre, 14 Tage", "Dänemark", "12,5 %"),
        ("da", "20. november 2026", "20. november 2026, 23.05.09 UTC", "1.234,5", "0,02767",
         "2 år, 14 dage", "Danmark", "12,5 %"),
    ],
)  # fmt: skip
def test_each_language_writes_in_its_own_way(
    language: str, day: str, moment: str, number: str, short: str, period: str, country: str,
    share: str,
) -> None:  # fmt: skip
    said = words(language)
    assert said.date("2026-11-20") == day
    assert said.moment("2026-11-21T00:05:09+01:00") == moment
    assert said.number(1234.5) == number
    assert said.short(0.027665975) == short
    assert said.period("P2Y14D") == period
    assert said.value("DK", "country") == country
    assert said.declared_number(0.125, "traffic_share") == share


def test_a_time_without_a_zone_is_read_as_utc() -> None:
    assert words("en").moment("2026-11-20T08:00:00") == "20 November 2026, 08:00:00 UTC"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (1290, "1,290"), (27195.0, "27,195"), (0.1, "0.1"), (1.5e-9, "1.5E-9"),
     (-0.00012345, "-0.0001234"), (12.34567, "12.35")],
)  # fmt: skip
def test_numbers_are_shown_with_four_digits_and_counts_whole(value: float, shown: str) -> None:
    assert words("en").short(value) == shown


@given(st.floats(min_value=-1e12, max_value=1e12, allow_nan=False))
def test_short_numbers_stay_within_their_rounding(value: float) -> None:
    shown = float(words("en").short(value).replace(",", ""))
    assert shown == pytest.approx(value, rel=6e-4)


@given(st.dates(min_value=dt.date(1000, 1, 1)))
def test_dates_keep_day_and_year_in_every_language(day: dt.date) -> None:
    for language in ("en", "de", "da"):
        text = words(language).date(day)
        assert text.startswith(str(day.day)) and text.endswith(str(day.year))


@pytest.mark.parametrize("value", ["P", "PT6H", "P1DT1H", "text", ""])
def test_what_is_no_plain_period_stays_as_written(value: str) -> None:
    assert words("de").period(value) == value


def test_allowed_values_are_translated_only_in_their_own_field() -> None:
    labels = {"value.start_event.created": {"de": "Anlage des Eintrags"}}
    said = words("de", labels)
    assert said.value("created", "start_event") == "Anlage des Eintrags"
    assert said.value("created", "name") == "created"


def test_an_unknown_label_is_shown_and_remembered() -> None:
    said = words("de", {"known": {"en": "Known"}})
    assert (said.label("field.new"), said.label("known")) == ("field.new", "Known")
    assert said.unknown == {"field.new", "known"}


def test_texts_fall_back_to_english_then_to_any_language() -> None:
    said = words("da")
    assert said.text({"da": "dansk", "en": "english"}) == "dansk"
    assert said.text({"de": "deutsch", "en": "english"}) == "english"
    assert said.text_language({"de": "deutsch"}) == "de"
    assert said.text(None) == ""


def test_plurals_follow_the_number() -> None:
    german = translations(TEMPLATES, "de")
    singular, plural = "%(num)d open finding", "%(num)d open findings"
    assert german.ngettext(singular, plural, 1) == "%(num)d offener Befund"
    assert german.ngettext(singular, plural, 0) == german.ngettext(singular, plural, 2)
    assert german.ngettext("unknown", "unknowns", 2) == "unknowns"


def test_a_missing_catalogue_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(NachweisError, match=r"message catalogue is missing"):
        translations(tmp_path, "de")


def test_columns_are_grouped_by_data_set_and_dots_stay_in_column_names() -> None:
    assert by_data_set(["b.x", "a.y.z", "a.b", "b.a"]) == [("a", ["b", "y.z"]), ("b", ["a", "x"])]


def test_lists_of_small_entries_become_tables_and_others_do_not() -> None:
    flat = {"name": "a", "type": "b"}
    assert is_row_like([flat, {"name": "c", "text": {"en": "d"}}])
    assert not is_row_like([flat])
    assert not is_row_like([{"en": "a"}, {"en": "b"}])
    assert not is_row_like([flat, {"name": {"deep": "er"}}])
    assert not is_row_like([{str(key): 1 for key in range(7)}, flat])


def test_parts_are_read_name_first_and_long_lists_last() -> None:
    assert all_keys([{"columns": 1, "other": 2}, {"title": 3}]) == ["title", "other", "columns"]
    assert [key for key, _ in in_reading_order({"zone": 1, "address": 2, "legal_name": 3})] == [
        "legal_name", "address", "zone",
    ]  # fmt: skip
