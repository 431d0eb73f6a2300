"""What people take away: a signed version, or the register, in a format of their choice."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nachweis.domain.canonical import digest_bytes, parse
from nachweis.domain.errors import NachweisError, suggestion
from nachweis.domain.manifest import World, json_of
from nachweis.domain.record import VersionRef
from nachweis.domain.site_data import Behind
from nachweis.pages.exports import Decision, Format, Kind, Source, Version, by_name
from nachweis.pages.words import Words, translations
from nachweis.pipeline.access_log import access
from nachweis.pipeline.actors import name_of
from nachweis.pipeline.approval_history import history
from nachweis.pipeline.archive import Archive, SignedAttempt, night_of, open_archive
from nachweis.pipeline.behind import behind
from nachweis.pipeline.load import load_world
from nachweis.settings import Settings

REGISTER = "register"
OWN_AUTHORITY = "authority"
"""Stands for the country in which the organisation is established."""


@dataclass(frozen=True, slots=True)
class Exported:
    """An export with the name its file should have."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class _Known:
    """A version and the night that made it."""

    reference: VersionRef
    night: str


def export(
    settings: Settings,
    target: str,
    name: str,
    *,
    layout: str = "",
    language: str | None = None,
    night: str | None = None,
    version: int | None = None,
) -> Exported:
    """Write a signed version, or the register, in a format.

    Args:
        settings: Resolved settings.
        target: Id of an activity or model, ``record/ID``, ``dossier/ID``, or ``register``.
        name: Name of the format.
        layout: Country of the authority it is for; ``authority`` for the organisation's own.
        language: Language; default is the controlling one.
        night: State as of this signed night; default is the newest.
        version: Version of the document; default is that night's.

    Returns:
        File name and bytes.

    Raises:
        NachweisError: If nothing signed fits what was asked for.
    """
    archive = open_archive(settings)
    world = load_world(settings).world
    attempt = night_of(archive, night)
    known = _versions_until(archive, attempt)
    current = [item for item in archive.statement(attempt).versions if item.kind == "record"]
    kind, chosen = _chosen(known, current, target, version)
    made = by_name(name, kind)
    if layout.lower() == OWN_AUTHORITY:
        party = world.organisation.controller or world.organisation.processor
        layout = party.country if party is not None else layout
    authority = _layout(made, layout, settings)
    words = _words(settings, world, language)
    titles = {role.id: words.text(role.title) for role in world.organisation.roles}
    source = Source(
        kind=kind,
        versions=tuple(_version(archive, item, made, attempt) for item in chosen),
        words=words,
        templates=settings.templates,
        controls=world.controls.controls,
        organisation=json_of(world.organisation),
        layout=authority,
        decisions=_decisions(settings, archive, chosen, attempt if night else None, titles)
        if authority
        else {},
        behind=_behind(settings, archive, world, chosen[0], attempt, dated=night is not None)
        if made.reported
        else None,
    )
    done = Exported(_file_name(made, source, attempt), made.render(source))
    named = " with names" if source.decisions else ""
    access.info("export of %s: %s%s, %s", target, done.name, named, digest_bytes(done.content))
    return done


def sources_of_version(
    settings: Settings, world: World, version: Version, languages: tuple[str, ...]
) -> dict[str, Source]:
    """The sources of a new version's renderings, one per language.

    The organisation is left out: a rendering depends on its version and the catalogues alone.
    """
    kind: Kind = "record" if version.document["kind"] == "record" else "dossier"
    return {
        language: Source(
            kind=kind,
            versions=(version,),
            words=_words(settings, world, language),
            templates=settings.templates,
            controls=world.controls.controls,
        )
        for language in languages
    }


def _versions_until(
    archive: Archive, attempt: SignedAttempt
) -> dict[tuple[str, str], dict[int, _Known]]:
    """Versions of every document that were signed up to a night."""
    found: dict[tuple[str, str], dict[int, _Known]] = {}
    for earlier in archive.attempts:
        if earlier.night > attempt.night:
            continue
        for item in archive.statement(earlier).versions:
            versions = found.setdefault((item.kind, item.id), {})
            if item.new or item.version not in versions:
                versions[item.version] = _Known(item, earlier.night)
    return found


def _chosen(
    known: dict[tuple[str, str], dict[int, _Known]],
    current: list[VersionRef],
    target: str,
    version: int | None,
) -> tuple[Kind, list[_Known]]:
    if target == REGISTER:
        if version is not None:
            raise NachweisError(
                "a register has no version of its own",
                where="--version",
                remedy="choose a night with --night",
            )
        if not current:
            raise NachweisError("there is no record yet", where=target)
        listed = sorted(current, key=lambda item: item.id)
        return "register", [known["record", item.id][item.version] for item in listed]
    kind, _, name = target.rpartition("/")
    fitting = [key for key in known if key[1] == name and kind in {"", key[0]}]
    if len(fitting) != 1:
        names = sorted({REGISTER, *(f"{a}/{b}" for a, b in known)})
        raise NachweisError(
            "an activity and a model have this id" if fitting else "nothing signed has this id",
            where=target,
            remedy=suggestion(target, [b for _, b in known]),
            valid=names,
        )
    many = known[fitting[0]]
    number = version or max(many)
    if number not in many:
        raise NachweisError(
            f"there is no version {number}",
            where=target,
            valid=[str(item) for item in sorted(many)],
        )
    return ("record" if fitting[0][0] == "record" else "dossier"), [many[number]]


def _version(archive: Archive, item: _Known, made: Format, attempt: SignedAttempt) -> Version:
    reference = item.reference
    document: Any = parse(archive.content(reference.key, reference.digest))
    version = Version(document, reference.version, reference.digest, item.night)
    if not made.nightly and not made.enriched:
        return version
    place = f"{reference.kind}/{reference.id}"
    digest = archive.statement(attempt).assessments.get(place, "")
    found = archive.if_kept(lambda: archive.assessment(attempt, digest)) if digest else None
    if found is not None and found.target_version == reference.version:
        return dataclasses.replace(version, assessment=found.document(), assessment_digest=digest)
    if made.nightly:
        raise NachweisError(
            "this version was not assessed in this night",
            where=f"{place}, {attempt.night}",
            remedy="choose the night with --night",
        )
    return version


def _decisions(
    settings: Settings,
    archive: Archive,
    chosen: list[_Known],
    attempt: SignedAttempt | None,
    titles: Mapping[str, str],
) -> dict[str, tuple[Decision, ...]]:
    """Who decided about versions, with the names the directory holds today.

    For a night in the past, decisions count that were signed up to the end of the next day.
    """
    from nachweis.storage.s3 import open_store

    events = history(archive, _end_of(attempt) if attempt is not None else None)
    narratives = open_store(settings, "narratives")
    found = {}
    for item in chosen:
        reference = item.reference
        signed = events.get((reference.kind, reference.id), {}).get(reference.version, [])
        urn = f"urn:nachweis:{reference.kind}:{reference.id}:v{reference.version}"
        found[urn] = tuple(
            Decision(
                one.event.word,
                titles.get(one.event.role, one.event.role),
                name_of(narratives, one.event) or "",
                one.day,
            )
            for one in signed
            if one.counts
        )
    return found


def _behind(
    settings: Settings,
    archive: Archive,
    world: World,
    chosen: _Known,
    attempt: SignedAttempt,
    *,
    dated: bool,
) -> Behind:
    """What stands behind the only document of a report, as of its night where one was named."""
    reference = chosen.reference
    target = (reference.kind, reference.id)
    many = history(archive, _end_of(attempt) if dated else None).get(target, {})
    events = sorted((one for found in many.values() for one in found), key=lambda i: i.sequence)
    return behind(archive, world, settings.state, target, attempt.night, tuple(events))


def _end_of(attempt: SignedAttempt) -> dt.datetime:
    """Until when decisions belong to a night in the past: the end of the next day, UTC."""
    end = dt.date.fromisoformat(attempt.night) + dt.timedelta(days=2)
    return dt.datetime.combine(end, dt.time.min, dt.UTC)


def _words(settings: Settings, world: World, language: str | None) -> Words:
    languages = world.organisation.languages
    wanted = language or world.organisation.main_language
    if wanted not in languages:
        raise NachweisError(
            "the organisation's documents are not written in this language",
            where="--lang",
            valid=languages,
        )
    return Words(wanted, world.controls.labels, translations(settings.templates, wanted))


def _layout(made: Format, layout: str, settings: Settings) -> str:
    if not layout:
        return ""
    known = made.layouts(settings.templates) if made.layouts else ()
    if layout.upper() not in known:
        raise NachweisError(
            f"{made.name} has no layout of this authority"
            if known
            else f"{made.name} looks the same for every authority",
            where="--for",
            valid=known,
        )
    return layout.upper()


def _file_name(made: Format, source: Source, attempt: SignedAttempt) -> str:
    language = f".{source.words.language}" if made.spoken else ""
    authority = f"-{source.layout.lower()}" if source.layout else ""
    if source.kind == REGISTER:
        return f"register-{attempt.night}{authority}{language}.{made.suffix}"
    night = f"-{attempt.night}" if source.only.assessment is not None else ""
    return f"{source.only.id}-v{source.only.version}{night}{authority}{language}.{made.suffix}"
