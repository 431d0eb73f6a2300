"""The time machine: what changed between two versions, and what was in force on a day."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nachweis.domain.approval import Approval, SignedEvent, Standing
from nachweis.domain.errors import NachweisError
from nachweis.domain.manifest import World
from nachweis.pages.diff import Change, diff
from nachweis.pages.exports._values import flat, part
from nachweis.pages.render import harmless
from nachweis.pages.words import Words, translations
from nachweis.pipeline.approval_history import approval_on, history, today_of
from nachweis.pipeline.archive import Archive, open_archive
from nachweis.pipeline.load import load_world
from nachweis.pipeline.signed_versions import (
    Assessed,
    SignedVersion,
    Target,
    content,
    find_target,
    newest_assessment,
    numbered,
    signed_versions,
)
from nachweis.settings import Settings

_COMMIT = re.compile(r"([0-9a-f]{40})(?:\+.*)?")


@dataclass(frozen=True, slots=True)
class SourcedChange:
    """A changed field, its words, and the version that brought its present value.

    Attributes:
        change: What changed between the two versions.
        label: The field's label in the chosen language.
        word: ``added``, ``removed`` or ``changed`` in that language.
        before: Earlier value in words, empty if it was not there.
        after: Later value in words, empty if it is gone.
        source: Version that brought the later value.
    """

    change: Change
    label: str
    word: str
    before: str
    after: str
    source: SignedVersion


@dataclass(frozen=True)
class Comparison:
    """What changed between two versions.

    Attributes:
        target: The document.
        old: Earlier version.
        new: Later version.
        changes: Changed fields.
        words: The language.
    """

    target: Target
    old: SignedVersion
    new: SignedVersion
    changes: tuple[SourcedChange, ...]
    words: Words

    def document(self) -> dict[str, Any]:
        """The comparison as JSON-able data."""
        return {
            "target": "/".join(self.target),
            "language": self.words.language,
            "old": _facts(self.old),
            "new": _facts(self.new),
            "changes": [
                {
                    "field": item.change.field,
                    "label": item.label,
                    "kind": item.change.kind,
                    "before": item.change.before,
                    "after": item.change.after,
                    "before_text": item.before,
                    "after_text": item.after,
                    "source": _facts(item.source),
                }
                for item in self.changes
            ],
        }

    def text(self) -> str:
        """The comparison for a person at a terminal."""
        old, new = self.old.reference.version, self.new.reference.version
        lines = [
            f"{'/'.join(self.target)}: version {old} to version {new}",
            f"from   {_words_of(self.old)}",
            f"to     {_words_of(self.new)}",
        ]
        if not self.changes:
            lines.append("No field differs.")
        for item in self.changes:
            lines += ["", f"{item.word}: {item.label} ({item.change.field})"]
            if item.before:
                lines.append(f"  before  {_indented(item.before)}")
            if item.after:
                lines.append(f"  after   {_indented(item.after)}")
            lines.append(f"  source  {_words_of(item.source)}")
        return "\n".join(lines)


def compare(
    settings: Settings,
    name: str,
    old: str | None = None,
    new: str | None = None,
    language: str | None = None,
) -> Comparison:
    """Compare two versions of a document.

    Args:
        settings: Resolved settings.
        name: Id of an activity or model, ``record/ID`` or ``dossier/ID``.
        old: Earlier version, ``v3`` or ``3``; default is the one before the later version.
        new: Later version; default is the current one.
        language: Language of labels and values; default is the controlling one.

    Returns:
        The comparison.

    Raises:
        NachweisError: If there is no such document, version or language.
    """
    archive, world = open_archive(settings), load_world(settings).world
    return compared(archive, name, old, new, words_of(settings, world, language))


def compared(
    archive: Archive, name: str, old: str | None, new: str | None, words: Words
) -> Comparison:
    """Compare two versions of a document; arguments as in :func:`compare`."""
    known = signed_versions(archive)
    target = find_target(known, name)
    many = known[target]
    later = _chosen(many, numbered(new, "NEW") if new else max(many), target)
    earlier = _chosen(many, numbered(old, "OLD") if old else _before(many, later, target), target)
    if earlier > later:
        raise NachweisError(
            "the earlier version has the greater number",
            where=f"v{earlier} v{later}",
            remedy=f"write v{later} v{earlier}",
        )
    between = [number for number in many if earlier <= number <= later]
    documents = {number: content(archive, many[number].reference) for number in between}
    origin: dict[str, SignedVersion] = {}
    for one, two in pairwise(between):
        for change in diff(documents[one], documents[two]):
            origin[change.field] = many[two]
    return Comparison(
        target,
        many[earlier],
        many[later],
        tuple(
            _spoken(change, origin[change.field], words)
            for change in diff(documents[earlier], documents[later])
        ),
        words,
    )


def _chosen(many: Mapping[int, SignedVersion], number: int, target: Target) -> int:
    if number not in many:
        raise NachweisError(
            f"there is no version {number}",
            where="/".join(target),
            valid=[f"v{one}" for one in many],
        )
    return number


def _before(many: Mapping[int, SignedVersion], later: int, target: Target) -> int:
    earlier = [number for number in many if number < later]
    if not earlier:
        raise NachweisError(
            f"there is no version before version {later} to compare it with",
            where="/".join(target),
            remedy="a change of what the manifests declare makes the next one",
        )
    return max(earlier)


def _spoken(change: Change, source: SignedVersion, words: Words) -> SourcedChange:
    key = change.field.partition("/")[0]

    def said(value: Any) -> str:
        return "" if value is None else flat(part(value, key, words))

    return SourcedChange(
        change,
        harmless(words.label(change.label)),
        words.catalogue.gettext(change.kind),
        said(change.before),
        said(change.after),
        source,
    )


def words_of(settings: Settings, world: World, language: str | None) -> Words:
    """How a language of the organisation says things; the controlling one by default."""
    wanted = language or world.organisation.main_language
    if wanted not in world.organisation.languages:
        raise NachweisError(
            "the organisation's documents are not written in this language",
            where="--lang",
            valid=world.organisation.languages,
        )
    return Words(wanted, world.controls.labels, translations(settings.templates, wanted))


# --------------------------------------------------------------------------------- a day


@dataclass(frozen=True)
class InForce:
    """What was in force at the end of a day, as far as it was signed by then.

    Attributes:
        target: The document.
        day: The day, UTC.
        version: The version in force.
        approval: Its approval as of that day.
        assessed: Its newest assessment of that day.
    """

    target: Target
    day: dt.date
    version: SignedVersion
    approval: Approval
    assessed: Assessed | None

    def document(self) -> dict[str, Any]:
        """The answer as JSON-able data."""
        approval, assessed = self.approval, self.assessed
        return {
            "target": "/".join(self.target),
            "as_of": self.day.isoformat(),
            "version": _facts(self.version),
            "approval": {
                "standing": approval.standing.value,
                "due": approval.due.isoformat() if approval.due else None,
                "approved": _event_facts(approval.approved),
                "before": _event_facts(approval.before),
            },
            "assessment": {
                "night": assessed.night,
                "digest": assessed.digest,
                "version": assessed.assessment.target_version,
                "contradicted": assessed.assessment.contradicted,
            }
            if assessed
            else None,
        }

    def text(self) -> str:
        """The answer for a person at a terminal."""
        approval = self.approval
        number = self.version.reference.version
        lines = [
            f"{'/'.join(self.target)}: version {number} was in force at the end of {self.day} UTC",
            f"made      {_words_of(self.version)}",
            f"sha256    {self.version.reference.digest}",
        ]
        if approval.approved is not None:
            lines.append(f"approved  {_approved(approval.approved)}")
            overdue = approval.standing is Standing.EXPIRED
            lines.append(
                f"review    overdue since {approval.due}"
                if overdue
                else f"review    {approval.due}"
            )
        else:
            lines.append(f"approved  no: {approval.standing.value.replace('_', ' ')}")
            if approval.before is not None:
                before = approval.before
                lines.append(
                    f"before    version {before.event.target_version}, {_approved(before)}"
                )
        if self.assessed is not None:
            found = self.assessed.assessment
            lines.append(
                f"assessed  night of {self.assessed.night}, version {found.target_version}, "
                f"{found.contradicted} contradicted, sha256 {self.assessed.digest}"
            )
        return "\n".join(lines)


def in_force(settings: Settings, name: str, day: dt.date) -> InForce:
    """Which version of a document was in force on a day, approved on which evidence.

    Args:
        settings: Resolved settings.
        name: Id of an activity or model, ``record/ID`` or ``dossier/ID``.
        day: The day, by the signers' clocks, UTC.

    Returns:
        The answer.

    Raises:
        NachweisError: If nothing of this name was signed by then, or the day has not come yet.
    """
    return in_force_on(open_archive(settings), load_world(settings).world, name, day)


def in_force_on(
    archive: Archive, world: World, name: str, day: dt.date, today: dt.date | None = None
) -> InForce:
    """What was in force on a day; arguments as in :func:`in_force`."""
    if day > (today or today_of(world)):
        raise NachweisError(
            "this day has not come yet", where="--as-of", remedy="name today or a day before"
        )
    everything = signed_versions(archive)
    target = find_target(everything, name)
    end = dt.datetime.combine(day, dt.time.max, dt.UTC)
    known = signed_versions(archive, end).get(target)
    if not known:
        first = min(item.attempt.signed_at for item in everything[target].values())
        raise NachweisError(
            f"nothing was signed about it up to the end of {day}",
            where="/".join(target),
            remedy=f"its first version was signed on {first:%Y-%m-%d}",
        )
    version = max(known)
    return InForce(
        target,
        day,
        known[version],
        approval_on(history(archive, end), world, target, version, day),
        newest_assessment(archive, target, end),
    )


# ------------------------------------------------------------------------------------ words


def _commit(item: SignedVersion) -> str | None:
    """The commit that the night ran, where the statement names one."""
    match = _COMMIT.fullmatch(item.statement.code_version)
    return match[1] if match else None


def _facts(item: SignedVersion) -> dict[str, Any]:
    return {
        "version": item.reference.version,
        "digest": item.reference.digest,
        "night": item.attempt.night,
        "signed_at": item.attempt.signed_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ledger_entry": item.attempt.sequence,
        "manifests_digest": item.statement.manifests_digest,
        "code_version": item.statement.code_version,
        "commit": _commit(item),
    }


def _words_of(item: SignedVersion) -> str:
    commit = _commit(item)
    return (
        f"version {item.reference.version}, night of {item.attempt.night}, signed "
        f"{item.attempt.signed_at:%Y-%m-%d} as ledger entry {item.attempt.sequence}, "
        f"manifests {item.statement.manifests_digest[:12]}, "
        f"commit {commit[:12] if commit else 'not known'}"
    )


def _event_facts(item: SignedEvent | None) -> dict[str, Any] | None:
    if item is None:
        return None
    event = item.event
    return {
        "version": event.target_version,
        "role": event.role,
        "signed_at": item.signed_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ledger_entry": item.sequence,
        "night": event.night,
        "assessment": event.assessment,
        "digest": item.digest,
    }


def _approved(item: SignedEvent) -> str:
    return (
        f"{item.day} by role {item.event.role} as ledger entry {item.sequence}, on the evidence of "
        f"the night of {item.event.night}, sha256 {item.event.assessment}"
    )


def _indented(text: str) -> str:
    return text.replace("\n", "\n          ")
