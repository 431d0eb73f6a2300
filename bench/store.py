"""What evidence costs: ``python -m bench.store [--only verify unchanged past]``.

- ``verify``: writes a signed ledger into a temporary folder, and in a second one whole nights with
  their documents, and verifies both as `nachweis verify --copy` does.
- ``unchanged``: requests and bytes of a night whose models have not changed.
- ``past``: the time that publishing takes behind more and more signed nights.

Prints figures; nothing is asserted about them.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nachweis.settings import Settings
from nachweis.storage import layout, signing
from nachweis.storage.checkpoint import Checkpoint
from nachweis.storage.documents import encode
from nachweis.storage.entries import (
    NO_PREVIOUS,
    EntryKind,
    KeyPredicate,
    Predicate,
    ReferencePredicate,
    build_payload,
    parse_payload,
)
from nachweis.storage.folder_store import FolderStore
from nachweis.storage.ledger import night_predicate
from nachweis.storage.verify import VerifyReport, verify_store
from tests.signed_store import NOW, SignedStore, signed_store


class Writer:
    """Writes a signed ledger into a folder, without asking a store for its end each time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signer: Any = signing.open_signer(
            Settings(signer=f"file2:{signing.generate_key(folder.parent / 'key.pem')}")
        )
        self.sequence, self.previous = 0, NO_PREVIOUS
        keyid = self.signer.public_key.keyid
        said = KeyPredicate(
            action="announce",
            keyid=keyid,
            public_key=signing.public_key_pem(self.signer.public_key),
        )
        self.append(EntryKind.KEY, {f"key:{keyid}": keyid}, said)

    @property
    def trusted(self) -> set[str]:
        """The pinned fingerprint."""
        return {self.signer.public_key.keyid}

    def put(self, key: str, body: bytes) -> None:
        """Write an object."""
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def append(self, kind: EntryKind, subjects: dict[str, str], said: Predicate) -> None:
        """Write the next entry."""
        self.sequence += 1
        payload = build_payload(
            kind,
            subjects,
            said,
            sequence=self.sequence,
            previous=self.previous,
            key_entry=min(self.sequence - 1, 1),
            signed_at=NOW,
        )
        self.previous = parse_payload(payload).digest
        self.put(layout.ledger(self.sequence), signing.sign(self.signer, payload))

    def checkpoint(self) -> None:
        """Write a checkpoint of the last entry."""
        point = Checkpoint(self.sequence, self.sequence, self.previous)
        envelope = signing.sign(self.signer, point.payload(layout.ledger(self.sequence)))
        self.put(layout.checkpoint(self.sequence), envelope)


def measured(title: str, count: int, unit: str, run: Callable[[], VerifyReport]) -> None:
    """Verify three times and print the best; the others met other work on the machine.

    Processor time tells what an idle machine would need: divide by its cores.
    """
    best, busy = 1e9, 1e9
    for _ in range(3):
        started, before = time.perf_counter(), _processor_time()
        report = run()
        best = min(best, time.perf_counter() - started)
        busy = min(busy, _processor_time() - before)
        assert report.ok, report.problems[:3]
    print(
        f"{title:<40} {count:>7} {unit:<8} {best:7.2f} s {count / best:8.0f} {unit}/s   "
        f"{busy / count * 1e6:7.0f} µs of processor time each"
    )


def _processor_time() -> float:
    own, children = (
        resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def entries(folder: Path, count: int) -> None:
    writer = Writer(folder)
    for number in range(1, count):
        said = ReferencePredicate(id=f"model-{number % 200}", event="open", night="2026-03-01")
        writer.append(EntryKind.GATE, {f"gates/model-{number % 200}.json": f"{number:064x}"}, said)
    writer.checkpoint()
    copy = FolderStore(folder)
    measured(
        "ledger: chain, signatures, keys", count, "entries",
        lambda: verify_store(copy, writer.trusted, anchor=copy),
    )  # fmt: skip


class _Documents(FolderStore):
    """Lets the builder of test stores write its documents into the folder."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer.folder)
        self.writer = writer

    def put_if_absent(self, key: str, body: bytes, *, content_type: str, lock: Any = None) -> bool:
        self.writer.put(key, body)
        return True


def nights(folder: Path, count: int) -> None:
    writer = Writer(folder)
    store: SignedStore = signed_store(_Documents(writer), writer.signer)
    for number in range(count):
        day = f"{2026 + number // 336}-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}"
        statement, _ = store.night(day, f"{number:016x}", sign=False)
        key = layout.statement(statement.night, statement.attempt)
        if number:
            statement = statement.model_copy(
                update={"versions": (statement.versions[0].model_copy(update={"new": False}),)}
            )
            writer.put(key, encode(key, statement.canonical()))
        writer.append(EntryKind.NIGHT, {key: statement.digest()}, night_predicate(statement))
        writer.checkpoint()
    copy = FolderStore(folder)
    measured(
        "nights: with documents and checkpoints", count, "nights",
        lambda: verify_store(copy, writer.trusted, anchor=copy),
    )  # fmt: skip


def verification(entries_count: int, nights_count: int) -> None:
    """Both kinds of copy."""
    with tempfile.TemporaryDirectory() as place:
        for name, run, count in (
            ("ledger", entries, entries_count),
            ("nights", nights, nights_count),
        ):
            folder = Path(place) / name / "copy"
            folder.mkdir(parents=True)
            run(folder, count)


def main() -> None:
    """Run the parts that are asked for."""
    parts = ("verify", "unchanged", "past")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--entries", type=int, default=20_000, help="of the ledger to verify")
    parser.add_argument("--nights", type=int, default=1_000, help="with documents, to verify")
    parser.add_argument("--models", type=int, default=200, help="of the night without changes")
    parser.add_argument("--past", type=int, nargs="+", default=[10, 100, 1_000], help="nights")
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores; one-minute load before: {os.getloadavg()[0]:.1f}", flush=True)
    if "verify" in given.only:
        verification(given.entries, given.nights)
    if set(given.only) & {"unchanged", "past"}:
        from bench import store_nights

        warnings.simplefilter("ignore")
        with store_nights.server() as (store, folder):
            if "unchanged" in given.only:
                store_nights.unchanged(store, folder, given.models)
            if "past" in given.only:
                store_nights.past(store, folder, given.past)


if __name__ == "__main__":
    main()
