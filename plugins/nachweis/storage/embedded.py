"""The embedded object store: SeaweedFS on loopback, started and stopped by the product.

It is for demonstrations and tests. Object Lock and identities hold at its S3 port only: its own
inner ports listen on loopback without a login, so whoever can run programs on this machine can
destroy its data. The signed chain shows that afterwards; it cannot prevent it.
"""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from nachweis.domain.errors import SettingsError, StoreError, StoreUnavailableError
from nachweis.settings import Settings
from nachweis.storage import embedded_keys, embedded_ports, embedded_process
from nachweis.storage.embedded_keys import Keys
from nachweis.storage.s3_client import StoreAccess, code_of, failures, new_client

READY_WITHIN = 60.0
"""Seconds. The first write usually works at once, but was measured to take up to 20 s."""
PROBE_BUCKET = "nachweis-ready"
_STARTS = 5


@dataclass(frozen=True, slots=True)
class EmbeddedStore:
    """A running embedded store.

    Attributes:
        endpoint: Its address on loopback.
        pid: Its process.
        log: Its log file.
        keys: Its identities; their secrets are left out of every text form.
    """

    endpoint: str
    pid: int
    log: Path
    keys: Keys

    def __str__(self) -> str:
        return f"running at {self.endpoint}, process {self.pid}, log {self.log}"


def wanted(settings: Settings) -> bool:
    """Whether these settings mean the embedded store and not one at an address."""
    if settings.s3_endpoint is None:
        return settings.mode == "demonstration"
    return settings.s3_endpoint == "embedded"


def start(settings: Settings) -> EmbeddedStore:
    """Start the store of the state folder, or find it running; it outlives this process.

    Two processes may start it at once: the second waits for the first and finds it running.

    Args:
        settings: Names the state folder and the buckets.

    Returns:
        The running store, ready for signed requests.

    Raises:
        StoreError: If it cannot be started, or its keys are gone while its data are there.
        StoreUnavailableError: If it is not ready in time.
    """
    place = _place(settings)
    with embedded_process.only_one(place):
        keys = embedded_keys.load(place, data_exists=(place / "data").exists(), complete=True)
        allowed = embedded_keys.allow_buckets(place, keys, settings)
        running = _running(settings)
        if running is not None and allowed:
            return running
        if running is not None:
            # Identities are read at the start only.
            embedded_process.end(running.pid)
        for attempt in range(_STARTS):
            ports = embedded_ports.choose(place, afresh=attempt > 0)
            embedded_process.launch(place, ports, keys)
            store = _await_ready(settings, place)
            if store is not None:
                return store
        raise StoreError(
            "the embedded store does not start",
            where=str(place / "server.log"),
            remedy="read the end of its log",
        )


def stop(settings: Settings) -> bool:
    """Stop the store of the state folder and wait until it is gone.

    Args:
        settings: Names the state folder.

    Returns:
        Whether it was running.
    """
    place = _place(settings)
    if not place.exists():
        return False
    with embedded_process.only_one(place):
        pid = embedded_process.find(place)
        if pid is None:
            return False
        embedded_process.end(pid)
        (place / "pid").unlink(missing_ok=True)
        embedded_ports.remove_sockets(place)
        return True


def status(settings: Settings) -> EmbeddedStore | None:
    """The running store of the state folder, or None."""
    return _running(settings)


def resolve(settings: Settings) -> Settings:
    """Fill in endpoint and credentials where the settings mean the embedded store.

    Args:
        settings: Settings.

    Returns:
        The same settings if they name another store; else a copy with the address and
        credentials of the embedded store, which is started if it does not run.

    Raises:
        SettingsError: If the embedded store is asked for in production mode.
    """
    if not wanted(settings):
        return settings
    if settings.mode == "production":
        raise SettingsError(
            "the embedded store is for demonstrations: its inner ports have no login",
            where="NACHWEIS_S3_ENDPOINT",
            remedy="name the endpoint of your own store, or leave it empty for AWS",
        )
    store = start(settings)
    keys = store.keys
    removes = keys.disposer
    return settings.model_copy(
        update={
            "s3_endpoint": store.endpoint,
            "s3_access_key": keys.writer.key,
            "s3_secret_key": SecretStr(keys.writer.secret),
            "anchor_access_key": keys.anchor.key,
            "anchor_secret_key": SecretStr(keys.anchor.secret),
            "disposer_access_key": removes.key if removes else None,
            "disposer_secret_key": SecretStr(removes.secret) if removes else None,
            "disposer_principal": embedded_keys.DISPOSER,
            "data_access_key": settings.data_access_key or keys.reader.key,
            "data_secret_key": settings.data_secret_key or SecretStr(keys.reader.secret),
        }
    )


def environment(settings: Settings) -> dict[str, str]:
    """Variables from which a subprocess reads the same, resolved settings.

    Args:
        settings: Settings; the embedded store is started where they mean it.

    Returns:
        ``NACHWEIS_*`` variables, secrets included: for a subprocess, never for a log.
    """
    variables: dict[str, str] = {}
    resolved = resolve(settings)
    for name in Settings.model_fields:
        value = getattr(resolved, name)
        # Whoever removes sets these for the one call; no night, and nothing that it starts, may.
        if value is not None and name not in {"disposer_access_key", "disposer_secret_key"}:
            variables[f"NACHWEIS_{name.upper()}"] = _text(value)
    return variables


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value.absolute() if isinstance(value, Path) else value)


def administrator(settings: Settings) -> StoreAccess | None:
    """The identity that may create buckets, where the settings lead to the embedded store.

    Args:
        settings: Settings, resolved or not.

    Returns:
        The administrator, or None if the settings lead to another store.
    """
    running = _running(settings)
    if running is None or settings.s3_endpoint not in (None, "embedded", running.endpoint):
        return None
    return _as(running, settings.s3_region)


def _as(store: EmbeddedStore, region: str) -> StoreAccess:
    admin = store.keys.administrator
    return StoreAccess(store.endpoint, region, admin.key, admin.secret)


# -------------------------------------------------------------------------------- state


def _place(settings: Settings) -> Path:
    return settings.state.resolve() / "store"


def _running(settings: Settings) -> EmbeddedStore | None:
    place = _place(settings)
    pid, ports = embedded_process.find(place), embedded_ports.read(place)
    if pid is None or ports is None:
        return None
    return EmbeddedStore(
        f"http://127.0.0.1:{ports.s3}", pid, place / "server.log", embedded_keys.load(place)
    )


def _await_ready(settings: Settings, place: Path) -> EmbeddedStore | None:
    """The store once a signed write is read back; None if its process ended."""
    until = time.monotonic() + READY_WITHIN
    seen = False
    while time.monotonic() < until:
        store = _running(settings)
        seen = seen or store is not None
        if store is None and (seen or until - time.monotonic() < READY_WITHIN - 2):
            return None
        if store is not None and _ready(_as(store, settings.s3_region)):
            return store
        time.sleep(0.1)
    raise StoreUnavailableError(
        f"the embedded store was not ready within {READY_WITHIN:.0f} s",
        where=str(place / "server.log"),
        remedy="read the end of its log, then run again",
    )


def _ready(access: StoreAccess) -> bool:
    """Whether a signed write can be read back; its health pages say yes before that."""
    s3 = new_client(access, read_timeout=5)
    body = os.urandom(16)
    try:
        try:
            s3.create_bucket(Bucket=PROBE_BUCKET)
        except failures() as error:
            if code_of(error)[0] != "BucketAlreadyOwnedByYou":
                raise
        s3.put_object(Bucket=PROBE_BUCKET, Key="probe", Body=body)
        with closing(s3.get_object(Bucket=PROBE_BUCKET, Key="probe")["Body"]) as stream:
            return bool(stream.read() == body)
    except failures():
        return False
