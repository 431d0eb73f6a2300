"""What the pages are tested with: the demo world as a signed night, and a world with all fields."""

from __future__ import annotations

import datetime as dt
import enum
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nachweis import registry
from nachweis.domain.finding import (
    Finding,
    Measurement,
    Outcome,
    Severity,
    Subject,
    SubjectKind,
    Threshold,
)
from nachweis.domain.manifest import Activity, DataSet, Model, Organisation, World, json_of
from nachweis.domain.manifest.common import LANGUAGES
from nachweis.domain.night import Night
from nachweis.domain.record import Assessment, NotRun, Statement
from nachweis.domain.site_data import SignedNight, SiteData, VersionedDossier, VersionedRecord
from nachweis.pages.catalogue import check_pages
from nachweis.pipeline.assemble import assemble_dossier, assemble_record
from nachweis.pipeline.decide import Located, Tonight, assess_dossier, assess_record, locate
from nachweis.pipeline.load import load_controls, load_world
from nachweis.settings import PACKAGE_ROOT, Settings

NIGHT = Night.parse("2026-11-20")
MOMENT = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
SIGNED_AT = "2026-11-21T01:02:03+00:00"
TEMPLATES = PACKAGE_ROOT / "templates"

NUMBERS = (
    Measurement(
        name="distance",
        value=0.027665975,
        unit="wasserstein",
        threshold=Threshold(value=0.1, operator="<", source="library rule"),
        n=4000,
        interval=(0.0, 0.1),
        interval_level=0.95,
        recipe="a long recipe",
        drifted=False,
    ),
    Measurement(name="rows", value="1-9", unit="rows"),
    Measurement(name="rate", value="< 0.02", unit="share"),
    Measurement(name="undefined", value=None, reason="no positives"),
    Measurement(name="differs", value=True),
    Measurement(name="tiny", value=1.5e-9, unit="probability"),
)
"""Measurements of every shape that can be sealed."""


def demo_world() -> World:
    """The demo's manifests together with those the product ships; no data is read."""
    folders = f"{PACKAGE_ROOT}:{PACKAGE_ROOT / 'demo'}"
    return load_world(Settings(world=folders)).world


def some_findings(world: World) -> dict[str, list[Finding]]:
    """Findings of every check about everything it can be about, with all outcomes in turn."""
    outcomes = list(Outcome)
    found: dict[str, list[Finding]] = {}
    for turn, check in enumerate(registry.checks().values()):
        models = check.subject is SubjectKind.MODEL
        ids: Sequence[str] = sorted(world.models if models else world.data_sets)
        for place, key in enumerate(ids):
            subject = Subject(kind=check.subject, id=key)
            for column in (None, "age", "basket_mean"):
                outcome = outcomes[(turn + place + (column is not None)) % len(outcomes)]
                found.setdefault(str(subject), []).append(
                    Finding(
                        check=check.id,
                        subject=subject,
                        column=column,
                        outcome=outcome,
                        severity=Severity.HIGH,
                        explanation=f"{check.id} says {outcome.value}.",
                        measurements=NUMBERS if column else (),
                        remediation=check.remediation,
                        scope="all rows",
                        declare="the thing" if outcome is Outcome.NOT_AVAILABLE else "",
                    )
                )
    return found


def site(
    world: World,
    findings: Mapping[str, Sequence[Finding]] | None = None,
    *,
    store: str = "demonstration",
) -> SiteData:
    """One signed night of a world, assembled and assessed by the pipeline's own functions.

    Args:
        world: The world.
        findings: Subject to findings; by default :func:`some_findings`.
        store: Mode of the store.

    Returns:
        The input of the pages.
    """
    chosen = some_findings(world) if findings is None else findings
    located: dict[str, list[Located]] = {
        subject: locate(found, "ab" * 32) for subject, found in chosen.items()
    }
    tonight = Tonight(world, NIGHT, located, blind=("groups_large_enough",))
    records, dossiers = {}, {}
    assessments: dict[tuple[str, str], Assessment] = {}
    for key, activity in world.activities.items():
        record = assemble_record(world, activity, MOMENT)
        records[key] = (VersionedRecord(record, 1, record.digest(), str(NIGHT)),)
        assessments[f"record/{key}", str(NIGHT)] = assess_record(
            record, 1, record.digest(), tonight
        )
    for key, model in world.models.items():
        dossier = assemble_dossier(world, model, MOMENT)
        dossiers[key] = (VersionedDossier(dossier, 1, dossier.digest(), str(NIGHT)),)
        assessments[f"dossier/{key}", str(NIGHT)] = assess_dossier(
            dossier, 1, dossier.digest(), tonight
        )
    languages = tuple(world.organisation.languages)
    return SiteData(
        organisation=json_of(world.organisation),
        languages=languages,
        nights=(signed(statement(located, assessments=assessments)),),
        records=records,
        dossiers=dossiers,
        assessments=assessments,
        checks=check_pages(registry.checks()),
        catalogue=load_controls(PACKAGE_ROOT / "controls"),
        store=store,
        write_protection="GOVERNANCE, P1D",
    )


def signed(content: Statement, sequence: int = 2) -> SignedNight:
    """A statement with its ledger entry."""
    return SignedNight(content, content.digest(), sequence, "cd" * 32, SIGNED_AT, current=True)


def statement(
    located: Mapping[str, Sequence[Located]],
    night: str = str(NIGHT),
    hostile: str = "",
    assessments: Mapping[tuple[str, str], Assessment] | None = None,
) -> Statement:
    """A statement that counts the findings and has something in every part."""
    outcomes = [item.finding.outcome for found in located.values() for item in found]
    return Statement(
        night=night,
        timezone="Europe/Berlin",
        attempt="a1",
        idempotency_key="ef" * 32,
        supersedes=None,
        manifests_digest="01" * 32,
        data_versions={f"scores{hostile}": "23" * 32},
        code_version=f"1.0{hostile}",
        software={f"duckdb{hostile}": "1.5.5"},
        subjects=tuple(located),
        not_run=(NotRun(what=f"model/x{hostile}", reason=f"failed{hostile}"),),
        blind=(f"groups_large_enough{hostile}",),
        evidence={},
        versions=(),
        assessments={place: found.digest() for (place, _), found in (assessments or {}).items()},
        counts={outcome.value: outcomes.count(outcome) for outcome in Outcome},
        open_by_severity={},
        blocked=(f"records/x{hostile}",),
        store={},
    )


# -------------------------------------------------------------------------- a filled world

_BY_NAME: Mapping[str, Any] = {
    "period": "P24M", "grace": "P14D", "backup_lag": "P35D", "label_delay": "P1M",
    "window": "P1D", "extend_to": "P7D", "review_interval": "P12M", "until": "2026-12-31",
    "no_transfers": False, "recipients_of_bias": [], "timezone": "Europe/Berlin",
    "status": "active", "control": "MFA",
    # A signature names its signer in one of three ways: here by identity.
    "public_key": None, "certificates": None,
}  # fmt: skip


def filled(model: type[BaseModel], text: str, uri: str, **given: Any) -> dict[str, Any]:
    """Data for a manifest with every optional field filled.

    Args:
        model: The manifest's class.
        text: What stands in every free text.
        uri: What stands in every address of a document.
        given: Values to take as they are.

    Returns:
        Data that the class accepts.
    """
    data: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        key = info.alias or name
        if key in given:
            data[key] = given[key]
        elif _largest(info) == 0:
            data[key] = []
        else:
            data[key] = _fill(info.annotation, info.metadata, name, text, uri)
    return data


def _largest(info: FieldInfo) -> int | None:
    limit: int | None = _limit(info.metadata, "max_length")
    return limit


def _fill(kind: Any, metadata: Sequence[Any], name: str, text: str, uri: str) -> Any:
    if name in _BY_NAME:
        return _BY_NAME[name]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _fill(arguments[0], arguments[1:], name, text, uri)
    if origin is typing.Literal:
        return arguments[0]
    if origin is list:
        return [_fill(arguments[0], (), name, text, uri)]
    if origin is dict:
        if _is_text(arguments[1]):
            return dict.fromkeys(LANGUAGES, text)
        return {text or "key": _fill(arguments[1], (), name, text, uri)}
    if origin is not None:  # a union
        return _fill(
            next(item for item in arguments if item is not type(None)), metadata, name, text, uri
        )
    return _plain(kind, metadata, text, uri)


def _is_text(values: Any) -> bool:
    """Whether a mapping is a text per language: only those bound their values like this."""
    return _limit(typing.get_args(values)[1:], "max_length") == 20_000


def _limit(metadata: Sequence[Any], name: str) -> Any:
    return next((value for m in metadata if (value := getattr(m, name, None)) is not None), None)


def _plain(kind: Any, metadata: Sequence[Any], text: str, uri: str) -> Any:
    simple: Mapping[Any, Any] = {
        bool: True, int: 3, float: 0.5, dt.date: "2026-01-01",
        dt.datetime: "2026-01-01T00:00:00+00:00", Any: text,
    }  # fmt: skip
    if kind in simple:
        return simple[kind]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind)).value
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return filled(kind, text, uri)
    pattern, longest = _limit(metadata, "pattern"), _limit(metadata, "max_length")
    if pattern is None:
        return uri if longest == 2000 else text[:longest]
    return next(
        sample
        for start, sample in (
            ("^[A-Z]{2}", "DE"), ("^[0-9a-f]{64}", "a" * 64), ("^[a-z][a-z0-9-]*:", "dpv:Thing"),
            ("", "an-id"),
        )
        if str(pattern).startswith(start)
    )  # fmt: skip


def filled_world(text: str = "a text", uri: str = "https://example.org/doc") -> World:
    """A world in which every field of every printed manifest says something."""
    languages = list(LANGUAGES)
    organisation = Organisation.model_validate(
        filled(
            Organisation, text, uri, role="controller_and_processor", languages=languages,
            controlling_language="de",
        )
    )  # fmt: skip
    activity = filled(Activity, text, uri, id="controller", ended_on=None)
    columns = [{"name": name, "type": "string"} for name in ("first", "second")]
    worlds: dict[str, Any] = {
        "activities": {
            "controller": Activity.model_validate(activity),
            "processor": Activity.model_validate(
                {**activity, "id": "processor", "capacity": "processor"}
            ),
        },
        "models": {
            "an-id": Model.model_validate(
                filled(
                    Model, text, uri, stage="deployed",
                    evidently=[{"metric": "MeanValue", "column": text[:200], "at_most": 0.5}],
                )
            )
        },
        "data_sets": {
            "an-id": DataSet.model_validate(
                {
                    "id": "an-id", "title": {"en": text}, "role": "training", "location": "x",
                    "purposes": ["an-id"],
                    "columns": [
                        *columns,
                        {"name": text[:200], "type": "string", "category": "an-id",
                         "art9": "health", "feature": True},
                    ],
                }
            )
        },
    }  # fmt: skip
    controls = load_controls(PACKAGE_ROOT / "controls")
    return World(organisation=organisation, controls=controls, **worlds)
