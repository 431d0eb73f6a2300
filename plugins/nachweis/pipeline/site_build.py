"""The site from the signed documents: collect what it shows, render, and serve on loopback."""

from __future__ import annotations

import contextlib
import functools
import http.server
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nachweis import registry
from nachweis.domain.approval import Approval
from nachweis.domain.errors import NachweisError, RemovedError
from nachweis.domain.manifest import World, json_of
from nachweis.domain.record import Assessment, VersionRef
from nachweis.domain.site_data import SignedNight, SiteData, VersionedDossier, VersionedRecord
from nachweis.pages.catalogue import check_pages
from nachweis.pages.policy import CONTENT_SECURITY_POLICY
from nachweis.pages.website import RenderReport
from nachweis.pages.website import render_site as render_pages
from nachweis.pipeline.approval_history import History, approval_on, history, today_of
from nachweis.pipeline.archive import Archive, SignedAttempt, open_archive
from nachweis.pipeline.behind import behind
from nachweis.pipeline.context import source_digest
from nachweis.pipeline.load import load_world
from nachweis.pipeline.site_upload import mirror
from nachweis.settings import Settings
from nachweis.storage import layout
from nachweis.storage.documents import DEMONSTRATION_LOCK

if TYPE_CHECKING:
    from socketserver import BaseServer

_PUBLIC_FACTS = ("controller", "processor", "dpo", "contact_points", "languages", "countries")


def collect(archive: Archive, world: World, settings: Settings) -> SiteData:
    """Gather what the site shows from signed documents.

    Args:
        archive: The signed past.
        world: Manifests, for the organisation's names and languages.
        settings: For the store's mode.

    Returns:
        The site's input.
    """
    nights: list[SignedNight] = []
    records: dict[str, dict[int, VersionedRecord]] = {}
    dossiers: dict[str, dict[int, VersionedDossier]] = {}
    assessments: dict[tuple[str, str], tuple[SignedAttempt, str]] = {}
    made: dict[tuple[str, str, int], str] = {}
    for attempt in archive.attempts:
        statement = archive.statement(attempt)
        current = archive.current(attempt.night) == attempt
        nights.append(
            SignedNight(
                statement=statement,
                statement_digest=attempt.statement_digest,
                sequence=attempt.sequence,
                keyid=attempt.keyid,
                signed_at=attempt.signed_at.isoformat(),
                current=current,
            )
        )
        for item in statement.versions:
            if item.new:
                made[(item.kind, item.id, item.version)] = attempt.night
            night = made.get((item.kind, item.id, item.version), attempt.night)
            with contextlib.suppress(RemovedError):
                _remember(archive, item, night, records, dossiers)
        if current:
            for place, digest in statement.assessments.items():
                key = layout.assessment(attempt.night, attempt.attempt, digest)
                if key not in archive.removed:
                    assessments[(place, attempt.night)] = (attempt, digest)
    organisation = world.organisation
    main = organisation.main_language
    facts = {k: v for k, v in json_of(organisation).items() if k in _PUBLIC_FACTS}
    events = history(archive)
    signed = {
        "/".join(target): tuple(
            sorted(
                (item for many in versions.values() for item in many),
                key=lambda item: item.sequence,
            )
        )
        for target, versions in events.items()
    }
    newest = max((attempt.night for attempt in archive.attempts), default="")
    documents = [("record", key) for key in records] + [("dossier", key) for key in dossiers]
    return SiteData(
        organisation=facts,
        languages=(main, *(item for item in organisation.languages if item != main)),
        nights=tuple(sorted(nights, key=lambda n: (n.statement.night, n.sequence), reverse=True)),
        records={
            k: tuple(v for _, v in sorted(many.items())) for k, many in records.items() if many
        },
        dossiers={
            k: tuple(v for _, v in sorted(many.items())) for k, many in dossiers.items() if many
        },
        removed=tuple(sorted(archive.removed)),
        assessments=_Assessments(archive, assessments),
        checks=check_pages(registry.checks()),
        catalogue=world.controls,
        store=settings.mode,
        write_protection=_protection(settings, world.policy.retention_lock),
        code=source_digest(),
        approvals=_approvals(events, world, {"record": records, "dossier": dossiers}),
        approval_events=signed,
        roles={role.id: role.title for role in organisation.roles},
        behind={
            "/".join(target): behind(
                archive, world, settings.state, target, newest, signed.get("/".join(target), ())
            )
            for target in documents
        },
    )


def _approvals(
    events: History, world: World, versions: Mapping[str, Mapping[str, Mapping[int, object]]]
) -> dict[str, Approval]:
    """How far the approval of each document's newest version is today."""
    today = today_of(world)
    return {
        f"{kind}/{key}": approval_on(events, world, (kind, key), max(many), today)
        for kind, documents in versions.items()
        for key, many in documents.items()
        if many
    }


class _Assessments(Mapping[tuple[str, str], Assessment]):
    """Assessments that are read when a page needs them: most pages of past nights stay as they are.

    Args:
        archive: The signed past.
        signed: (``kind/id``, night) to attempt and digest.
    """

    def __init__(
        self, archive: Archive, signed: Mapping[tuple[str, str], tuple[SignedAttempt, str]]
    ) -> None:
        self._archive = archive
        self._signed = signed
        self._read: dict[tuple[str, str], Assessment] = {}

    def __getitem__(self, key: tuple[str, str]) -> Assessment:
        if key not in self._read:
            self._read[key] = self._archive.assessment(*self._signed[key])
        return self._read[key]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._signed)

    def __len__(self) -> int:
        return len(self._signed)


def _remember(
    archive: Archive,
    item: VersionRef,
    night: str,
    records: dict[str, dict[int, VersionedRecord]],
    dossiers: dict[str, dict[int, VersionedDossier]],
) -> None:
    """Load each version once."""
    if item.kind == "record":
        if item.version not in records.setdefault(item.id, {}):
            record = archive.record(item.key, item.digest)
            records[item.id][item.version] = VersionedRecord(
                record, item.version, item.digest, night
            )
    elif item.version not in dossiers.setdefault(item.id, {}):
        dossier = archive.dossier(item.key, item.digest)
        dossiers[item.id][item.version] = VersionedDossier(
            dossier, item.version, item.digest, night
        )


def _protection(settings: Settings, period: str) -> str:
    """Modes and length; evidence and renderings are protected less strictly than documents."""
    if settings.retention_class == "demonstration":
        return f"GOVERNANCE, {DEMONSTRATION_LOCK}"
    return f"COMPLIANCE / GOVERNANCE, {period}"


def render_site(settings: Settings) -> RenderReport:
    """Render the site into the state folder; pages that did not change are left alone.

    In production the bucket ``site`` then holds the same files.

    Args:
        settings: Resolved settings.

    Returns:
        Pages written and unchanged, and the folder.
    """
    archive = open_archive(settings)
    world = load_world(settings).world
    report = render_pages(collect(archive, world, settings), settings.site, settings.templates)
    if settings.mode == "production":
        from nachweis.storage.s3 import open_store

        # The demonstration's own server is reached by nobody else: the folder is enough there.
        mirror(settings.site, open_store(settings, "site"))
    return report


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Static files with headers as strict as those of the authenticated route."""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def list_directory(self, path: str | object) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: addresses of readers are personal data."""


def serve(
    folder: Path,
    port: int,
    announce: Callable[[str], None] = print,
    started: Callable[[BaseServer], None] = lambda _: None,
) -> None:
    """Serve the rendered site on loopback until interrupted.

    Args:
        folder: The rendered site.
        port: Port; 0 takes a free one.
        announce: Told the address.
        started: Handed the server, so that a test can stop it.

    Raises:
        NachweisError: If there is no site yet or the port is taken.
    """
    if not (folder / "index.html").is_file():
        raise NachweisError(
            "there is no rendered site yet", where=str(folder), remedy="run `make nightly` first"
        )
    handler = functools.partial(_Handler, directory=str(folder))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise NachweisError(
            f"the port cannot be opened ({error.strerror})",
            where=f"127.0.0.1:{port}",
            remedy="choose another one with --port",
        ) from error
    with server:
        announce(f"http://127.0.0.1:{server.server_address[1]}/  (stop with Ctrl-C)")
        started(server)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            announce("stopped")
