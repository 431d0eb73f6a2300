"""Each fault of docs/reliability.md, between the product and a real S3 server."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from nachweis.domain.errors import NachweisError
from nachweis.settings import Settings
from nachweis.storage import embedded, embedded_process, layout
from nachweis.storage.bootstrap import bootstrap
from nachweis.storage.documents import lock_for
from nachweis.storage.embedded_ports import Ports
from nachweis.storage.ledger import Ledger, read
from nachweis.storage.s3 import anchor_access, writer_access
from nachweis.storage.s3_client import Patience, StoreAccess, new_client
from nachweis.storage.s3_store import S3Store
from nachweis.storage.signing import open_signer
from nachweis.storage.verify import verify_store
from tests.fault_cases import CASES, SERVER_CASES, FaultCase
from tests.fault_proxy import SILENCE, faults_before
from tests.signed_store import SignedStore

pytestmark = pytest.mark.store

FIRST, SECOND = "2026-03-01", "2026-03-02"


def connected(
    settings: Settings, after: SignedStore | None = None, **patience: Callable[[float], None]
) -> SignedStore:
    """The buckets over new connections; without pauses, and with little patience for silence."""
    waits = Patience(**({"sleep": lambda _: None} | patience))

    def store(access: StoreAccess, bucket: str) -> S3Store:
        return S3Store(new_client(access, read_timeout=SILENCE / 2), bucket, patience=waits)

    records = store(writer_access(settings), settings.bucket_records)
    ledger = Ledger(
        records,
        open_signer(settings),
        lock=lambda key: lock_for(key, retention="demonstration"),
        anchor=store(anchor_access(settings), settings.bucket_anchor),
        sleep=lambda _: None,
    )
    known = ({}, set()) if after is None else (dict(after.versions), set(after.signed))
    return SignedStore(records, ledger, *known)


@pytest.fixture
def first(store_settings: Settings) -> SignedStore:
    """A store with one signed night."""
    store = connected(store_settings)
    store.night(FIRST)
    return store


def judged(
    case: FaultCase, settings: Settings, first: SignedStore, attempt: Callable[[], object]
) -> None:
    """Let the second night meet the fault, and look at what is left without it."""
    if case.told:
        with pytest.raises(NachweisError, match=case.told) as caught:
            attempt()
        assert settings.s3_secret_key is not None
        assert settings.s3_secret_key.get_secret_value() not in str(caught.value)
        assert "127.0.0.1" not in str(caught.value)
        assert caught.value.where
        assert verified(settings) == [FIRST]
        second(connected(settings, first))
    else:
        attempt()
    assert verified(settings) == [FIRST, SECOND]


def second(store: SignedStore) -> None:
    store.night(SECOND, status="suspended")


def verified(settings: Settings) -> list[str]:
    """The signed nights, if the store verifies and holds one version of every object."""
    store = connected(settings)
    report = verify_store(store.records, store.trusted, anchor=store.ledger.anchor)
    assert report.problems == ()
    held = list(store.records.versions(""))
    assert not any(marker for _, marker in held)
    assert len({stored.key for stored, _ in held}) == len(held)
    return [
        layout.locate(key).parts["night"]
        for entry in read(store.records)
        for key in entry.subjects
        if key.startswith("nights/")
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_fault_on_the_way(case: FaultCase, store_settings: Settings, first: SignedStore) -> None:
    assert case.rule is not None
    with faults_before(str(store_settings.s3_endpoint), case.rule) as faults:
        behind = store_settings.model_copy(update={"s3_endpoint": faults.endpoint})
        judged(case, store_settings, first, lambda: second(connected(behind, first)))
        assert faults.happened
        assert max(faults.happened.values()) <= Patience().attempts * 4


# ------------------------------------------------------------------------ faults of a machine


def case_of(name: str) -> FaultCase:
    return next(case for case in SERVER_CASES if case.id == name)


def test_clock_skew(
    store_settings: Settings, first: SignedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import botocore.auth

    def ahead() -> None:
        with monkeypatch.context() as patch:
            now = botocore.auth.get_current_datetime
            patch.setattr(
                botocore.auth, "get_current_datetime", lambda: now() + dt.timedelta(hours=1)
            )
            second(connected(store_settings, first))

    judged(case_of("clock_skew"), store_settings, first, ahead)


def test_wrong_secret(store_settings: Settings, first: SignedStore) -> None:
    wrong = store_settings.model_copy(update={"s3_secret_key": SecretStr("replaced")})
    judged(
        case_of("wrong_secret"),
        store_settings,
        first,
        lambda: second(connected(wrong, first)),
    )


def small_disk(patch: pytest.MonkeyPatch) -> subprocess.Popen[bytes]:
    """Let the next server keep its data on a small disk that only it and this process see."""
    apart = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("this machine gives no mounts of its own to a process")
    holder = subprocess.Popen([*apart, "sleep", "600"])
    while Path(f"/proc/{holder.pid}/comm").read_text() != "sleep\n":
        time.sleep(0.01)
    inside = ["nsenter", "-t", str(holder.pid), "-U", "-m", "--preserve-credentials"]
    command = embedded_process._command

    def on_it(place: Path, ports: Ports) -> list[str]:
        data = place / "data"
        mount = f'mountpoint -q "{data}" || mount -t tmpfs -o size=24m none "{data}"; exec "$@"'
        return [*inside, "/bin/sh", "-c", mount, "sh", *command(place, ports)]

    patch.setattr(embedded_process, "_command", on_it)
    return holder


@pytest.fixture
def own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Settings]:
    """A server of its own, and settings with buckets that are set up."""
    base, holder = Settings(state=tmp_path / "own"), None
    try:
        if getattr(request, "param", "") == "small disk":
            holder = small_disk(monkeypatch)
        embedded.start(base)
        settings = embedded.resolve(base)
        bootstrap(settings)
        yield settings
    finally:
        embedded.stop(base)
        if holder is not None:
            holder.kill()
            holder.wait()


def test_restart(own: Settings) -> None:
    """The server dies behind the assessment, and comes back while the next write waits."""
    first = connected(own)
    first.night(FIRST)
    restarts: list[int] = []

    def pause(_: float) -> None:
        if not restarts:
            restarts.append(embedded.start(own.model_copy(update={"s3_endpoint": None})).pid)

    store = connected(own, first, sleep=pause)
    put, running = store.records.put_if_absent, embedded.status(own)
    assert running is not None

    def dying(key: str, *content: object, **more: object) -> bool:
        if key.endswith("statement.json"):
            os.kill(running.pid, signal.SIGKILL)
        return put(key, *content, **more)  # type: ignore[arg-type]

    store.records.put_if_absent = dying  # type: ignore[method-assign,assignment]
    judged(case_of("restart"), own, first, lambda: second(store))
    assert restarts
    assert restarts != [running.pid]


@pytest.mark.parametrize("own", ["small disk"], indirect=True)
def test_full_disk(own: Settings) -> None:
    """Its index stays closed after a full disk, so that the server is started again too."""
    first = connected(own)
    first.night(FIRST)
    running = embedded.status(own)
    assert running is not None
    filler = Path(f"/proc/{running.pid}/root{own.state}/store/data/filler")
    with filler.open("wb", buffering=0) as stream:
        for size in (1_000_000, 1):
            with contextlib.suppress(OSError):
                while stream.write(b"\0" * size) == size:
                    pass

    def attempt() -> None:
        second(connected(own, first))

    with pytest.raises(NachweisError, match=case_of("full_disk").told):
        attempt()
    assert verified(own) == [FIRST]
    filler.unlink()
    embedded.stop(own)
    embedded.start(own.model_copy(update={"s3_endpoint": None}))
    attempt()
    assert verified(own) == [FIRST, SECOND]
