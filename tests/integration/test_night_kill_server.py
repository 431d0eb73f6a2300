"""``kill -9`` at every request of a night to a real S3 server: it verifies, and a rerun completes.

Each try forks a process that runs the night over fresh buckets and kills itself before its n-th
request. What is left before request n + 1 is what request n left, so that every state in between
is met. An ordinary test run tries some numbers; with ``NACHWEIS_ALL_NIGHTS`` set, all of them.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nachweis.pipeline import context, night, publish
from nachweis.pipeline.verification import verify_all
from nachweis.storage import bootstrap
from nachweis.storage.embedded import EmbeddedStore
from nachweis.storage.entries import EntryKind
from tests.integration.night_support import FIRST, Place, place
from tests.integration.test_night_busy_store import fresh_buckets
from tests.integration.test_night_kill import CAPABILITIES, remember

pytestmark = pytest.mark.store

TRIED = 4
PATIENCE = 120


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[Place]:
    """A world with a leaking activity; what does not write is done once and remembered."""
    with (
        place(tmp_path_factory.mktemp("killed"), embedded_store) as found,
        pytest.MonkeyPatch.context() as patch,
    ):
        activity = found.manifest("manifests/activities/marketing.yaml")
        leaking = {**activity, "id": "support", "title": {"en": "Ask anna.leaked@mail.example"}}
        found.write("manifests/activities/support.yaml", leaking)
        patch.setattr(bootstrap, "self_test", lambda _: CAPABILITIES)
        patch.setattr(night, "replay", lambda _: [])
        patch.setattr(night, "render", lambda *_: None)
        # Their library's threads are not there in a process that was forked.
        patch.setattr(publish, "renderings", lambda _: ())
        remember(patch, night, "observe_subject", lambda of, subject, **_: (of.night, subject))
        remember(patch, publish, "render_documents", lambda item, **more: str((item, more)))
        remember(patch, context, "load_world", lambda _: "one world")
        yield found


class Requests:
    """Counts this process's requests to S3; before number `fatal` the process is killed."""

    def __init__(self, patch: pytest.MonkeyPatch, fatal: int | None = None) -> None:
        from botocore.client import BaseClient

        self.made: list[str] = []
        call = BaseClient._make_api_call  # type: ignore[attr-defined]

        def counted(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
            if len(self.made) == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            self.made.append(f"{operation} {parameters.get('Key', parameters.get('Prefix', ''))}")
            return call(client, operation, parameters)

        patch.setattr(BaseClient, "_make_api_call", counted)


def killed_at(fatal: int) -> None:
    """Run the night in a process of its own that dies before a request."""
    child = os.fork()
    if not child:
        try:
            Requests(pytest.MonkeyPatch(), fatal)
            night.run_night(FIRST)
        finally:
            os._exit(1)  # reached only if nobody was killed
    until = time.monotonic() + PATIENCE
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail(f"the night did not come to request {fatal}")
        time.sleep(0.01)
    assert os.WIFSIGNALED(ended[1])
    assert os.WTERMSIG(ended[1]) == signal.SIGKILL


@pytest.mark.timeout(7200)
def test_every_request_may_be_the_last(
    here: Place, embedded_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        fresh_buckets(here, embedded_store, patch, tmp_path / "whole")
        counted = Requests(patch)
        night.run_night(FIRST)
        made = list(counted.made)
    writes = [number for number, name in enumerate(made) if name.startswith("PutObject")]
    assert len(writes) > 12
    assert any(name.startswith("PutObject ledger/") for name in made)
    numbers = list(range(len(made)))
    if not os.environ.get("NACHWEIS_ALL_NIGHTS"):
        # Behind the first write, behind the last ones, and in between.
        numbers = [writes[len(writes) * step // TRIED] + 1 for step in range(TRIED)]
    for fatal in numbers:
        with monkeypatch.context() as patch:
            there = fresh_buckets(here, embedded_store, patch, tmp_path / f"state-{fatal}")
            killed_at(fatal)
            assert verify_all(there.settings).ok, (fatal, made[fatal])
            summary = night.run_night(FIRST)
            assert summary.chain_ok, (fatal, made[fatal], summary.chain_problems)
            kinds = [entry.kind for entry in there.archive.entries]
            assert kinds == [EntryKind.KEY, EntryKind.INCIDENT, EntryKind.NIGHT], (
                fatal,
                made[fatal],
            )
            assert {item.version for item in there.statement(FIRST).versions} == {1}
            held = [key.partition(" ")[0] for key in there.keys()]  # noqa: SIM118 - a method of its own
            assert len(held) == len(set(held)), (fatal, made[fatal])
    print(f"killed before {len(numbers)} of {len(made)} requests, {len(writes)} of them writes")
