"""Every rule of evidence confirms, contradicts, or says why it was not tested."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from nachweis import registry
from nachweis.domain.control import ControlCatalogue
from nachweis.domain.finding import (
    Finding,
    Measurement,
    Outcome,
    Severity,
    Subject,
    Threshold,
)
from nachweis.domain.manifest import Activity, DataSet, Origin, Verdict, World
from nachweis.domain.manifest.organisation import Organisation
from nachweis.domain.night import Night
from nachweis.domain.place import EVIDENCE_STORE, PlaceFacts
from nachweis.domain.published import PublishedNotice
from nachweis.domain.record import Comparison, FieldVerdict, RecordField
from nachweis.pipeline import comparisons
from nachweis.pipeline.comparisons import BY_CONTROL, Rule
from nachweis.pipeline.decide import Tonight, field_verdict, locate
from nachweis.pipeline.load import load_controls
from nachweis.pipeline.outside import outside
from nachweis.pipeline.subjects import subjects_of_record_field
from nachweis.settings import PACKAGE_ROOT

NIGHT = Night.parse("2026-03-02")
RULES = [
    (part, rule)
    for table in (comparisons._RECORD, comparisons._DOSSIER)
    for part, rules in table.items()
    for rule in rules
] + [(f"toms/{control}", rule) for control, rules in BY_CONTROL.items() for rule in rules]
CHECKED = [(part, rule) for part, rule in RULES if rule.checks]
CONTROLS = load_controls(PACKAGE_ROOT / "controls")


def field(part: str, **value: Any) -> RecordField:
    name = part if "/" in part else f"{part}/one"
    return RecordField(id=name, label="x", value=value or {"a": 1}, origin=Origin.DECLARED)


def finding(check: str, outcome: Outcome, value: int = 0) -> Finding:
    return Finding(
        check=check,
        subject=Subject(kind=registry.checks()[check].subject, id="it"),
        outcome=outcome,
        severity=Severity.HIGH,
        explanation=f"{check} says {outcome.value}",
        measurements=(
            Measurement(
                name="rows_beyond",
                value=value,
                unit="rows",
                threshold=Threshold(value=0, operator="==", source="test"),
            ),
        ),
    )


def world(data_sets: dict[str, str] | None = None, **about: Any) -> World:
    party = {"legal_name": "E", "address": "S", "country": "DE", "email": "p@example.com"}
    return World(
        organisation=Organisation.model_validate(
            {
                "id": "e",
                "controller": party,
                "roles": [{"id": "owner", "title": {"en": "Owner"}}],
                "countries": ["DE"],
                "establishment": "DE",
                **about,
            }
        ),
        controls=CONTROLS,
        data_sets={
            key: DataSet.model_validate({"id": key, "role": "source", "location": location})
            for key, location in (data_sets or {}).items()
        },
    )


def judged(part: str, *findings: Finding) -> FieldVerdict:
    located: dict[str, Any] = {}
    for item in findings:
        located.setdefault(str(item.subject), []).extend(locate([item], "0" * 64))
    return field_verdict(field(part), set(located), Tonight(world(), NIGHT, located))


def of(found: FieldVerdict, rule: Rule) -> list[Comparison]:
    return [item for item in found.comparisons if item.rule == rule.id]


@pytest.mark.parametrize(("part", "rule"), CHECKED, ids=lambda item: getattr(item, "id", item))
def test_a_passing_check_confirms_what_its_rule_compares(part: str, rule: Rule) -> None:
    found = judged(part, *(finding(check, Outcome.PASS) for check in rule.checks))
    assert Verdict.CONFIRMED in {item.verdict for item in of(found, rule)}
    assert found.tested_on == str(NIGHT)
    assert found.evidence


@pytest.mark.parametrize(("part", "rule"), CHECKED, ids=lambda item: getattr(item, "id", item))
def test_a_failing_check_contradicts_and_shows_both_sides(part: str, rule: Rule) -> None:
    found = judged(part, *(finding(check, Outcome.FAIL, 7) for check in rule.checks))
    assert found.verdict is Verdict.CONTRADICTED
    pairs = [pair for item in of(found, rule) for pair in item.pairs]
    assert next((p.declared, p.observed, p.agrees) for p in pairs) == ("== 0", 7, False)
    assert "== 0" in found.declared
    assert "7 rows" in found.observed


@pytest.mark.parametrize(("part", "rule"), RULES, ids=lambda item: getattr(item, "id", item))
def test_what_nothing_observed_is_not_tested_and_says_why(part: str, rule: Rule) -> None:
    found = judged(part)
    assert found.verdict is Verdict.NOT_TESTED
    (first, *_) = of(found, rule)
    assert (first.verdict, first.reason) == (Verdict.NOT_TESTED, rule.why)
    assert f"why.{rule.why}" in CONTROLS.labels
    assert f"rule.{rule.id}" in CONTROLS.labels


def test_rules_name_checks_that_exist() -> None:
    named = {check for checks in comparisons.all_rules().values() for check in checks}
    assert named <= set(registry.checks())


def test_a_second_rule_alone_never_confirms() -> None:
    found = judged("contact_permission", finding("suppression_respected_in_time", Outcome.PASS))
    assert found.verdict is Verdict.NOT_TESTED


def test_a_rule_looked_at_in_part_keeps_the_field_untested() -> None:
    found = judged(
        "retention",
        finding("retention_kept", Outcome.PASS),
        finding("erased_subjects_absent", Outcome.NOT_AVAILABLE),
    )
    assert found.verdict is Verdict.NOT_TESTED
    assert [item.reason for item in found.comparisons] == ["", "in_part"]


def test_a_retention_rule_is_contradicted_by_its_own_rows_only() -> None:
    def measured(rule: str, value: int) -> Measurement:
        return Measurement(
            name="rows_beyond_period",
            value=value,
            unit="rows",
            group=f"letters/{rule}/at",
            threshold=Threshold(value=0, operator="==", source="retention rule"),
        )

    def oldest(rule: str, months: int | None) -> Measurement:
        group = f"letters/{rule}/at"
        return Measurement(name="oldest_age", value=months, unit="months", group=group)

    failed = finding("retention_kept", Outcome.FAIL).model_copy(
        update={
            "measurements": (
                *(measured("one", 40), oldest("one", 31)),
                *(measured("other", 0), oldest("other", 3)),
                *(measured("undated", 0), oldest("undated", None)),
            )
        }
    )
    located = {"data_set/it": locate([failed], "0" * 64)}
    tonight = Tonight(world(), NIGHT, located)
    own = field_verdict(field("retention/one", period="P24M"), set(located), tonight)
    assert own.verdict is Verdict.CONTRADICTED
    assert ("P24M", 31) in {
        (pair.declared, pair.observed) for item in own.comparisons for pair in item.pairs
    }
    other = field_verdict(field("retention/other", period="P60M"), set(located), tonight)
    assert other.verdict is Verdict.CONFIRMED
    undated = field_verdict(field("retention/undated", period="P60M"), set(located), tonight)
    assert undated.verdict is Verdict.NOT_TESTED


def test_a_rule_of_the_same_name_in_another_activity_is_another_rule() -> None:
    def measured(name: str, of: str, value: int) -> Measurement:
        limit = Threshold(value=0, operator="==", source="retention rule")
        return Measurement(
            name=name,
            value=value,
            group=f"{of}/one/at",
            threshold=limit if name == "rows_beyond_period" else None,
        )

    failed = finding("retention_kept", Outcome.FAIL).model_copy(
        update={
            "measurements": (
                *(
                    measured("rows_beyond_period", "letters", 40),
                    measured("oldest_age", "letters", 31),
                ),
                *(measured("rows_beyond_period", "calls", 0), measured("oldest_age", "calls", 3)),
            )
        }
    )
    located = {"data_set/it": locate([failed], "0" * 64)}

    def judged_for(activity_id: str) -> FieldVerdict:
        tonight = Tonight(world(), NIGHT, located)
        one = field("retention/one", period="P24M")
        return field_verdict(one, set(located), tonight, activity=activity(id=activity_id))

    assert judged_for("calls").verdict is Verdict.CONFIRMED
    letters = judged_for("letters")
    assert letters.verdict is Verdict.CONTRADICTED
    assert {pair.observed for item in letters.comparisons for pair in item.pairs} == {40, 31}


# ----------------------------------------------------------------------- beside the checks


def activity(**more: Any) -> Activity:
    return Activity.model_validate(
        {
            "id": "letters",
            "title": {"en": "Letters"},
            "owner": "owner",
            "purposes": [{"id": "mailing", "text": {"en": "Mailing"}}],
            "links": {"locations": [EVIDENCE_STORE]},
            **more,
        }
    )


def beside(
    name: str, of_: Activity, facts: PlaceFacts | None = None, *notices: PublishedNotice
) -> FieldVerdict:
    places = {EVIDENCE_STORE: (facts,)} if facts else {}
    found = outside(field(name), of_, world(), NIGHT.date, places, notices)
    return field_verdict(field(name), set(), Tonight(world(), NIGHT, {}), (), found)


HERE = PlaceFacts(
    region="eu-central-1",
    replicas=(),
    encryption="AES256",
    public_access_blocked=True,
    tls_only=True,
)


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        (HERE, Verdict.CONFIRMED),
        (PlaceFacts(region="eu-central-1", replicas=("us-east-2",)), Verdict.CONTRADICTED),
        (PlaceFacts(region="us-west-2", replicas=()), Verdict.CONTRADICTED),
        (PlaceFacts(region="eu-central-1", replicas=None), Verdict.NOT_TESTED),
        (PlaceFacts(region="eu-central-1", replicas=("unknown",)), Verdict.NOT_TESTED),
        (PlaceFacts(region="somewhere", replicas=()), Verdict.NOT_TESTED),
        (PlaceFacts(problem="AccessDenied"), Verdict.NOT_TESTED),
        (None, Verdict.NOT_TESTED),
    ],
)
def test_regions_and_replicas_against_declared_transfers(
    facts: PlaceFacts | None, verdict: Verdict
) -> None:
    found = beside("transfers", activity(no_transfers=True), facts)
    assert found.verdict is verdict


def test_a_declared_transfer_explains_a_region_outside_the_eea() -> None:
    cloud = {"id": "cloud", "kind": "processor", "text": {"en": "Hosting"}, "country": "US"}
    of_ = activity(
        recipients=[cloud],
        transfers=[{"recipient": "cloud", "country": "US", "mechanism": "scc"}],
    )
    facts = PlaceFacts(region="us-west-2", replicas=())
    assert beside("transfers/cloud", of_, facts).verdict is Verdict.CONFIRMED


@pytest.mark.parametrize(
    ("country", "verdict"), [("DE", Verdict.CONFIRMED), ("DK", Verdict.CONTRADICTED)]
)
def test_the_host_country_against_the_region(country: str, verdict: Verdict) -> None:
    of_ = activity(sovereignty={"host_country": country, "operator": "E"})
    found = beside("sovereignty", of_, HERE)
    assert found.verdict is verdict
    assert found.scope == EVIDENCE_STORE


@pytest.mark.parametrize(
    ("control", "facts", "expected", "verdict"),
    [
        ("ENC-REST", HERE, {"algorithm": "AES256"}, Verdict.CONFIRMED),
        ("ENC-REST", HERE, {}, Verdict.CONFIRMED),
        ("ENC-REST", HERE, {"algorithm": "aws:kms"}, Verdict.CONTRADICTED),
        ("ENC-REST", PlaceFacts(encryption="none"), {}, Verdict.CONTRADICTED),
        ("ENC-REST", PlaceFacts(), {}, Verdict.NOT_TESTED),
        ("ENC-TRANSIT", HERE, {}, Verdict.CONFIRMED),
        ("ENC-TRANSIT", PlaceFacts(tls_only=False), {}, Verdict.CONTRADICTED),
        ("ENC-TRANSIT", PlaceFacts(), {}, Verdict.NOT_TESTED),
    ],
)
def test_settings_of_the_store_against_declared_measures(
    control: str, facts: PlaceFacts, expected: dict[str, Any], verdict: Verdict
) -> None:
    measure = {"control": control, "statement": {"en": "So it is"}, "expected": expected}
    assert beside(f"toms/{control}", activity(toms=[measure]), facts).verdict is verdict


def stored(name: str, elsewhere: str | list[str], **more: Any) -> Comparison:
    """The comparison for an activity with one data set in a bucket and one elsewhere."""
    category = {
        "id": "contact",
        "text": {"en": "Contact"},
        "columns": ["in-bucket.name", "elsewhere.name"],
    }
    measure = {"control": "ENC-REST", "statement": {"en": "So it is"}}
    of_ = activity(
        data_categories=[category],
        toms=[measure],
        sovereignty={"host_country": "DE", "operator": "E"},
    )
    both = world({"in-bucket": "s3://data/x", "elsewhere": elsewhere})
    places = {"in-bucket": (HERE,), EVIDENCE_STORE: (HERE,)}
    if "s3://data/y" in elsewhere:
        places["elsewhere"] = (HERE,)
    (found,) = outside(field(name), of_, both, NIGHT.date, places, (), **more)
    return found


STORE_FIELDS = ("transfers", "sovereignty", "toms/ENC-REST", "toms/ENC-TRANSIT", "toms/ACCESS")


@pytest.mark.parametrize("name", STORE_FIELDS)
@pytest.mark.parametrize("elsewhere", ["data/y.csv", ["s3://data/y", "data/y.csv"]])
def test_data_outside_the_store_keep_its_fields_untested_and_are_named(
    name: str, elsewhere: str | list[str]
) -> None:
    found = stored(name, elsewhere)
    assert stored(name, "s3://data/y").verdict is Verdict.CONFIRMED
    assert (found.verdict, found.reason) == (Verdict.NOT_TESTED, "in_part")
    assert any("elsewhere" in pair.what and pair.agrees is None for pair in found.pairs)


@pytest.mark.parametrize("name", STORE_FIELDS)
def test_a_store_asked_after_a_later_night_says_nothing_about_this_one(name: str) -> None:
    found = stored(name, "s3://data/y", later=True)
    assert (found.verdict, found.reason) == (Verdict.NOT_TESTED, "observed_later")
    assert "why.observed_later" in CONTROLS.labels


@pytest.mark.parametrize("name", ["notice", "parties/controller"])
def test_a_page_read_after_a_later_night_says_nothing_about_this_one(name: str) -> None:
    of_ = activity(notice={"copies": {"en": "notice.html"}})
    (found,) = outside(field(name), of_, world(), NIGHT.date, {}, (), later=True)
    assert (found.verdict, found.reason) == (Verdict.NOT_TESTED, "observed_later")


def test_a_notice_that_names_no_party_confirms_none() -> None:
    item = PublishedNotice("en", "a" * 64, 1, 1, 0, 0)
    found = beside("parties/processor", activity(), None, item)
    assert found.verdict is Verdict.NOT_TESTED
    assert [one.reason for one in found.comparisons] == ["notice_names_none"]
    assert "why.notice_names_none" in CONTROLS.labels


@pytest.mark.parametrize(
    ("until", "verdict", "reason"),
    [
        (dt.date(2026, 3, 1), Verdict.EXPIRED, "contract_ended"),
        (dt.date(2026, 3, 2), Verdict.NOT_TESTED, "contract_is_declared"),
        (None, Verdict.NOT_TESTED, "no_contract"),
    ],
)
def test_a_contract_ends_and_is_otherwise_only_declared(
    until: dt.date | None, verdict: Verdict, reason: str
) -> None:
    printer = {
        "id": "one",
        "kind": "processor",
        "text": {"en": "Printer"},
        "country": "DE",
        **({"contract_until": until} if until else {}),
    }
    found = beside("recipients/one", activity(recipients=[printer]))
    assert found.verdict is verdict
    assert reason in {item.reason for item in found.comparisons}


@pytest.mark.parametrize(
    ("notice", "verdict"),
    [
        (PublishedNotice("en", "a" * 64, 20, 20, 2, 2), Verdict.CONFIRMED),
        (PublishedNotice("en", "a" * 64, 20, 19, 2, 2), Verdict.CONTRADICTED),
        (PublishedNotice("en", "", 0, 0, problem="copy_unreadable"), Verdict.NOT_TESTED),
    ],
)
def test_the_published_notice_against_the_generated_one(
    notice: PublishedNotice, verdict: Verdict
) -> None:
    assert beside("notice", activity(), None, notice).verdict is verdict


def test_the_catalogue_says_where_its_regions_come_from() -> None:
    assert isinstance(CONTROLS, ControlCatalogue)
    for region, facts in CONTROLS.regions.items():
        assert facts["source"] and facts["checked_on"] and facts["certainty"], region
    assert {"DE", "DK", "NO"} <= set(CONTROLS.eea["countries"])


# ------------------------------------------------------------------------- logs of accesses

LOG_FIELDS = {
    "recipients/team": "readers_as_declared",
    "transfers/team": "access_regions_as_declared",
    "toms/ACCESS": "readers_as_declared",
    "toms/ACCESS-REVIEW": "readers_as_declared",
    "toms/LOGGING": "access_volume_usual",
    "toms/TRANSFERS": "access_regions_as_declared",
}


def logged(
    name: str, covers: list[str], outcome: Outcome = Outcome.PASS, roles: tuple[str, ...] = ("r",)
) -> FieldVerdict:
    """The verdict from one log of accesses for an activity with the data sets a and b."""
    team = {
        "id": "team",
        "kind": "internal",
        "text": {"en": "Team"},
        "country": "DE",
        "access_roles": list(roles),
    }
    category = {"id": "contact", "text": {"en": "Contact"}, "columns": ["a.name", "b.name"]}
    of_ = activity(recipients=[team], data_categories=[category])
    log = {"id": "it", "role": "access_log", "location": "x.csv", "access": {"covers": covers}}
    made = world({"a": "a.csv", "b": "b.csv", "other": "other.csv"})
    made = made.model_copy(
        update={"data_sets": {**made.data_sets, "it": DataSet.model_validate(log)}}
    )
    located = {"data_set/it": locate([finding(LOG_FIELDS[name], outcome)], "0" * 64)}
    own = field(name)
    about = {item for item in subjects_of_record_field(own, of_, made) if item == "data_set/it"}
    return field_verdict(own, about, Tonight(made, NIGHT, located), activity=of_)


@pytest.mark.parametrize("name", LOG_FIELDS)
@pytest.mark.parametrize("covers", [[], ["a"], ["other"]])
def test_a_log_confirms_only_what_it_says_it_covers(name: str, covers: list[str]) -> None:
    assert logged(name, ["a", "b"]).verdict is Verdict.CONFIRMED
    found = logged(name, covers)
    assert found.verdict is Verdict.NOT_TESTED
    if covers != ["other"]:
        assert "no access log covers data_set/b" in found.explanation


@pytest.mark.parametrize("covers", [[], ["a"], ["a", "b"]])
def test_an_undeclared_reader_contradicts_whatever_the_log_covers(covers: list[str]) -> None:
    assert logged("recipients/team", covers, Outcome.FAIL).verdict is Verdict.CONTRADICTED
    assert logged("recipients/team", ["other"], Outcome.FAIL).verdict is Verdict.NOT_TESTED


def test_a_recipient_without_a_technical_principal_is_not_tested() -> None:
    found = logged("recipients/team", ["a", "b"], roles=())
    assert found.verdict is Verdict.NOT_TESTED
    assert "no technical principal" in found.explanation
