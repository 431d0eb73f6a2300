"""``nachweis diff``: what changed between versions, and what was in force on a day."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from nachweis.cli_evidence import day
from nachweis.domain.errors import NachweisError
from nachweis.domain.manifest.common import LANGUAGES

out = Console(highlight=False, soft_wrap=True)


def diff(
    target: Annotated[
        str, typer.Argument(help="Id of an activity or model (record/ID, dossier/ID).")
    ],
    old: Annotated[
        str | None, typer.Argument(help="Earlier version, e.g. v3; default: the one before NEW.")
    ] = None,
    new: Annotated[
        str | None, typer.Argument(help="Later version, e.g. v7; default: the current one.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(help="YYYY-MM-DD: which version was in force, approved on which evidence."),
    ] = None,
    lang: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(LANGUAGES)}; default: the controlling language."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Print what changed between two versions, or what was in force on a day."""
    from nachweis.cli import _resolved
    from nachweis.pipeline.changes import Comparison, compare
    from nachweis.pipeline.in_force import InForce, in_force

    found: Comparison | InForce
    if as_of is not None:
        if old is not None or new is not None:
            raise NachweisError(
                "name two versions or a day, not both", valid=["OLD NEW", "--as-of YYYY-MM-DD"]
            )
        found = in_force(_resolved(), target, day(as_of, "--as-of"))
    else:
        found = compare(_resolved(), target, old, new, lang)
    if as_json:
        out.print(json.dumps(found.document(), indent=2, sort_keys=True), markup=False)
    else:
        out.print(found.text(), markup=False)
