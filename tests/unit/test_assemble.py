"""Records and dossiers: every field of Art. 30 and Annex IV, and what nobody declared is named."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nachweis.domain.errors import StoreError
from nachweis.domain.manifest import Activity, Model, Organisation, Origin, World
from nachweis.domain.record import Record, RecordField, Section
from nachweis.pipeline.assemble import assemble_dossier, assemble_record, served_models
from nachweis.storage import layout

NIGHT = dt.datetime(2026, 3, 3, tzinfo=dt.UTC)
PARTY = {
    "legal_name": "Example",
    "address": "Street 1",
    "country": "DE",
    "email": "privacy@example.com",
}


def text(en: str) -> dict[str, str]:
    return {"en": en}


def organisation(**fields: Any) -> Organisation:
    return Organisation.model_validate(
        {
            "id": "example",
            "controller": PARTY,
            "roles": [{"id": "owner", "title": text("Owner")}],
            "countries": ["DE"],
            "establishment": "DE",
            "languages": ["en"],
            **fields,
        }
    )


def activity(**fields: Any) -> Activity:
    return Activity.model_validate(
        {
            "id": "letters",
            "title": text("Letters"),
            "owner": "owner",
            "purposes": [{"id": "mailing", "text": text("Choosing whom to write to")}],
            **fields,
        }
    )


COMPLETE: dict[str, Any] = {
    "data_subjects": [{"id": "customers", "text": text("Customers")}],
    "data_categories": [{"id": "contact", "text": text("Contact data")}],
    "recipients": [
        {"id": "printer", "kind": "processor", "text": text("Printer"), "country": "DE"},
        {"id": "cloud", "kind": "processor", "text": text("Hosting"), "country": "US"},
    ],
    "transfers": [
        {"recipient": "cloud", "country": "US", "mechanism": "scc"},
        {"recipient": "cloud", "country": "IN", "mechanism": "scc"},
    ],
    "retention": [
        {
            "id": "two-years",
            "categories": ["contact"],
            "period": "P24M",
            "start_event": "last_activity",
            "basis": text("Needed for two seasons"),
        }
    ],
    "toms": [
        {"control": "ENC-REST", "statement": text("Disks are encrypted"), "scope": ["disks"]},
        {"control": "ENC-REST", "statement": text("Buckets are encrypted"), "scope": ["buckets"]},
    ],
}


def record(of: Activity, **about: Any) -> Record:
    world = World(organisation=organisation(**about), activities={of.id: of})
    return assemble_record(world, of, NIGHT)


def ids(sections: tuple[Section, ...]) -> list[str]:
    return [section.id for section in sections]


def fields(document: Record) -> dict[str, RecordField]:
    return {field.id: field for section in document.sections for field in section.fields}


def test_a_controllers_record_has_all_sections_in_the_order_of_the_law() -> None:
    found = record(activity(**COMPLETE))
    assert ids(found.sections) == [
        "art30-1-a",
        "art30-1-b",
        "art30-1-c",
        "art30-1-c-data",
        "art30-1-d",
        "art30-1-e",
        "art30-1-f",
        "art30-1-g",
    ]
    assert found.incomplete == ()


def test_what_the_law_asks_for_and_nobody_declared_is_listed() -> None:
    found = record(activity())
    assert found.incomplete == (
        "data_subjects",
        "data_categories",
        "recipients",
        "transfers",
        "retention",
        "toms",
    )
    for key in found.incomplete:
        assert (fields(found)[key].value, fields(found)[key].origin) == (None, Origin.MISSING)


def test_what_exists_only_in_some_cases_is_never_incomplete() -> None:
    found = record(activity(**COMPLETE))
    for key in ("parties/representative", "parties/dpo", "special_categories"):
        assert fields(found)[key].origin is Origin.MISSING
    assert (
        "parties/joint_controllers"
        in record(activity(**COMPLETE, capacity="joint_controller")).incomplete
    )


def test_a_statement_that_nothing_is_transferred_completes_the_record() -> None:
    without = {key: value for key, value in COMPLETE.items() if key != "transfers"}
    assert "transfers" in record(activity(**without)).incomplete
    assert "transfers" not in record(activity(**without, no_transfers=True)).incomplete


def test_every_field_has_an_id_of_its_own() -> None:
    found = record(activity(**COMPLETE))
    every = [field.id for section in (*found.sections, *found.further) for field in section.fields]
    assert len(set(every)) == len(every)
    assert {"transfers/cloud", "transfers/cloud/2", "toms/ENC-REST", "toms/ENC-REST/2"} <= set(
        every
    )


def test_a_processors_record_follows_article_30_2_and_names_each_client() -> None:
    clients = [
        {"id": "north", "party": {**PARTY, "legal_name": "North"}, "dpo": {
            "function": text("DPO"), "email": "dpo@north.example"}},
        {"id": "south", "party": {**PARTY, "legal_name": "South"}},
        {"id": "others", "party": {**PARTY, "legal_name": "Others"}},
    ]  # fmt: skip
    served = [
        {"client": "north", "text": text("Sending letters")},
        {"client": "south", "text": text("Scoring customers")},
        {"client": "gone", "text": text("Scoring customers")},
    ]
    of = activity(**COMPLETE, capacity="processor", processing_for=served)
    found = record(of, role="processor", controller=None, processor=PARTY, clients=clients)
    assert ids(found.sections) == ["art30-2-a", "art30-2-b", "art30-2-c", "art30-2-d"]
    named = fields(found)
    assert named["clients/north"].value["party"]["legal_name"] == "North"  # type: ignore[index, call-overload]
    assert named["clients/south"].origin is Origin.DECLARED
    assert "clients/others" not in named
    assert [key for key in named if key.startswith("processing_for/")] == [
        "processing_for/north",
        "processing_for/south",
        "processing_for/gone",
    ]
    assert found.incomplete == ("clients/gone",)


def test_an_ended_activity_keeps_its_record() -> None:
    found = record(activity(**COMPLETE, status="ended", ended_on="2026-02-01"))
    assert found.status == "ended"
    assert found.incomplete == ()


def test_what_the_law_does_not_ask_for_stands_apart() -> None:
    basis = {"art6": "f", "interest": text("Direct marketing")}
    found = record(
        activity(purposes=[{"id": "mailing", "text": text("Mailing"), "legal_basis": basis}])
    )
    purpose = fields(found)["purposes/mailing"].value
    assert isinstance(purpose, dict)
    assert "legal_basis" not in purpose
    further = {field.id: field for section in found.further for field in section.fields}
    assert further["legal_basis/mailing"].value["art6"] == "f"  # type: ignore[index, call-overload]


# ------------------------------------------------------------------------------------ models


def model(**more: Any) -> Model:
    return Model.model_validate(
        {
            "id": "propensity",
            "title": text("Propensity"),
            "kind": "binary",
            "unit": "person",
            "stage": "draft",
            "owner": "owner",
            "activities": ["letters"],
            "data": {},
            **more,
        }
    )


def version(name: str, live_from: str | None, live_to: str | None, share: float) -> dict[str, Any]:
    return {"version": name, "live_from": live_from, "live_to": live_to, "traffic_share": share}


VERSIONS = [
    version("1", "2026-01-01T00:00:00Z", "2026-03-03T00:00:00Z", 1.0),  # ended at this moment
    version("2", "2026-03-03T00:00:00Z", None, 0.8),  # began at this moment
    version("3", "2026-02-01T00:00:00", "2026-04-01T00:00:00", 0.2),  # zone not written: UTC
    version("4", "2026-02-01T00:00:00Z", None, 0.0),  # without traffic
    version("5", "2026-03-03T00:00:01Z", None, 1.0),  # not yet
    version("6", None, None, 1.0),  # never
]


def test_served_versions_are_those_live_at_the_moment() -> None:
    of = activity()
    world = World(
        organisation=organisation(),
        activities={of.id: of},
        models={"propensity": model(versions=VERSIONS)},
    )
    assert [(row["id"], row["version"]) for row in served_models(world, of, NIGHT)] == [
        ("propensity", "2"),
        ("propensity", "3"),
    ]
    earlier = served_models(world, of, NIGHT - dt.timedelta(seconds=1))
    assert [row["version"] for row in earlier] == ["1", "3"]


def test_a_dossier_follows_annex_iv_and_a_draft_names_what_is_missing() -> None:
    of = activity()
    world = World(
        organisation=organisation(), activities={of.id: of}, models={"propensity": model()}
    )
    found = assemble_dossier(world, world.models["propensity"], NIGHT)
    assert ids(found.sections) == [f"annex4-{number}" for number in range(1, 10)]
    assert found.draft
    assert {"intended_purpose", "served_versions", "data", "oversight"} <= set(found.incomplete)
    assert found.activities == ("letters",)


# -------------------------------------------------------------------------------------- ids

_GOOD = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


@given(st.text(max_size=70).filter(lambda name: not re.fullmatch(_GOOD, name)))
def test_a_bad_id_is_neither_a_manifest_nor_a_key(name: str) -> None:
    with pytest.raises(ValidationError):
        activity(id=name)
    with pytest.raises(ValidationError):
        model(id=name)
    with pytest.raises(StoreError):
        layout.record(name, 1)


@pytest.mark.parametrize("name", ["../records", "a/b", ".", "A", "a\n", "a-", "-a", "a" * 64, ""])
def test_known_bad_ids_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        activity(id=name)
    with pytest.raises(StoreError):
        layout.dossier(name, 1)
