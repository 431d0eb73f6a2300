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


def dispose(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what is due; changes nothing.")
    ] = False,
) -> None:
    """Dispose of what nothing live refers to and whose retention is over, and sign it.

    Takes the disposer's credentials unless it is a dry run.
    """
    from nachweis.cli import _resolved
    from nachweis.pipeline.retention import dispose as run

    done = run(_resolved(), dry_run=dry_run)
    for number in done.entries:
        out.print(f"signed as ledger entry {number}", markup=False)
    for key, (rule, _) in sorted(done.due.items()):
        out.print(f"{'Due' if dry_run else 'Gone':<10} {key}  {rule}", markup=False)
    for key in sorted(done.waiting):
        out.print(
            f"Locked     {key}: its time is over, its lock or a legal hold is not", markup=False
        )
    if not done.due:
        out.print("Nothing is due.", markup=False)


hold_app = typer.Typer(
    help="Keep documents beyond every retention rule, for example for a dispute.",
    no_args_is_help=True,
)
Held = Annotated[list[str], typer.Argument(help="SHA-256 digests or object keys of documents.")]


@hold_app.command("set")
def hold_set(documents: Held) -> None:
    """Put a legal hold on documents: nobody can remove them before it is released."""
    _hold(documents, on=True)


@hold_app.command("release")
def hold_release(documents: Held) -> None:
    """Take a legal hold off; locks and retention rules count again."""
    _hold(documents, on=False)


@hold_app.command("show")
def hold_show(documents: Held) -> None:
    """Print the lock and the legal hold of documents."""
    _hold(documents, on=None)


def _hold(documents: list[str], *, on: bool | None) -> None:
    from nachweis.cli import _resolved
    from nachweis.pipeline.retention import hold

    for one in hold(_resolved(), documents, on=on):
        lock = f"{one.mode} until {one.until:%Y-%m-%d %H:%M} UTC" if one.until else "no lock"
        out.print(f"{'held' if one.held else 'not held':<9} {one.key}  {lock}", markup=False)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(withdraw)
    app.command()(dispose)
    app.add_typer(hold_app, name="hold")
