"""Writing a waiver: a time-limited acceptance of one failing check, as a manifest to review."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from pydantic import ValidationError

from nachweis.domain.canonical import digest_bytes
from nachweis.domain.errors import NachweisError, suggestion
from nachweis.domain.finding import Finding, Outcome
from nachweis.domain.manifest import Waiver
from nachweis.pipeline.archive import night_of, open_archive
from nachweis.pipeline.decide import waivable
from nachweis.pipeline.leaks import demand_clean
from nachweis.pipeline.load import FOLDERS, Loaded, load_world
from nachweis.pipeline.views import views_of
from nachweis.settings import Settings

_LONGEST_ID = 63
_KINDS = {"model": "models", "data_set": "data_sets", "activity": "activities"}


def waive(
    settings: Settings,
    key: str,
    *,
    role: str,
    until: dt.date,
    reason: Mapping[str, str],
    start: dt.date | None = None,
    night: str | None = None,
) -> Path:
    """Write the waiver of a failing check.

    Args:
        settings: Resolved settings.
        key: The finding's key.
        role: Role of organisation.yaml that accepts it; never a person.
        until: Last day.
        reason: Why, per language of the organisation.
        start: First night; default is today.
        night: The signed night of the finding; default is the newest.

    Returns:
        The file, in ``manifests/waivers/`` of the world that holds the subject's manifest.

    Raises:
        NachweisError: If there is no such failing finding or role, the check cannot be waived, the
            time is too long, a language is missing or the text looks like personal data.
    """
    loaded = load_world(settings)
    organisation = loaded.world.organisation
    roles = [item.id for item in organisation.roles]
    if role not in roles:
        raise NachweisError(
            f"there is no role {role!r}", where="organisation.yaml", valid=roles,
            remedy=suggestion(role, roles),
        )  # fmt: skip
    _demand_languages(reason, organisation.languages)
    finding, signed = _failing(settings, loaded, key, night)
    today = dt.datetime.now(ZoneInfo(organisation.timezone)).date()
    first = start or today
    if first < dt.date.fromisoformat(signed):
        raise NachweisError(
            "a waiver does not reach back before the night of the finding",
            where="--from",
            remedy=f"name {signed} or a later day",
        )
    waiver = _valid(
        {
            "id": _name(finding, until),
            "check": finding.check,
            "subject": str(finding.subject),
            **({"column": finding.column} if finding.column else {}),
            "role": role,
            "reason": {name: reason[name] for name in organisation.languages},
            "from": first,
            "until": until,
        }
    )
    demand_clean(
        loaded.world, waiver.model_dump(mode="json", by_alias=True), f"the waiver {waiver.id}"
    )
    return _written(_folder(settings, loaded, finding), waiver)


def _demand_languages(reason: Mapping[str, str], wanted: list[Any]) -> None:
    for what, names in (
        ("the reason lacks", [name for name in wanted if not reason.get(name, "").strip()]),
        ("the organisation does not write", [name for name in reason if name not in wanted]),
    ):
        if names:
            raise NachweisError(
                f"{what} {', '.join(names)}",
                where="--reason",
                remedy="give one text per language: "
                + " ".join(f'--reason "{name}=TEXT"' for name in wanted),
            )


def _failing(
    settings: Settings, loaded: Loaded, key: str, night: str | None
) -> tuple[Finding, str]:
    archive = open_archive(settings)
    archive.demand_organisation(loaded.world.organisation.id)
    attempt = night_of(archive, night)
    found = {item.finding.key: item.finding for item in views_of(archive, attempt, loaded.world)}
    failing = [one for one, finding in found.items() if finding.outcome is Outcome.FAIL]
    if key not in failing:
        raise NachweisError(
            f"this finding is {found[key].outcome.value}; only a failing check can be waived"
            if key in found
            else "there is no such finding in this night",
            where=key,
            remedy=suggestion(key, failing) or "see `nachweis finding list`",
        )
    if not waivable(found[key].check):
        raise NachweisError(
            f"{found[key].check} cannot be waived",
            where=key,
            remedy="correct what it found; consent, objection, erasure and Art. 9 have no waiver",
        )
    return found[key], attempt.night


def _valid(content: dict[str, Any]) -> Waiver:
    try:
        return Waiver.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise NachweisError(
            str(first["msg"]).removeprefix("Value error, "),
            where=f"waiver {content['id']}",
            remedy="name another day with --until",
        ) from error


def _name(finding: Finding, until: dt.date) -> str:
    """An id that says what is waived and until when; a digest keeps a shortened one unique."""
    words = f"{finding.subject.id}-{finding.check}-{finding.column or ''}"
    plain = re.sub("[^a-z0-9]+", "-", words.lower()).strip("-")
    room = _LONGEST_ID - len(f"-{until}")
    if len(plain) > room:
        mark = digest_bytes(finding.key.encode())[:6]
        plain = f"{plain[: room - len(mark) - 1].strip('-')}-{mark}"
    return f"{plain}-{until}"


def _folder(settings: Settings, loaded: Loaded, finding: Finding) -> Path:
    """The world that holds the subject's manifest; else the one with organisation.yaml."""
    kind = _KINDS.get(finding.subject.kind.value, "")
    origin = loaded.origins.get((kind, finding.subject.id))
    found = origin or loaded.origins.get(("organisation", ""))
    world = found.folder if found else settings.world_folders[0]
    return world / FOLDERS["waivers"][0]


def _written(folder: Path, waiver: Waiver) -> Path:
    path = folder / f"{waiver.id}.yaml"
    content = waiver.model_dump(mode="python", by_alias=True, exclude_none=True)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise NachweisError(
            "this waiver exists already",
            where=str(path),
            remedy="edit that file, or name another day",
        ) from error
    except OSError as error:
        raise NachweisError(
            f"the waiver cannot be written ({error.strerror})",
            where=str(path),
            remedy="check the folder",
        ) from error
    return path
