"""What a night costs the store, and whether publishing slows down with the nights before it.

Real nights of the tiny world of the tests, its model declared as often as asked, through the code
that Airflow's tasks call, on the embedded S3 server. Requests are counted where they leave the
process, so that each repetition counts too; the probes of the data themselves are local files.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nachweis.domain.canonical import digest
from nachweis.pipeline import night
from nachweis.pipeline.archive import Archive, SignedAttempt, open_archive
from nachweis.pipeline.context import open_context
from nachweis.settings import Settings
from nachweis.storage import embedded, layout
from nachweis.storage.checkpoint import Checkpoint
from nachweis.storage.documents import write_document
from nachweis.storage.embedded import EmbeddedStore
from nachweis.storage.entries import (
    NO_PREVIOUS,
    EntryKind,
    KeyPredicate,
    Predicate,
    build_payload,
    parse_payload,
)
from nachweis.storage.ledger import night_predicate
from nachweis.storage.s3 import open_store
from nachweis.storage.signing import open_signer, public_key_pem, sign
from tests.evidence_world import copy_of
from tests.integration.night_support import FIRST, SECOND, Place, place

LOOKED_BACK_ON = 50
"""Nights with evidence of their own; a check looks back on fewer. Older ones share theirs."""
MODEL = "manifests/models/propensity.yaml"
ACTIVITY = "manifests/activities/marketing.yaml"


@dataclass
class Traffic:
    """Requests that left this process, and their bodies."""

    requests: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    received: int = 0

    @property
    def count(self) -> int:
        """How many requests."""
        return sum(self.requests.values())


@contextmanager
def counted() -> Iterator[Traffic]:
    """Count every HTTP request of the AWS SDK while the context lasts."""
    from botocore.httpsession import URLLib3Session

    traffic, send = Traffic(), URLLib3Session.send

    def counting(self: URLLib3Session, request: Any) -> Any:
        body = request.body or b""
        traffic.requests[request.method] += 1
        traffic.sent += len(body if isinstance(body, bytes | bytearray) else body.getvalue())
        answer = send(self, request)
        traffic.received += int(answer.headers.get("Content-Length") or 0)
        return answer

    URLLib3Session.send = counting  # type: ignore[method-assign]
    try:
        yield traffic
    finally:
        URLLib3Session.send = send  # type: ignore[method-assign]


@contextmanager
def server() -> Iterator[tuple[EmbeddedStore, Path]]:
    """The embedded S3 server and a folder that lasts as long."""
    with tempfile.TemporaryDirectory() as name:
        settings = Settings(state=Path(name) / "server")
        embedded.start(settings)
        try:
            store = embedded.status(settings)
            assert store is not None
            yield store, Path(name)
        finally:
            embedded.stop(settings)


def with_models(here: Place, count: int) -> list[str]:
    """Declare the tiny world's model as often as asked."""
    model, activity = here.manifest(MODEL), here.manifest(ACTIVITY)
    names = [model["id"], *(f"model-{number:03}" for number in range(1, count))]
    for name in names[1:]:
        here.write(f"manifests/models/{name}.yaml", {**model, "id": name})
    here.write(ACTIVITY, {**activity, "models": names})
    return names


def second_night(here: Place, models: int) -> Traffic:
    """Requests of a second night of models whose documents have no new version."""
    with_models(here, models)
    here.run(FIRST)
    with counted() as traffic:
        summary = here.run(SECOND)
    assert not summary.versions, "a version is new, so the models were not unchanged"
    assert (summary.models, summary.not_run, summary.chain_ok) == (models, (), True)
    return traffic


def unchanged(store: EmbeddedStore, folder: Path, models: int) -> None:
    """Print what a night of unchanged models costs."""
    with place(folder / "unchanged", store) as here:
        traffic = second_night(here, models)
    print(
        f"night of {models} unchanged models: {traffic.count} requests "
        f"({', '.join(f'{count} {verb}' for verb, count in sorted(traffic.requests.items()))}), "
        f"{traffic.sent / 1e3:.0f} kB written, {traffic.received / 1e3:.0f} kB read\n"
        f"per model: {traffic.count / models:.2f} requests, {traffic.sent / models / 1e3:.2f} kB "
        f"written, {traffic.received / models / 1e3:.2f} kB read",
        flush=True,
    )


@dataclass
class Past:
    """A real night, to be repeated as many nights of the past."""

    objects: dict[str, bytes]
    archive: Archive
    signed: SignedAttempt

    def write(self, here: Place, nights: int) -> None:
        """Sign that many nights before the first real one; only the first brings new versions."""
        context = open_context(FIRST)
        records, known = context.records, self.archive.statement(self.signed)
        for key, body in self.objects.items():
            if key.startswith(("records/", "dossiers/", "evidence/")):
                records.put_if_absent(key, body, content_type="application/json")
        evidence = {key: self.archive.evidence(one) for key, one in known.evidence.items()}
        assessments = {
            key: self.archive.assessment(self.signed, one) for key, one in known.assessments.items()
        }
        chain = _Chain(here)
        for number in range(nights):
            day = str(dt.date.fromisoformat(FIRST) - dt.timedelta(days=nights - number))
            attempt = digest(day)[:16]
            update: dict[str, Any] = {
                "night": day,
                "attempt": attempt,
                "idempotency_key": digest([day]),
            }
            put = {}
            if nights - number <= LOOKED_BACK_ON:
                bundles = {k: one.model_copy(update={"night": day}) for k, one in evidence.items()}
                update["evidence"] = {key: one.digest() for key, one in bundles.items()}
                put |= {layout.evidence(one.digest()): one for one in bundles.values()}
            verdicts = {k: one.model_copy(update={"night": day}) for k, one in assessments.items()}
            update["assessments"] = {key: one.digest() for key, one in verdicts.items()}
            put |= {layout.assessment(day, attempt, v.digest()): v for v in verdicts.values()}
            if number:
                update["versions"] = tuple(
                    one.model_copy(update={"new": False}) for one in known.versions
                )
            statement = known.model_copy(update=update)
            key = layout.statement(day, attempt)
            with ThreadPoolExecutor(8) as pool:
                list(
                    pool.map(lambda i: write_document(records, i[0], i[1].canonical()), put.items())
                )
            write_document(records, key, statement.canonical())
            chain.append(EntryKind.NIGHT, {key: statement.digest()}, night_predicate(statement))


class _Chain:
    """Appends entries without asking the store for its end each time."""

    def __init__(self, here: Place) -> None:
        self.signer: Any = open_signer(here.settings)
        self.records, self.anchor = (
            open_store(here.settings, "records"),
            open_store(here.settings, "anchor"),
        )
        self.sequence, self.previous = 0, NO_PREVIOUS
        keyid = self.signer.public_key.keyid
        pem = public_key_pem(self.signer.public_key)
        said = KeyPredicate(action="announce", keyid=keyid, public_key=pem)
        self.append(EntryKind.KEY, {f"key:{keyid}": keyid}, said)

    def append(self, kind: EntryKind, subjects: dict[str, str], said: Predicate) -> None:
        """Sign the next entry and its checkpoint."""
        self.sequence += 1
        payload = build_payload(
            kind,
            subjects,
            said,
            sequence=self.sequence,
            previous=self.previous,
            key_entry=min(self.sequence - 1, 1),
            signed_at=dt.datetime.now(dt.UTC),
        )
        self.previous = parse_payload(payload).digest
        key = layout.ledger(self.sequence)
        point = Checkpoint(self.sequence, self.sequence, self.previous).payload(key)
        write_document(self.records, key, sign(self.signer, payload))
        write_document(self.anchor, layout.checkpoint(self.sequence), sign(self.signer, point))


def past(store: EmbeddedStore, folder: Path, counts: list[int], models: int = 5) -> None:
    """Publishing behind more and more nights, with the caches of a worker that ran them all."""
    with place(folder / "template", store) as here:
        with_models(here, models)
        here.run(FIRST)
        template = Past(copy_of(here), here.archive, here.signed(FIRST))
        for nights in counts:
            with place(folder / f"past-{nights}", store) as other:
                with_models(other, models)
                template.write(other, nights)
                other.run(FIRST)
                _publish(other, nights)


def _publish(here: Place, nights: int) -> None:
    """Time each step of the second real night that has to do with the nights before."""
    for dag in night.PRODUCERS:
        planned = night.plan(SECOND, dag=dag)
        found = [
            night.run_subject(SECOND, planned["attempt"], one, planned["blind"])
            for one in planned["subjects"]
        ]
        night.finish(SECOND, planned["attempt"], dag, found, planned["subjects"], planned["blind"])
    task, _ = _timed(lambda: open_archive(here.settings).length)
    with counted() as traffic:
        seconds, summary = _timed(lambda: night.publish(SECOND, night.prepare_records(SECOND)))
    assert summary["chain_ok"] and not summary["repeated"], summary["chain_problems"]
    rendering, _ = _timed(lambda: night.render(SECOND, summary))
    print(
        f"publishing behind {nights + 1:>5} nights: {seconds:6.2f} s of processor time, "
        f"{traffic.count:>4} requests, {(traffic.sent + traffic.received) / 1e3:6.0f} kB; "
        f"opening the archive in a task {task:5.2f} s; rendering the site {rendering:6.2f} s",
        flush=True,
    )


def _timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Processor time, which other work on the machine does not lengthen, and the result."""
    started = time.process_time()
    result = run()
    return time.process_time() - started, result
