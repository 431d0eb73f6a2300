"""No value of any data set leaves: a whole night over planted values, and every byte it made.

Each column of each data set holds a value that occurs nowhere else, in fewer rows than the ten
below which no count of people is published. One check crashes while observing and another while
judging, both with a planted value in their messages.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from nachweis import registry
from nachweis.domain.finding import Finding, Outcome
from nachweis.pipeline import night
from nachweis.pipeline.night import PRODUCERS
from nachweis.pipeline.summary import NightSummary, summary_text
from nachweis.storage import s3
from nachweis.storage.documents import decode
from nachweis.storage.embedded import EmbeddedStore
from tests.canaries import Canaries
from tests.integration.canary_world import SECRET, write_world
from tests.integration.night_support import FIRST, Place, command, place

pytestmark = pytest.mark.store

OBSERVING, JUDGING = "schema_as_declared", "feature_distribution_stable"
BUCKETS: tuple[s3.BucketRole, ...] = ("records", "narratives", "site", "anchor")


@dataclass(frozen=True)
class Planted:
    """A signed night and everything it said and handed on."""

    here: Place
    canaries: Canaries
    said: str
    handed_on: str
    """What the tasks returned: in Airflow, this is what the XCom table holds."""

    @property
    def findings(self) -> list[Finding]:
        statement = self.here.statement(FIRST)
        return [f for s in statement.evidence for f in self.here.evidence(FIRST, s).findings]


@pytest.fixture(scope="module")
def planted(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[Planted]:
    said, handed_on = io.StringIO(), []
    handler = logging.StreamHandler(said)
    with (
        place(tmp_path_factory.mktemp("canaries"), embedded_store) as here,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(SECRET, "ab" * 32)
        canaries = write_world(here)
        patch.setattr(registry.check(OBSERVING), "observe", crash)
        patch.setattr(registry.check(JUDGING), "judge", crash)
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                handed_on = tasks()
            _, *spoken = command("finding", "list", "--all")
            shown = [command("finding", "why", one.key)[1:] for one in open_ones(here)]
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
        told = "".join([said.getvalue(), *spoken, *(text for pair in shown for text in pair)])
        yield Planted(here, canaries, told, json.dumps(handed_on))


def crash(*_: Any) -> Any:
    raise ValueError("cannot parse 'Zq000kanarie' and 836291003 in line 12")


def open_ones(here: Place) -> list[Finding]:
    statement = here.statement(FIRST)
    return [f for s in statement.evidence for f in here.evidence(FIRST, s).findings if f.is_open]


def tasks() -> list[Any]:
    """The night's tasks as the three DAGs call them, with what each returned."""
    handed_on: list[Any] = []
    for dag in PRODUCERS:
        plan = night.plan(FIRST, dag=dag)
        blind = plan["blind"]
        results = [
            night.run_subject(FIRST, plan["attempt"], subject, blind)
            for subject in plan["subjects"]
        ]
        done = night.finish(FIRST, plan["attempt"], dag, results, plan["subjects"], blind)
        handed_on += [plan, *results, done]
    prepared = night.prepare_records(FIRST)
    summary = night.publish(FIRST, prepared)
    rendered = night.render(FIRST, summary)
    messages = [night.notify(FIRST, summary, channel) for channel in ("email", "webhook")]
    text = summary_text(NightSummary.model_validate(summary))
    return [*handed_on, prepared, summary, rendered, *messages, text]


def test_the_night_looked_at_the_planted_values(planted: Planted) -> None:
    looked = Counter(
        finding.check
        for finding in planted.findings
        if finding.outcome in {Outcome.PASS, Outcome.FAIL}
    )
    families = {registry.check(check).family for check in looked}
    assert families == {check.family for check in registry.checks().values()}
    assert len(looked) >= 45
    assert len(planted.canaries.columns) >= 40
    assert planted.here.statement(FIRST).blocked == ()


def test_crashing_checks_are_errors_without_their_messages(planted: Planted) -> None:
    crashed = [one for one in planted.findings if one.check in {OBSERVING, JUDGING}]
    assert {one.outcome for one in crashed if "crashed" in one.explanation} == {Outcome.ERROR}
    assert {one.check for one in crashed if "ValueError" in one.explanation} == {OBSERVING, JUDGING}


@pytest.mark.parametrize("bucket", BUCKETS)
def test_no_value_is_in_the_store(planted: Planted, bucket: s3.BucketRole) -> None:
    store = s3.open_store(planted.here.settings, bucket)
    objects = {item.key: store.get(item.key) for item in store.list("")}
    assert objects or bucket in {"narratives", "site"}
    found = {
        key: traces
        for key, content in objects.items()
        if (traces := planted.canaries.found_in(key, content))
    }
    assert not found


def test_no_value_is_on_the_site_or_in_the_state_folder(planted: Planted) -> None:
    settings = planted.here.settings
    assert any(settings.site.rglob("*.html"))
    # The cache is local and deletable, lies beside the data and is never published.
    kept = [path for path in settings.state.rglob("*") if path.is_file()]
    found = {
        str(path.relative_to(settings.state)): traces
        for path in {*kept, *(path for path in settings.site.rglob("*") if path.is_file())}
        if not path.is_relative_to(settings.cache)
        and (traces := planted.canaries.found_in(path.name, path.read_bytes()))
    }
    assert not found


def test_no_value_was_said_logged_or_handed_on(planted: Planted) -> None:
    assert "schema_as_declared" in planted.said
    assert not planted.canaries.found_in(planted.said)
    assert not planted.canaries.found_in(planted.handed_on)


def test_the_secret_of_keyed_hashes_stays_in_the_worker(planted: Planted) -> None:
    secret = os.fsencode("ab" * 32)
    assert secret.decode() not in planted.said + planted.handed_on
    for bucket in BUCKETS:
        store = s3.open_store(planted.here.settings, bucket)
        assert all(secret not in store.get(item.key) for item in store.list(""))


def test_no_secret_of_store_or_ledger_is_stored_said_or_handed_on(planted: Planted) -> None:
    settings = planted.here.settings
    secrets = {
        value.get_secret_value()
        for _, value in settings
        if isinstance(value, SecretStr) and value.get_secret_value()
    }
    private = next((settings.state / "keys").glob("*.pem")).read_text()
    secrets |= {line for line in private.splitlines() if not line.startswith("-")}
    assert len(secrets) >= 4
    assert not any(one in planted.said + planted.handed_on + repr(settings) for one in secrets)
    for bucket in BUCKETS:
        store = s3.open_store(settings, bucket)
        for content in (decode(item.key, store.get(item.key)) for item in store.list("")):
            assert not any(one.encode() in content for one in secrets)
