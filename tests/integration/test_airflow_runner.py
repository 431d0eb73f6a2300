"""`make nightly`: real Airflow over a tiny world, twice; exit codes and the one message."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nachweis.airflow_bridge import runner
from nachweis.domain.finding import Severity
from nachweis.pipeline.summary import NightSummary, OpenFinding
from tests.integration.airflow_support import (
    NIGHTS,
    Mailbox,
    Webhook,
    bridge,
    environment,
    mail_server,
    webhook_server,
)

pytestmark = [pytest.mark.airflow, pytest.mark.store]


@dataclass
class Twice:
    """The same night run again and again, and whom it told."""

    state: Path
    first: subprocess.CompletedProcess[str]
    again: subprocess.CompletedProcess[str]
    siteless: subprocess.CompletedProcess[str]
    mailbox: Mailbox
    webhook: Webhook


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twice]:
    state = tmp_path_factory.mktemp("state")
    with mail_server() as mailbox, webhook_server() as webhook:
        env = environment(
            state,
            AIRFLOW_CONN_SMTP_DEFAULT=mailbox.connection,
            AIRFLOW_CONN_NIGHTLY_WEBHOOK=webhook.connection,
        )
        first = bridge("runner", "nightly", "--date", NIGHTS[1], env=env)
        again = bridge("runner", "nightly", "--date", NIGHTS[1], "--fail-on", "high", env=env)
        site = state / "site"
        kept = site.rename(state / "kept")
        site.write_text("a file where the folder belongs")
        siteless = bridge("runner", "nightly", "--date", NIGHTS[1], env=env)
        site.unlink()
        kept.rename(site)
        yield Twice(state, first, again, siteless, mailbox, webhook)


def lines(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr


def test_a_night_is_signed_whatever_its_findings(twice: Twice) -> None:
    assert twice.first.returncode == runner.SIGNED, lines(twice.first)
    assert re.search(r"Ledger +sequence \d+; the chain verifies", twice.first.stdout)
    assert "training_data_meets_suite" in twice.first.stdout


def test_progress_says_what_runs_and_how_far(twice: Twice) -> None:
    steps = re.findall(r"^\[ *[\d.]+ s\] (.*)$", twice.first.stdout, re.MULTILINE)
    first, second, last = runner.DAGS
    assert f"(1 and 2 of 3) {first}, {second}" in steps
    assert f"(3 of 3) {last}" in steps
    assert any(step.startswith("1/1 model/propensity ") for step in steps)
    counted = [re.match(r"(\d)/3 data_set/", step) for step in steps]
    assert [found.group(1) for found in counted if found] == ["1", "2", "3"]


def test_airflows_own_noise_goes_to_a_file(twice: Twice) -> None:
    assert "airflow.sdk" not in lines(twice.first)
    assert (twice.state / "logs" / "nightly.log").stat().st_size > 0


def test_the_site_is_where_the_summary_says(twice: Twice) -> None:
    named = re.search(r"^Site +(.+)$", twice.first.stdout, re.MULTILINE)
    assert named is not None
    assert Path(named.group(1)).is_file()


def test_a_second_run_of_the_same_night_changes_nothing_and_says_so(twice: Twice) -> None:
    assert "nothing changed" in twice.again.stdout, lines(twice.again)
    sequences = [
        re.findall(r"sequence (\d+); the chain", done.stdout) for done in (twice.first, twice.again)
    ]
    assert sequences[0] == sequences[1]
    assert "training_data_meets_suite" in twice.again.stdout


def test_a_site_that_cannot_be_written_is_told_and_leaves_the_night_signed(twice: Twice) -> None:
    assert twice.siteless.returncode == runner.SIGNED, lines(twice.siteless)
    assert "NOT UP TO DATE" in twice.siteless.stdout
    assert "NOT UP TO DATE" not in twice.first.stdout


def test_fail_on_turns_an_open_finding_into_exit_code_1(twice: Twice) -> None:
    assert twice.again.returncode == runner.FOUND


def test_one_message_a_night_with_counts_and_a_link_only(twice: Twice) -> None:
    (mail,) = twice.mailbox.messages
    assert twice.mailbox.recipients == [["governance@example.com"]]
    (post,) = twice.webhook.posts
    body = mail.get_body(("html",))
    assert body is not None
    for text in (mail["Subject"] + body.get_content(), post["subject"] + post["text"]):
        assert NIGHTS[1] in text
        assert "propensity" not in text
        assert "west" not in text


def test_the_store_is_stopped_by_who_started_it(twice: Twice) -> None:
    from nachweis.settings import Settings
    from nachweis.storage import embedded

    assert embedded.status(Settings(state=twice.state)) is None


def test_a_night_that_cannot_be_signed_gives_exit_code_2(twice: Twice, tmp_path: Path) -> None:
    env = environment(twice.state, NACHWEIS_WORLD=str(tmp_path))
    done = bridge("runner", "nightly", "--date", NIGHTS[0], env=env)
    assert done.returncode == runner.NOT_SIGNED
    assert "Not signed." in done.stdout
    assert "organisation.yaml" in done.stdout, "the cause belongs on the terminal, not in a log"


@pytest.mark.parametrize("date", ["2026-02-30", "yesterday", "2026-1-1"])
def test_a_date_that_is_none_is_refused_at_once(date: str, tmp_path: Path) -> None:
    done = bridge("runner", "nightly", "--date", date, env=environment(tmp_path))
    assert done.returncode == runner.NOT_SIGNED
    assert "YYYY-MM-DD" in done.stdout


@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize("state", ["new", "acknowledged", "waived", "false_alarm"])
def test_the_exit_code_counts_open_findings_that_nobody_has_set_aside(
    severity: Severity, state: str
) -> None:
    found = OpenFinding(
        check="c", subject="model/m", column=None, outcome="fail", severity=severity, state=state
    )
    summary = NightSummary(
        night="2026-10-19", attempt="a", models=1, data_sets=1, counts={}, open=(found,),
        sequence=1, chain_ok=True,
    )  # fmt: skip
    for least in Severity:
        set_aside = state in ("waived", "false_alarm")
        expected = runner.FOUND if severity.rank >= least.rank and not set_aside else runner.SIGNED
        assert runner.exit_code(summary, least.value) == expected
    assert runner.exit_code(summary, None) == runner.SIGNED
