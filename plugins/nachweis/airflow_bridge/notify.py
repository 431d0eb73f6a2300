"""Send the night's one message through Airflow's notifiers: counts and a link, nothing else.

Addresses come from policy.yaml, servers and secrets from Airflow connections.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.http.notifications.http import HttpNotifier
from airflow.providers.smtp.notifications.smtp import SmtpNotifier

if TYPE_CHECKING:
    from airflow.sdk import Context

Channel = Literal["email", "webhook"]

SMTP_CONNECTION = "smtp_default"
TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Message:
    """One message and whom it goes to.

    Attributes:
        night: ISO date.
        subject: One line.
        body: Plain text.
        email: Mailboxes of functions; empty = no mail.
        webhook: Airflow connection id; None = no webhook.
    """

    night: str
    subject: str
    body: str
    email: tuple[str, ...] = ()
    webhook: str | None = None

    @classmethod
    def read(cls, night: str, content: Mapping[str, Any]) -> Message:
        """Build from what the pipeline returned."""
        return cls(
            night,
            str(content["subject"]),
            str(content["body"]),
            tuple(content.get("email") or ()),
            content.get("webhook") or None,
        )

    def connection(self, channel: Channel) -> str | None:
        """Airflow connection a channel needs; None if nobody is to be told this way."""
        if channel == "email":
            return SMTP_CONNECTION if self.email else None
        return self.webhook


def deliver(message: Message, channel: Channel, context: Context) -> None:
    """Send over one channel.

    The notifiers' own template pass is not used: the text is final.

    Args:
        message: The message.
        channel: One that `Message.connection` names a connection for.
        context: Airflow's task context.
    """
    if channel == "email":
        SmtpNotifier(
            to=list(message.email),
            subject=message.subject,
            html_content=_page(message.body),
            smtp_conn_id=SMTP_CONNECTION,
            custom_headers={"X-Nachweis-Night": message.night, "Auto-Submitted": "auto-generated"},
        ).notify(context)
    elif message.webhook:
        HttpNotifier(
            http_conn_id=message.webhook,
            json={"night": message.night, "subject": message.subject, "text": message.body},
            extra_options={"timeout": TIMEOUT_SECONDS, "check_response": True},
        ).notify(context)


def _page(text: str) -> str:
    lines = (_linked(line) for line in text.strip().splitlines())
    return f"<pre>{chr(10).join(lines)}</pre>"


def _linked(line: str) -> str:
    safe = html.escape(line)
    if line.startswith(("https://", "http://")):
        return f'<a href="{safe}">{safe}</a>'
    return safe
