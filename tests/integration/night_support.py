"""What the tests of whole nights share: a copy of the tiny world over a real S3 server."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from nachweis import cli
from nachweis.domain.check import Check
from nachweis.domain.finding import Finding
from nachweis.domain.record import Evidence, FindingView, Statement
from nachweis.pipeline import examples, night
from nachweis.pipeline.archive import Archive, SignedAttempt, open_archive
from nachweis.pipeline.findings import findings_of
from nachweis.pipeline.summary import NightSummary
from nachweis.pipeline.verification import Verification, verify_all
from nachweis.settings import PACKAGE_ROOT, Settings
from nachweis.storage import embedded, embedded_keys, s3
from nachweis.storage.bootstrap import bootstrap
from nachweis.storage.embedded import EmbeddedStore
from nachweis.storage.s3_client import StoreAccess

TINY = PACKAGE_ROOT / "tests" / "fixtures" / "tiny"
FIRST, SECOND, THIRD = "2026-10-19", "2026-10-20", "2026-10-21"

_replayed: dict[str, bool] = {}


def replay_once(checks: Sequence[type[Check]]) -> list[str]:
    """Replay each check's examples once per test session: they depend on no world."""
    for check in checks:
        if check.id not in _replayed:
            _replayed[check.id] = bool(examples.replay([check]))
    return sorted(check.id for check in checks if _replayed[check.id])


def forget_replay(check_id: str) -> None:
    """Let the next plan replay a check's examples again."""
    _replayed.pop(check_id, None)


@dataclass
class Place:
    """A world, a store and a state folder that the process's environment points to."""

    world: Path
    settings: Settings

    # ------------------------------------------------------------------------- the world

    def manifest(self, path: str) -> dict[str, Any]:
        """A manifest as data."""
        content: dict[str, Any] = yaml.safe_load((self.world / path).read_text("utf-8"))
        return content

    def write(self, path: str, content: dict[str, Any] | str) -> Path:
        """Write a manifest or any other file of the world."""
        target = self.world / path
        target.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
        target.write_text(text, encoding="utf-8")
        return target

    def change(self, path: str, **fields: Any) -> None:
        """Change top-level fields of a manifest."""
        self.write(path, {**self.manifest(path), **fields})

    # ----------------------------------------------------------------------- the pipeline

    def run(self, of: str) -> NightSummary:
        """Run a night in this process."""
        return night.run_night(of)

    @property
    def archive(self) -> Archive:
        """The signed past, read afresh."""
        return open_archive(self.settings)

    def signed(self, of: str) -> SignedAttempt:
        """The current attempt of a night."""
        found = self.archive.current(of)
        assert found is not None
        return found

    def statement(self, of: str) -> Statement:
        """The statement of a night's current attempt."""
        return self.archive.statement(self.signed(of))

    def evidence(self, of: str, subject: str) -> Evidence:
        """A subject's evidence of a night."""
        return self.archive.evidence(self.statement(of).evidence[subject])

    def finding(self, of: str, key: str) -> Finding:
        """A finding of a night by its key."""
        return self.view(of, key).finding

    def view(self, of: str, key: str) -> FindingView:
        """A finding with its state."""
        return {item.finding.key: item for item in findings_of(self.settings, of)}[key]

    def verify(self) -> Verification:
        """Verify the store."""
        return verify_all(self.settings)

    # -------------------------------------------------------------------------- the store

    def keys(self, bucket: s3.BucketRole = "records") -> list[str]:
        """Every object version of a bucket, as ``key version``."""
        store = s3.open_store(self.settings, bucket)
        return sorted(f"{item.key} {item.version_id}" for item, _ in store.versions(""))

    def everything(self, bucket: s3.BucketRole = "records") -> dict[str, bytes]:
        """Key to stored document of every object that is not the self-test's."""
        from nachweis.storage.documents import read_document

        store = s3.open_store(self.settings, bucket)
        return {
            item.key: read_document(store, item.key)
            for item in store.list("")
            if not item.key.startswith("self-test/")
        }


@contextlib.contextmanager
def place(
    folder: Path, store: EmbeddedStore, *, world: Path = TINY, replay: bool = False
) -> Iterator[Place]:
    """A copy of a world with fresh buckets, and the environment that leads to both.

    Args:
        folder: Empty folder.
        store: The session's S3 server.
        world: What to copy.
        replay: Replay checks' examples in each plan, as a real night does.
    """
    shutil.copytree(world, folder / "world")
    mark = uuid.uuid4().hex[:10]
    keys = store.keys
    settings = Settings(
        world=str(folder / "world"),
        state=folder / "state",
        s3_endpoint=store.endpoint,
        s3_access_key=keys.writer.key,
        s3_secret_key=keys.writer.secret,
        anchor_access_key=keys.anchor.key,
        anchor_secret_key=keys.anchor.secret,
        disposer_access_key=keys.disposer.key if keys.disposer else None,
        disposer_secret_key=keys.disposer.secret if keys.disposer else None,
        disposer_principal=embedded_keys.DISPOSER,
        **{
            f"bucket_{role}": f"nachweis-{role}-{mark}"
            for role in ("records", "narratives", "site", "anchor")
        },
    )
    admin = keys.administrator
    bootstrap(
        settings,
        administrator=StoreAccess(store.endpoint, settings.s3_region, admin.key, admin.secret),
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in embedded.environment(settings).items():
            patch.setenv(name, value)
        if not replay:
            patch.setattr(night, "replay", replay_once)
        yield Place(folder / "world", settings)


def command(*arguments: str) -> tuple[int, str, str]:
    """Run the command line in this process as its entry point does.

    Returns:
        Exit code, standard output and standard error.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["nachweis", *arguments])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
    return code, out.getvalue(), err.getvalue()
