"""``nachweis finding waive`` and ``digest``; what ``nachweis finding why`` says about acting."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer
from rich.console import Console

from nachweis.domain.errors import NachweisError
from nachweis.domain.finding import Finding
from nachweis.domain.manifest.common import LANGUAGES

out = Console(highlight=False, soft_wrap=True)


def waive(
    key: Annotated[str, typer.Argument(help="Key as printed by `finding list`.")],
    role: Annotated[str, typer.Option(help="Role that accepts it.")],
    until: Annotated[str, typer.Option(help="Last day, YYYY-MM-DD; at most 90 days.")],
    reason: Annotated[
        list[str],
        typer.Option(
            help=f"Why: TEXT, or LANGUAGE=TEXT once per language, of {', '.join(LANGUAGES)}."
        ),
    ],
    start: Annotated[
        str | None, typer.Option("--from", help="First night, YYYY-MM-DD; default: today.")
    ] = None,
    night: Annotated[
        str | None, typer.Option("--night", help="YYYY-MM-DD; default: the newest signed night.")
    ] = None,
) -> None:
    """Write a waiver of a failing check; the outcome stays what it is."""
    from nachweis.cli import _resolved
    from nachweis.pipeline import waivers
    from nachweis.pipeline.load import load_world

    settings = _resolved()
    languages = load_world(settings).world.organisation.languages
    path = waivers.waive(
        settings,
        key,
        role=role,
        until=_day(until, "--until"),
        reason=_texts(reason, languages[0]),
        start=_day(start, "--from") if start else None,
        night=night,
    )
    out.print(f"written  {path}", markup=False)
    out.print(
        "Have it reviewed like any other manifest. From the next run of a night that it covers, "
        "the finding reads fail (waived).",
        markup=False,
    )


def digest(
    role: Annotated[
        str | None, typer.Option(help="Only what this role owns; default: the whole night.")
    ] = None,
    night: Annotated[
        str | None, typer.Option("--night", help="YYYY-MM-DD; default: the newest signed night.")
    ] = None,
) -> None:
    """Print a night's message: what is new, still open and resolved, worst first."""
    from nachweis.cli import _resolved
    from nachweis.pipeline.daily_digest import daily_digest

    subject, body = daily_digest(_resolved(), night, role)
    out.print(f"{subject}\n\n{body}", markup=False, end="")


def print_guidance(finding: Finding, night: str) -> None:
    """Print what a person needs to act on a finding.

    Args:
        finding: The finding.
        night: The signed night it belongs to.
    """
    from nachweis.pipeline.guidance import guidance
    from nachweis.pipeline.load import load_world
    from nachweis.settings import Settings

    for title, text in guidance(load_world(Settings()).world, finding, night):
        out.print(f"{title}: {text}", markup=False)


def _texts(given: list[str], first: str) -> dict[str, str]:
    """Texts per language; one without a language is in the organisation's first."""
    texts: dict[str, str] = {}
    for one in given:
        name, found, text = one.partition("=")
        language, text = (name, text) if found and name in LANGUAGES else (first, one)
        if language in texts:
            raise NachweisError(f"the reason is given twice for {language}", where="--reason")
        texts[language] = text.strip()
    return texts


def _day(text: str, option: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise NachweisError("not a day", where=option, remedy="write it as 2026-11-20") from error
