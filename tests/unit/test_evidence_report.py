"""The evidence report: deviations first, numbers of earlier nights, who approved on what."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
from pathlib import Path
from typing import Any

import pikepdf
import pytest

from nachweis import registry
from nachweis.domain.canonical import canonical_bytes, digest
from nachweis.domain.finding import (
    Finding,
    Measurement,
    Outcome,
    Severity,
    Subject,
    SubjectKind,
    Threshold,
)
from nachweis.domain.manifest.common import LANGUAGES, Origin, Verdict
from nachweis.domain.record import Comparison, EvidenceRef, FieldVerdict, FindingView, Pair
from nachweis.domain.site_data import Behind, Moment, PastNight
from nachweis.pages.catalogue import check_pages
from nachweis.pages.exports import Source, formats
from nachweis.pages.exports._values import flat
from nachweis.pages.exports.evidence import blocks
from nachweis.pages.pairs import pair_name, pair_value
from nachweis.pages.report import Block
from nachweis.pipeline.behind import _corrections, _signed_by
from tests.approval_desk import TARGET, Office
from tests.export_world import demo
from tests.html_page import Page

MODEL = "campaign-propensity"
CHECKS = check_pages(registry.checks())
REFERENCE = EvidenceRef(digest="ab" * 32, pointer="/findings/0")
CORRECTION: dict[str, Any] = {
    "schema_version": 1, "kind": "correction", "night": "2026-11-19", "method": "reweighing",
    "subject": f"model/{MODEL}", "mark": "", "left_out": {},
    "attributes": [
        {
            "attribute": "gender", "share_changing": 0.123,
            "before": [{"name": "selection_rate_ratio", "value": 0.7, "interval": [0.6, 0.8]}],
            "after": [{"name": "selection_rate_ratio", "value": 0.95, "interval": [0.9, 1.0]}],
            "cost": [{"name": "accuracy_lost", "value": 0.01}], "affected": [],
        }
    ],
}  # fmt: skip


def finding(check: str, outcome: Outcome = Outcome.PASS, *, column: str | None = None,
            value: float = 0.05, **more: Any) -> Finding:  # fmt: skip
    measured = Measurement(
        name="distance", value=value, unit="wasserstein", n=4000, interval=(0.01, 0.09),
        threshold=Threshold(value=0.1, operator="<", source="library rule"),
    )  # fmt: skip
    return Finding(
        check=check, subject=Subject(kind=SubjectKind.MODEL, id=MODEL), column=column,
        outcome=outcome, severity=Severity.HIGH, explanation=f"{check} explains",
        measurements=(measured,), **more,
    )  # fmt: skip


def source(*found: FindingView | Finding, language: str = "en", **behind: Any) -> Source:
    """The model's dossier, assessed with some findings and no deviating field."""
    made = demo().source("dossier", MODEL, language=language)
    views = [
        item
        if isinstance(item, FindingView)
        else FindingView(finding=item, state="new", evidence=REFERENCE)
        for item in found
    ]
    assert made.only.assessment is not None
    assessment = {
        **made.only.assessment,
        "findings": [item.model_dump(mode="json") for item in views],
        "verdicts": [], "blind": [], "contradicted": 0,
    }  # fmt: skip
    version = dataclasses.replace(
        made.only, assessment=assessment, assessment_digest=digest(assessment)
    )
    return dataclasses.replace(made, versions=(version,), behind=Behind(checks=CHECKS, **behind))


def block(made: Source, name: str) -> Block:
    return next(item for item in blocks(made) if item.id == name)


def said(found: Block) -> str:
    return "\n".join(
        " ".join(str(one["s"]) for one in part["items"]) if part["t"] == "chips" else flat(part)
        for part in found.parts
    )


def test_waivers_and_deviations_stand_before_everything_else() -> None:
    waived = FindingView(
        finding=finding("groups_large_enough", Outcome.FAIL),
        state="waived", waiver="few-rows", evidence=REFERENCE,
    )  # fmt: skip
    made = source(
        waived,
        finding("features_minimal", Outcome.FAIL),
        waivers={"few-rows": {"role": "owner", "from": "2026-11-01", "until": "2026-11-30"}},
        roles={"owner": {"en": "Owner of the model"}},
    )
    first = blocks(made)[0]
    assert (first.id, first.alarm) == ("first", True)
    for words in (
        "few-rows",
        "Owner of the model",
        "30 November 2026",
        "features_minimal explains",
    ):
        assert words in said(first)
    assert "groups_large_enough explains" not in said(first)


def test_a_clean_night_says_that_it_only_speaks_of_what_was_looked_at() -> None:
    first = blocks(source(finding("features_minimal")))[0]
    assert not first.alarm
    assert "in what was looked at" in said(first)
    demo_first = blocks(demo().source("dossier", MODEL))[0]
    assert demo_first.alarm


def test_sections_stand_in_their_order() -> None:
    order = [item.id for item in blocks(source())]
    assert order == ["first", "approved", "performance", "drift", "groups", "corrections",
                     "robustness", "oversight", "limits", "duties", "dpia", "verdicts"]  # fmt: skip
    record = [item.id for item in blocks(demo().source("record", "direct-marketing"))]
    assert record == ["first", "approved", "unlooked", "verdicts"]


def test_drift_is_followed_from_night_to_night() -> None:
    drift = "feature_distribution_stable"
    past = tuple(
        PastNight(f"2026-11-{day}", (finding(drift, column="age", value=value),))
        for day, value in ((20, 0.05), (19, 0.2), (18, 0.07))
    )
    made = source(finding(drift, column="age", value=0.05), past=past)
    (table,) = [part for part in block(made, "drift").parts if part["t"] == "table"]
    assert table["head"][2:] == ["18 Nov 2026", "19 Nov 2026", "20 Nov 2026"]
    (row,) = table["rows"]
    assert [flat(cell) for cell in row[2:]] == ["0.07", "0.2 !", "0.05"]
    assert flat(row[0]) == "Distance from the reference (wasserstein) [age]"
    once = source(finding(drift, column="age"), past=past[:1])
    assert "two signed nights" in said(block(once, "drift"))


def test_numbers_of_groups_carry_their_interval_and_sample() -> None:
    made = source(finding("selection_rate_parity_held", column="gender", value=0.091))
    assert "0.091" in said(block(made, "groups"))
    assert "0.01 – 0.09" in said(block(made, "groups"))
    assert "4,000" in said(block(made, "groups"))
    assert "selection_rate_parity_held" not in said(block(made, "robustness"))


def test_what_has_no_verdict_is_never_shown_among_numbers() -> None:
    made = source(finding("realised_quality_held", Outcome.NOT_AVAILABLE))
    shown = said(block(made, "performance"))
    assert "realised_quality_held explains" in shown
    assert "0.05" not in shown


def test_a_computed_correction_is_shown_as_one_that_changed_nothing() -> None:
    made = source(corrections=((digest(CORRECTION), CORRECTION),))
    shown = said(block(made, "corrections"))
    assert "Nothing has been changed by it" in shown
    for number in ("0.7 [0.6 – 0.8]", "0.95 [0.9 – 1]", "12.3", "gender"):
        assert number in shown
    assert "No correction has been computed" in said(block(source(), "corrections"))


def test_only_corrections_as_they_were_computed_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "corrections" / MODEL
    folder.mkdir(parents=True)
    name = f"2026-11-19-reweighing-{digest(CORRECTION)[:12]}.json"
    (folder / name).write_bytes(canonical_bytes(CORRECTION))
    (folder / "2026-11-18-other-0123456789ab.json").write_bytes(canonical_bytes(CORRECTION))
    (folder / "2026-11-17-broken-0123456789ab.json").write_bytes(b"{")
    assert list(_corrections(tmp_path, MODEL, "2026-11-20")) == [(digest(CORRECTION), CORRECTION)]
    assert list(_corrections(tmp_path, MODEL, "2026-11-18")) == []
    assert list(_corrections(tmp_path, "churn", "2026-11-20")) == []


def test_a_release_stands_beside_the_evidence_there_was_on_its_day(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.night("2026-03-02", "retention/orders")
    office.later(days=10)
    office.night("2026-03-01")  # signed late: nobody could rest on it before
    office.night("2026-03-12")
    target = ("record", TARGET)
    (found,) = _signed_by(office.archive, target, dt.date(2026, 3, 4))
    assert (found.night, found.contradicted) == ("2026-03-02", 1)
    (later,) = _signed_by(office.archive, target, dt.date(2026, 3, 13))
    assert (later.night, later.contradicted) == ("2026-03-12", 0)
    assert list(_signed_by(office.archive, target, dt.date(2026, 3, 1))) == []

    made = source(on={"2026-07-10": Moment("2026-07-09", 4, "cd" * 32, 2)})
    shown = said(block(made, "approved"))
    assert "9 July 2026, Version 4, deviating fields: 2, cdcdcdcdcdcd…" in shown
    assert "no night had been signed by then" in shown  # the release of January


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_sound_in_every_language(language: str) -> None:
    made = demo().source("dossier", MODEL, language=language)
    made = dataclasses.replace(
        made, behind=Behind(checks=CHECKS, corrections=((digest(CORRECTION), CORRECTION),))
    )
    page = Page(formats()["evidence"].render(made).decode())
    assert page.faults == []
    assert page.language == language
    assert page.links == [link for link in page.links if link.startswith("#")]
    assert made.words.unknown == set()


def test_the_pdf_holds_the_version_and_the_assessment_byte_for_byte() -> None:
    made = source(finding("features_minimal"), language="de")
    with pikepdf.open(io.BytesIO(formats()["evidence-pdf"].render(made))) as pdf:
        inside = {name: spec.get_file().read_bytes() for name, spec in pdf.attachments.items()}
    assert inside == {
        "dossier.json": canonical_bytes(made.only.document),
        "assessment.json": canonical_bytes(made.only.assessment),
    }


DEVIATIONS = {
    "EV-SCHEMA": (Pair(what="undeclared", declared="== 0", observed=1, agrees=False),
                  "Nicht angegebene Spalten", "=\u00a00", "1"),
    "EV-RETAIN": (Pair(what="oldest age", declared="P24M + P14D", observed=31, unit="months"),
                  "Alter der ältesten Zeile (Monate)", "24 Monate + 14 Tage", "31"),
    "EV-PERMIT": (Pair(what="rows without basis", declared="== 0", observed="1-9", agrees=False),
                  "Zeilen ohne gültige Rechtsgrundlage", "=\u00a00", "1-9"),
    "EV-REGION": (Pair(what="region of orders", declared="EEA, CH", observed="us-east-1 (US)",
                       agrees=False), "Region von orders", "EWR, CH", "us-east-1 (US)"),
    "EV-IAM": (Pair(what="undeclared readers", declared="== 0", observed=2, agrees=False),
               "Nicht angegebene Lesende", "=\u00a00", "2"),
    "EV-PURPOSE": (Pair(what="data sets for other purposes", declared="== 0", observed=1,
                        agrees=False), "Für andere Zwecke angegebene Datenbestände", "=\u00a00",
                   "1"),
    "EV-NOTICE": (Pair(what="paragraphs of the published notice", declared=12, observed=11,
                       agrees=False), "Absätze des erzeugten Hinweises", "12", "11"),
    "EV-STORE": (Pair(what="encryption of orders", declared="encrypted", observed="none",
                      agrees=False), "Verschlüsselung von orders", "verschlüsselt", "keine"),
    "EV-ARTEFACT": (Pair(what="digest as declared", declared="== true", observed=False,
                         agrees=False), "SHA-256 der Modelldatei wie angegeben", "ja", "nein"),
}  # fmt: skip
"""Comparisons that a record is asked for, each with a difference and how it is spelled out."""


@pytest.mark.parametrize("rule", DEVIATIONS)
def test_a_contradiction_says_what_was_compared_declared_and_observed(rule: str) -> None:
    pair, name, declared, observed = DEVIATIONS[rule]
    held = Pair(what="rows without key", declared="== 0", observed=0, agrees=True)
    unknown = Pair(what="replication of orders", declared="EEA", observed=None)
    verdict = FieldVerdict(
        field="logic", origin=Origin.DECLARED, verdict=Verdict.CONTRADICTED,
        tested_on="2026-11-20", evidence=(REFERENCE,), explanation="an English sentence",
        comparisons=(
            Comparison(rule=rule, verdict=Verdict.CONTRADICTED, pairs=(held, pair, unknown)),
            Comparison(rule="EV-EGRESS", verdict=Verdict.NOT_TESTED, reason="no_network_view"),
        ),
    )  # fmt: skip
    made = source(language="de")
    assert made.only.assessment is not None
    assessment = {**made.only.assessment, "verdicts": [verdict.model_dump(mode="json")]}
    version = dataclasses.replace(made.only, assessment=assessment)
    made = dataclasses.replace(made, versions=(version,))
    (row,) = next(part for part in block(made, "first").parts if part["t"] == "table")["rows"]
    cells = [flat(cell) for cell in row]
    assert made.words.label(f"rule.{rule}") in cells[2] and name in cells[2]
    assert cells[3:5] == [declared, observed]
    assert cells[5] == "20. November 2026" and cells[6].startswith("abababab")
    every = said(block(made, "verdicts"))
    assert made.words.label("why.no_network_view") in every
    assert made.words.unknown == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_without_a_label_stay_english_and_say_so(language: str) -> None:
    words = demo().words(language)
    odd = Pair(what="odd number [group: a]", declared=None, observed=0.25, unit="share")
    assert pair_name(odd, words) == ("odd number (share) [group: a]", language == "en")
    assert pair_value(0.25, words) == ("0.25" if language == "en" else "0,25")
    assert pair_value("<= 0.05", words) == ("≤\u00a00.05" if language == "en" else "≤\u00a00,05")


@pytest.mark.parametrize("language", LANGUAGES)
def test_duties_by_role_and_class_stand_in_the_report_with_their_dates(language: str) -> None:
    made = demo().source("dossier", "support-chatbot", language=language)
    shown = said(block(made, "duties"))
    assert (
        made.words.value("Art. 50", "article") in shown and made.words.date("2026-08-02") in shown
    )
    assert made.words.value("transparency", "risk_class") in shown
    assert made.words.value("deployer", "role") in shown
    assert made.words.label("duty.basis") in shown
    assert made.words.label("field.criteria_met") in said(block(made, "dpia"))
    assert made.words.unknown == set()
