"""``nachweis erasure``: ledgers of erased people, each period under a secret of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nachweis.domain.errors import NachweisError

out = Console(highlight=False, soft_wrap=True)
erasure_app = typer.Typer(
    help="Enter erased people into a ledger of keyed hashes; destroy a period's secret.",
    no_args_is_help=True,
)


@erasure_app.command("add")
def add(
    keys: Annotated[
        Path,
        typer.Argument(help="File with one subject key per line; - reads standard input."),
    ],
    period: Annotated[
        str | None, typer.Option(help="2026, 2026-q3 or 2026-09; default: this year.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Role that owns a new ledger.")] = None,
) -> None:
    """Enter people whose data were erased. Keys are hashed at once and stored nowhere.

    They are never arguments: those stay in the shell's history. Delete the file afterwards.
    """
    from nachweis.pipeline import erasure
    from nachweis.settings import Settings

    try:
        text = sys.stdin.read() if str(keys) == "-" else keys.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NachweisError(
            f"the keys cannot be read ({type(error).__name__})", where=str(keys)
        ) from None
    name, entered = erasure.add(Settings(), text.splitlines(), period=period, owner=owner)
    out.print(f"{entered} people entered into the ledger of {name}", markup=False)


@erasure_app.command("shred")
def shred(
    period: Annotated[str, typer.Argument(help="Period whose secret shall be destroyed.")],
    sure: Annotated[bool, typer.Option("--yes", help="Do not ask; it cannot be undone.")] = False,
) -> None:
    """Destroy the secret of a period: who its entries are about can no longer be told."""
    from nachweis.pipeline import erasure
    from nachweis.settings import Settings

    if not sure:
        typer.confirm(
            f"Destroy the secret of {period}? That period can never be searched again",
            abort=True,
        )
    done = erasure.shred(Settings(), period)
    out.print(f"{done.period}: {done.state}, {done.entries} entries", markup=False)
    out.print(
        "Destroy its copies too: other machines, backups, and NACHWEIS_ERASURE_… variables.",
        markup=False,
    )


@erasure_app.command("list")
def list_() -> None:
    """List periods, how many people they name, and whether they can be searched."""
    from nachweis.pipeline import erasure
    from nachweis.settings import Settings

    found = erasure.periods(Settings())
    for one in found:
        out.print(f"{one.period:<9} {one.entries:>7}  {one.state}", markup=False)
    if not found:
        out.print("There is no ledger yet: nachweis erasure add FILE", markup=False)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(erasure_app, name="erasure")
