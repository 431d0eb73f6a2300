"""The night's message through Airflow's notifiers, to a real SMTP and a real HTTP server."""

from __future__ import annotations

from typing import Any, cast

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from nachweis.airflow_bridge import tasks
from nachweis.airflow_bridge.notify import Message, deliver
from nachweis.domain.errors import NachweisError
from nachweis.pipeline import night as pipeline
from tests.integration.airflow_support import mail_server, webhook_server

CONTENT = {
    "subject": "Nachweis 2026-10-20: 2 high",
    "body": "Night 2026-10-20: 2 new <findings>.\nhttps://governance.example/nights/2026-10-20.html\n",
    "email": ["governance@example.com", "privacy@example.com"],
    "webhook": "nightly_webhook",
}
NO_CONTEXT = cast("Any", {})


@pytest.fixture
def message() -> Message:
    return Message.read("2026-10-20", CONTENT)


def test_one_mail_reaches_every_mailbox(message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server() as mailbox:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", mailbox.connection)
        deliver(message, "email", NO_CONTEXT)
    (mail,) = mailbox.messages
    assert mailbox.recipients == [CONTENT["email"]]
    assert mail["Subject"] == CONTENT["subject"]
    assert mail["From"] == "nachweis@example.com"
    assert mail["X-Nachweis-Night"] == "2026-10-20"
    body = mail.get_body(("html",))
    assert body is not None
    text = body.get_content()
    assert "2 new &lt;findings&gt;." in text
    assert '<a href="https://governance.example/nights/2026-10-20.html">' in text


def test_the_webhook_gets_the_same_text_as_json(
    message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook_server() as webhook:
        monkeypatch.setenv("AIRFLOW_CONN_NIGHTLY_WEBHOOK", webhook.connection)
        deliver(message, "webhook", NO_CONTEXT)
    assert webhook.posts == [
        {"night": "2026-10-20", "subject": CONTENT["subject"], "text": CONTENT["body"]}
    ]


def test_a_webhook_that_refuses_is_an_error(
    message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook_server() as webhook:
        webhook.status = 500
        monkeypatch.setenv("AIRFLOW_CONN_NIGHTLY_WEBHOOK", webhook.connection)
        with pytest.raises(AirflowException):
            deliver(message, "webhook", NO_CONTEXT)


def context() -> Any:
    run = type("Run", (), {"partition_key": "2026-10-20", "conf": {}, "run_id": "r"})
    return {"dag_run": run}


def answer(monkeypatch: pytest.MonkeyPatch, content: dict[str, Any] | None) -> None:
    monkeypatch.setattr(pipeline, "notify", lambda night, summary, channel: content)


def test_nothing_new_means_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, None)
    with pytest.raises(AirflowSkipException, match="nothing new"):
        tasks.notify(context(), {}, "email")


def test_nobody_named_means_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, {**CONTENT, "email": [], "webhook": None})
    for channel in ("email", "webhook"):
        with pytest.raises(AirflowSkipException, match="names nobody"):
            tasks.notify(context(), {}, cast("Any", channel))


def test_a_missing_connection_is_silent_in_the_demonstration_and_an_error_in_production(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer(monkeypatch, CONTENT)
    with pytest.raises(AirflowSkipException):
        tasks.notify(context(), {}, "email")
    monkeypatch.setenv("NACHWEIS_MODE", "production")
    with pytest.raises(NachweisError, match="connection"):
        tasks.notify(context(), {}, "email")


def test_each_owner_gets_a_message_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    owners = [
        {"subject": "Nachweis 2026-10-20: 1 high", "body": "churn\n", "email": ["crm@example.com"]},
        {"subject": "Nachweis 2026-10-20: 1 low", "body": "triage\n", "email": ["it@example.com"]},
    ]
    monkeypatch.setattr(pipeline, "told", lambda night, summary, channel: None)
    for boxes in (CONTENT["email"], []):
        answer(monkeypatch, {**CONTENT, "email": boxes, "owners": owners})
        with mail_server() as mailbox, webhook_server() as webhook:
            monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", mailbox.connection)
            monkeypatch.setenv("AIRFLOW_CONN_NIGHTLY_WEBHOOK", webhook.connection)
            tasks.notify(context(), {}, "email")
            tasks.notify(context(), {}, "webhook")
        named = ([boxes] if boxes else []) + [["crm@example.com"], ["it@example.com"]]
        assert mailbox.recipients == named
        assert [mail["Subject"] for mail in mailbox.messages][-2:] == [
            one["subject"] for one in owners
        ]
        assert [post["subject"] for post in webhook.posts] == [CONTENT["subject"]]
