"""The control catalogue is complete, typed, unambiguous and honest about its sources."""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from nachweis.domain.control import Control, ControlCatalogue, LegalDate
from nachweis.pages.wording import forbidden_words

CONTROLS = Path(__file__).resolve().parents[2] / "controls"
LANGUAGES = {"en", "de", "da"}


def _yaml(name: str) -> Any:
    return YAML(typ="safe", pure=True).load((CONTROLS / name).read_text(encoding="utf-8"))


def _labels() -> list[dict[str, str]]:
    with (CONTROLS / "labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def catalogue() -> ControlCatalogue:
    return ControlCatalogue(
        controls={item["id"]: Control(**item) for item in _yaml("controls.yaml")["controls"]},
        dates={item["id"]: LegalDate(**item) for item in _yaml("dates.yaml")["dates"]},
        authorities=_yaml("authorities.yaml")["authorities"],
        labels={row["key"]: {k: row[k] for k in LANGUAGES} for row in _labels()},
    )


@pytest.mark.parametrize(("file", "key"), [("controls.yaml", "controls"), ("dates.yaml", "dates")])
def test_no_id_is_defined_twice(file: str, key: str) -> None:
    counts = Counter(item["id"] for item in _yaml(file)[key])
    assert [name for name, n in counts.items() if n > 1] == []


def test_no_label_is_defined_twice_and_none_is_empty() -> None:
    rows = _labels()
    assert [k for k, n in Counter(row["key"] for row in rows).items() if n > 1] == []
    assert [row["key"] for row in rows if not all(row[k].strip() for k in LANGUAGES)] == []


def test_every_measure_the_mission_names_has_a_control(catalogue: ControlCatalogue) -> None:
    demanded = {
        "encryption": {"ENC-REST", "ENC-TRANSIT", "E2E-DIALOGUE"},
        "access": {"ACCESS", "MFA", "ACCESS-REVIEW"},
        "audits and tests": {"SEC-AUDIT", "PENTEST", "DRILL"},
        "updates and scans": {"PATCH", "VULN-SCAN", "ARTIFACT-SCAN"},
        "people": {"TRAINING", "CONFIDENTIALITY"},
        "incidents": {"IR-PLAN", "BREACH"},
        "privacy": {
            "DATA-MIN",
            "PSEUDO",
            "CONSENT",
            "OBJECTION",
            "ERASURE",
            "RETENTION",
            "DSR",
            "NOTICE",
            "CONTACT",
        },
        "AI": {
            "OVERSIGHT",
            "BIAS",
            "EQUAL-TREATMENT-REVIEW",
            "ETHICS",
            "AI-DISCLOSURE",
            "CONTENT-MARK",
            "PROHIBITED-USE",
            "DPIA",
            "MONITOR",
            "POISONING",
            "ADVERSARIAL",
            "LEAKAGE",
        },
        "base": {
            "LOGGING",
            "DATA-QUALITY",
            "PROCESSORS",
            "TRANSFERS",
            "BACKUP",
            "CHANGE",
            "SEPARATION",
            "INVENTORY",
            "PHYSICAL",
        },
    }
    assert set(catalogue.controls) == set().union(*demanded.values())


def test_titles_are_in_all_languages_and_equal_the_labels(catalogue: ControlCatalogue) -> None:
    for control in catalogue.controls.values():
        assert set(control.title) == LANGUAGES, control.id
        assert control.title == catalogue.labels[f"ctrl.{control.id}"], control.id


def test_every_control_rests_on_law_and_says_how_it_is_evidenced(
    catalogue: ControlCatalogue,
) -> None:
    for control in catalogue.controls.values():
        assert control.gdpr, control.id
        assert control.iso27001, control.id
        assert control.evidence, control.id
        assert control.interval, control.id
        assert all(re.fullmatch(r"A\.[5-8]\.\d{1,2}", ref) for ref in control.iso27001), control.id
        assert all(re.match(r"A\.\d", ref) for ref in control.iso42001), control.id
        assert all(
            re.fullmatch(r"(GOVERN|MAP|MEASURE|MANAGE) \d\.\d{1,2}", ref)
            for ref in control.nist_ai_rmf
        ), control.id
        assert ("attestation" in control.evidence) == ("attestation" in control.interval), (
            control.id
        )


def test_every_date_says_where_it_comes_from_and_how_sure_we_are(
    catalogue: ControlCatalogue,
) -> None:
    iso = re.compile(r"\d{4}-\d{2}-\d{2}|P(\d+[YMD]|T\d+H)( PT\d+H)*|\d+(\.\d+)?")
    for item in catalogue.dates.values():
        assert set(item.text) == LANGUAGES, item.id
        assert item.source.strip(), item.id
        assert iso.fullmatch(item.value), item.id
        assert ("default" in item.source.lower()) <= (item.certainty == "default"), item.id


def test_the_deadlines_that_code_relies_on_are_data(catalogue: ControlCatalogue) -> None:
    assert {key: catalogue.dates[key].value for key in _RELIED_ON} == _RELIED_ON


_RELIED_ON = {
    "breach-notification": "PT72H",
    "data-subject-request": "P1M",
    "evidence-lock": "P13M",
    "record-retention": "P3Y",
    "record-retention-dk": "P5Y",
    "uwg-consent-proof": "P5Y",
    "ai-act-transparency": "2026-08-02",
    "ai-act-high-risk-annex-iii": "2027-12-02",
    "longest-waiver": "P90D",
}


def test_checked_dates_do_not_lie_in_the_future(catalogue: ControlCatalogue) -> None:
    newest = max(
        [c.checked_on for c in catalogue.controls.values()]
        + [d.checked_on for d in catalogue.dates.values()]
    )
    assert newest <= max(dt.date(2026, 11, 21), dt.datetime.now(dt.UTC).date())


def test_authorities_hold_no_unchecked_contact_data(catalogue: ControlCatalogue) -> None:
    assert set(catalogue.authorities) == {"DE", "DK", "EU"}
    text = (CONTROLS / "authorities.yaml").read_text(encoding="utf-8")
    assert not re.search(r"@|https?://|\+4[59]", text)
    for country, bodies in catalogue.authorities.items():
        for kind, body in bodies.items():
            assert set(body["name"]) == LANGUAGES, (country, kind)
            assert body["source"], (country, kind)
            assert body["checked_on"], (country, kind)
            assert body["certainty"] in {"verified", "secondary", "memory", "default"}


def test_words_that_promise_too_much_do_not_occur() -> None:
    for file in ("controls.yaml", "dates.yaml", "authorities.yaml"):
        assert forbidden_words((CONTROLS / file).read_text(encoding="utf-8")) == [], file
    labels = forbidden_words((CONTROLS / "labels.csv").read_text(encoding="utf-8"))
    # Keys of the labels, and what the law itself calls it.
    assert set(labels) <= {"fair", "discrimination"}
