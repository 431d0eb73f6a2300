"""The embedded server's life: started once, found again, killed, restarted, stopped."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nachweis.domain.errors import StoreError
from nachweis.settings import Settings
from nachweis.storage import embedded
from nachweis.storage.bootstrap import bootstrap
from nachweis.storage.object_store import Lock
from nachweis.storage.s3 import open_store, writer_access
from nachweis.storage.s3_client import client

pytestmark = pytest.mark.store


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    own = Settings(state=tmp_path_factory.mktemp("own"))
    yield own
    embedded.stop(own)


def started_elsewhere(settings: Settings) -> subprocess.Popen[str]:
    """Start the store from a process of its own."""
    program = (
        "from nachweis.settings import Settings; from nachweis.storage import embedded;"
        "print(embedded.start(Settings()).pid)"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ | {"NACHWEIS_STATE": str(settings.state)},
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_until_gone(pid: int) -> None:
    until = time.monotonic() + 20
    while Path(f"/proc/{pid}/cmdline").exists() and time.monotonic() < until:
        if not Path(f"/proc/{pid}/cmdline").read_bytes():
            return  # a zombie: nobody has taken note of its end
        time.sleep(0.02)


def listening(pid: int) -> set[tuple[str, int]]:
    """Addresses a process listens on, from the kernel's own tables."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(os.readlink(link))
        except OSError:
            continue
    found = set()
    for family, size in (("tcp", 4), ("tcp6", 16)):
        for line in Path(f"/proc/net/{family}").read_text().splitlines()[1:]:
            fields = line.split()
            address, port = fields[1].split(":")
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                raw = bytes.fromhex(address)
                words = [raw[i : i + 4][::-1] for i in range(0, size, 4)]
                kind = socket.AF_INET if size == 4 else socket.AF_INET6
                found.add((socket.inet_ntop(kind, b"".join(words)), int(port, 16)))
    return found


def test_two_processes_that_start_at_once_share_one_server(settings: Settings) -> None:
    starters = [started_elsewhere(settings) for _ in range(2)]
    pids = {int(starter.communicate(timeout=120)[0]) for starter in starters}
    assert all(starter.returncode == 0 for starter in starters)
    running = embedded.status(settings)
    assert running is not None, "the server must outlive the process that started it"
    assert pids == {running.pid}
    assert embedded.start(settings).pid == running.pid


def test_it_listens_on_loopback_and_on_its_own_ports_only(settings: Settings) -> None:
    store = embedded.start(settings)
    bases = json.loads((settings.state / "store" / "ports.json").read_text()).values()
    expected = {port + offset for port in bases for offset in (0, 10_000)}
    assert max(expected) < 65_536
    assert listening(store.pid) == {("127.0.0.1", port) for port in expected}


def test_secrets_are_in_files_of_the_owner_and_nowhere_else(settings: Settings) -> None:
    store = embedded.start(settings)
    bootstrap(embedded.resolve(settings))
    folder = settings.state / "store"
    keys = json.loads((folder / "keys.json").read_text())
    secrets = [
        *(value["secret"] for value in keys.values() if isinstance(value, dict)),
        *(value for value in keys.values() if isinstance(value, str)),
    ]
    assert len(set(secrets)) == 9
    for name in ("keys.json", "s3.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    arguments = Path(f"/proc/{store.pid}/cmdline").read_bytes().decode()
    log = (folder / "server.log").read_text(errors="replace")
    shown = arguments + log + str(store) + repr(store)
    assert not [secret for secret in secrets if secret in shown]
    needle = keys["encryption_key"].encode()
    data = [path for path in (folder / "data").rglob("*") if path.is_file()]
    assert data
    assert not [path for path in data if needle in path.read_bytes()]


def test_killed_without_warning_it_comes_back_with_everything(settings: Settings) -> None:
    resolved = embedded.resolve(settings)
    bootstrap(resolved)
    records = open_store(resolved, "records")
    until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    for number in range(20):
        records.put_if_absent(
            f"ledger/{number}",
            b"%d" % number,
            content_type="text/plain",
            lock=Lock("GOVERNANCE", until),
        )
    before = [found for found, _ in records.versions("ledger/")]
    store = embedded.start(settings)
    os.kill(store.pid, signal.SIGKILL)
    wait_until_gone(store.pid)
    assert embedded.status(settings) is None

    again = embedded.start(settings)
    assert again.pid != store.pid
    assert again.endpoint == store.endpoint, "running tasks keep the address they were given"
    assert [found for found, _ in records.versions("ledger/")] == before
    assert [records.get(f"ledger/{number}") for number in range(20)] == [
        b"%d" % number for number in range(20)
    ]
    admin = embedded.administrator(settings)
    assert admin is not None
    head = client(admin).head_object(Bucket=records.bucket, Key="ledger/3")
    assert head["ObjectLockRetainUntilDate"] == until.replace(microsecond=0)
    assert bootstrap(resolved).proven


def test_a_stranger_with_its_process_number_is_left_alone(settings: Settings) -> None:
    embedded.stop(settings)
    note = settings.state / "store" / "pid"
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        note.write_text(f"{stranger.pid}\n")
        assert embedded.status(settings) is None
        assert embedded.stop(settings) is False
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_taken_ports_are_given_up_and_the_data_stay(settings: Settings) -> None:
    resolved = embedded.resolve(settings)
    bootstrap(resolved)
    open_store(resolved, "records").put_if_absent("kept", b"x", content_type="text/plain")
    assert embedded.stop(settings) is True
    assert embedded.stop(settings) is False
    port = int(str(resolved.s3_endpoint).rpartition(":")[2])
    with contextlib.ExitStack() as taken:
        with contextlib.suppress(OSError):  # taken is taken: a store of another test was quicker
            taken.enter_context(socket.create_server(("127.0.0.1", port)))
        moved = embedded.resolve(settings)
        assert moved.s3_endpoint != resolved.s3_endpoint
        assert open_store(moved, "records").get("kept") == b"x"


def test_subprocesses_get_the_same_settings(settings: Settings) -> None:
    resolved = embedded.resolve(settings)
    variables = embedded.environment(settings)
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            "from nachweis.settings import Settings; s = Settings();"
            "print(s.s3_endpoint, s.s3_secret_key.get_secret_value());"
            "print(s.state, s.anchor_access_key)",
        ],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert resolved.s3_secret_key is not None
    assert shown == [
        resolved.s3_endpoint,
        resolved.s3_secret_key.get_secret_value(),
        str(settings.state),
        resolved.anchor_access_key,
    ]
    assert resolved.s3_secret_key.get_secret_value() not in repr(resolved)


def test_buckets_named_later_are_granted(settings: Settings) -> None:
    embedded.start(settings)
    later = settings.model_copy(update={"bucket_records": "other-records"})
    bootstrap(later)
    resolved = embedded.resolve(later)
    assert open_store(resolved, "records").put_if_absent("a", b"x", content_type="text/plain")
    assert writer_access(resolved).key == writer_access(embedded.resolve(settings)).key


def test_data_without_their_keys_are_refused_instead_of_rekeyed(tmp_path: Path) -> None:
    (tmp_path / "store" / "data").mkdir(parents=True)
    with pytest.raises(StoreError, match="keys are missing"):
        embedded.start(Settings(state=tmp_path))
    assert not (tmp_path / "store" / "keys.json").exists()


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    blocked = tmp_path / "state"
    blocked.write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="folder cannot be written") as caught:
        embedded.start(Settings(state=blocked))
    assert caught.value.remedy
