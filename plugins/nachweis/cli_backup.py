"""``nachweis backup`` and ``restore``: the store in a folder, and back; both end verified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from nachweis.pipeline.backup import Copied

out = Console(highlight=False, soft_wrap=True)

Trusted = Annotated[
    str | None,
    typer.Option(help="Fingerprint or public key file to trust; default: the own key."),
]


def backup(
    folder: Annotated[Path, typer.Argument(help="New folder, or an earlier backup to bring up.")],
    trusted: Trusted = None,
) -> None:
    """Copy records, checkpoints and texts to a folder and verify it. 0: verifies; 1: it does not.

    What was withdrawn, disposed of or erased leaves an earlier backup. Signing keys are not in it.
    """
    from nachweis.cli import _resolved
    from nachweis.pipeline.backup import backup as run

    _told(run(_resolved(), folder, trusted))


def restore(
    folder: Annotated[Path, typer.Argument(help="Folder of the backup.")],
    trusted: Trusted = None,
) -> None:
    """Write a backup to empty buckets and verify the store. 0: verifies; 1: it does not."""
    from nachweis.cli import _resolved
    from nachweis.pipeline.backup import restore as run

    _told(run(_resolved(), folder, trusted))


def _told(done: Copied) -> None:
    out.print(
        f"{done.written} objects written, {done.kept} there already, {done.removed} removed",
        markup=False,
    )
    out.print(done.verification.text(), markup=False)
    raise typer.Exit(0 if done.verification.ok else 1)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(backup)
    app.command()(restore)
