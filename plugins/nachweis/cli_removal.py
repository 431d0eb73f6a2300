"""``nachweis withdraw``: remove what should never have been stored."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

out = Console(highlight=False, soft_wrap=True)


def withdraw(
    documents: Annotated[
        list[str], typer.Argument(help="SHA-256 digests or object keys of documents.")
    ],
    incident: Annotated[
        str, typer.Option(help="Id of the incident that is the reason; `new` opens one.")
    ],
    repeats: Annotated[
        bool,
        typer.Option(
            "--repeats", help="Also what repeats it: assessments of evidence, pages of a version."
        ),
    ] = False,
) -> None:
    """Remove documents into which personal data slipped, and sign that they are withdrawn.

    Takes the disposer's credentials; without them it signs only. 0: gone; 1: not yet.
    """
    from nachweis.cli import _resolved
    from nachweis.pipeline.removal import withdraw as run

    done = run(_resolved(), documents, incident, repeats=repeats)
    for number in done.entries:
        out.print(f"signed as ledger entry {number}", markup=False)
    out.print(f"Incident   {done.incident}", markup=False)
    for key in done.keys:
        out.print(f"Gone       {key}", markup=False)
    for key in done.pending:
        out.print(f"Pending    {key}", markup=False)
    for key in done.repeated:
        out.print(f"Look at    {key}: it repeats what was withdrawn", markup=False)
    if done.pending:
        out.print(
            "Signed, and not removed yet: run the same call with NACHWEIS_DISPOSER_ACCESS_KEY and "
            "NACHWEIS_DISPOSER_SECRET_KEY.",
            markup=False,
        )
    out.print(
        "Pages still show it until `nachweis site render`. Packs, exports, backups and replicas "
        "that were made before keep it: ask for them back.",
        markup=False,
    )
    raise typer.Exit(1 if done.pending else 0)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(withdraw)
