"""A kill at any write leaves the last signed state valid; running again completes the night."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nachweis.pipeline import context, night, publish
from nachweis.pipeline.archive import open_archive
from nachweis.pipeline.verification import verify_all
from nachweis.settings import Settings
from nachweis.storage import bootstrap, s3
from nachweis.storage.capabilities import Capabilities
from nachweis.storage.entries import EntryKind
from nachweis.storage.object_store import Lock
from tests.integration.night_support import FIRST, SECOND, TINY, Place
from tests.memory_store import MemoryStore

DATE = re.compile(r"20 October 2026|October 20, 2026|Oct 20, 2026|20 Oct 2026")
"""How a page of the second night spells its date."""


class Killed(BaseException):
    """As by kill -9: nothing in the product catches it."""


@dataclass
class Disk:
    """All buckets of a store, counting writes; before write number `fatal` the process dies.

    What is left after write n is what is left before write n + 1.
    """

    buckets: dict[str, MemoryStore] = field(default_factory=dict)
    fatal: int | None = None
    written: int = 0

    def bucket(self, name: str) -> MemoryStore:
        return self.buckets.setdefault(name, Bucket(name, disk=self))

    def guard(self, write: Callable[[], bool]) -> bool:
        if self.fatal == self.written:
            raise Killed
        self.written += 1
        return write()


@dataclass
class Bucket(MemoryStore):
    """A bucket of a disk."""

    disk: Disk = field(default_factory=Disk)

    def put_if_absent(
        self, key: str, body: bytes, *, content_type: str, lock: Lock | None = None
    ) -> bool:
        put = super().put_if_absent
        return self.disk.guard(lambda: put(key, body, content_type=content_type, lock=lock))


CAPABILITIES = Capabilities(
    kind="other",
    endpoint="loopback",
    server=None,
    mode="demonstration",
    retention="demonstration",
    lock_modes=("GOVERNANCE",),
    checks=(),
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A world with a leaking activity; what does not write is done once and remembered."""
    shutil.copytree(TINY, tmp_path / "world")
    monkeypatch.setenv("NACHWEIS_WORLD", str(tmp_path / "world"))
    monkeypatch.setenv("NACHWEIS_S3_ENDPOINT", "http://127.0.0.1:9")
    found = Place(tmp_path / "world", Settings())
    activity = found.manifest("manifests/activities/marketing.yaml")
    leaking = {**activity, "id": "support", "title": {"en": "Ask anna.leaked@mail.example"}}
    found.write("manifests/activities/support.yaml", leaking)
    monkeypatch.setattr(bootstrap, "self_test", lambda _: CAPABILITIES)
    monkeypatch.setattr(night, "replay", lambda _: [])
    monkeypatch.setattr(night, "render", lambda *_: None)
    remember(monkeypatch, night, "observe_subject", lambda of, subject, **_: (of.night, subject))
    remember(monkeypatch, publish, "render_documents", lambda item, **more: str((item, more)))
    remember(monkeypatch, context, "load_world", lambda _: "one world")
    versions = dict.fromkeys(("reference", "scores", "training"), "0" * 64)
    monkeypatch.setattr(context.NightContext, "data_versions", versions)
    return found


def remember(
    patch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    key: Callable[..., Any],
    known: dict[Any, Any] | None = None,
) -> None:
    real = getattr(module, name)
    known = {} if known is None else known

    def once(*arguments: Any, **more: Any) -> Any:
        asked = key(*arguments, **more)
        if asked not in known:
            known[asked] = real(*arguments, **more)
        return known[asked]

    patch.setattr(module, name, once)


def on(disk: Disk, monkeypatch: pytest.MonkeyPatch, state: Path) -> Settings:
    """Point the product at a disk, with no cache of another one."""
    monkeypatch.setattr(s3, "open_store", lambda _, role: disk.bucket(role))
    monkeypatch.setenv("NACHWEIS_STATE", str(state))
    return Settings()


def whole_night(monkeypatch: pytest.MonkeyPatch, state: Path) -> int:
    """Number of writes of a night that nothing disturbs."""
    disk = Disk()
    on(disk, monkeypatch, state)
    night.run_night(FIRST)
    return disk.written


def test_every_write_may_be_the_last(
    here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = whole_night(monkeypatch, tmp_path / "whole")
    assert writes > 12
    for fatal in range(writes):
        disk = Disk(fatal=fatal)
        settings = on(disk, monkeypatch, tmp_path / f"state-{fatal}")
        with pytest.raises(Killed):
            night.run_night(FIRST)
        assert verify_all(settings).ok, fatal
        disk.fatal = None
        summary = night.run_night(FIRST)
        assert summary.chain_ok, (fatal, summary.chain_problems)
        kinds = [entry.kind for entry in open_archive(settings).entries]
        assert kinds == [EntryKind.KEY, EntryKind.INCIDENT, EntryKind.NIGHT], fatal
        current = Place(here.world, settings).statement(FIRST).versions
        assert {item.version for item in current} == {1}, fatal


def test_the_next_night_does_not_mind_what_a_broken_one_left(
    here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = whole_night(monkeypatch, tmp_path / "whole")
    for fatal in range(1, writes - 2, 2):
        disk = Disk(fatal=fatal)
        settings = on(disk, monkeypatch, tmp_path / f"state-{fatal}")
        with pytest.raises(Killed):
            night.run_night(FIRST)
        disk.fatal = None
        summary = night.run_night(SECOND)
        assert summary.chain_ok, (fatal, summary.chain_problems)
        statement = Place(here.world, settings).statement(SECOND)
        assert {item.id for item in statement.versions} == {"marketing", "propensity"}
        for item in statement.versions:
            page = disk.bucket("records").get(item.key.replace(".json", ".en.html")).decode()
            assert item.digest in page, (fatal, item.key)
            assert DATE.search(page), (fatal, item.key)


def test_a_subject_whose_task_was_lost_is_tried_again(
    here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk()
    settings = on(disk, monkeypatch, tmp_path / "state")

    def out_of_memory(_: str, attempt: str, subject: str, blind: Any) -> dict[str, Any]:
        if subject.startswith("model/"):
            raise MemoryError
        return run_subject(FIRST, attempt, subject, blind)

    run_subject = night.run_subject
    with monkeypatch.context() as patch:
        patch.setattr(night, "run_subject", out_of_memory)
        first = night.run_night(FIRST)
        assert "model/propensity: MemoryError" in first.not_run
        written = disk.buckets["records"].present()
        in_vain = night.run_night(FIRST)
        assert (in_vain.repeated, in_vain.sequence) == (True, first.sequence)
        assert disk.buckets["records"].present() == written
    second = night.run_night(FIRST)
    assert (second.repeated, second.not_run) == (False, ())
    statement = Place(here.world, settings).statement(FIRST)
    assert statement.supersedes == first.attempt
    assert "model/propensity" in statement.evidence
    assert night.run_night(FIRST).repeated
    assert verify_all(settings).ok
