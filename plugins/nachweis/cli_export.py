"""``nachweis export``: a signed record, dossier or register in the formats people file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nachweis.domain.errors import NachweisError
from nachweis.domain.manifest.common import LANGUAGES

out = Console(highlight=False, soft_wrap=True)


def export(
    target: Annotated[
        str,
        typer.Argument(
            help="Id of an activity or model (record/ID, dossier/ID), register, or schema."
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--format", help="Default: json, with --for xlsx. An unknown name lists those that fit."
        ),
    ] = None,
    authority: Annotated[
        str,
        typer.Option(
            "--for",
            help="Country of an authority, e.g. DK, or `authority` for that of the organisation: "
            "its layout, and who approved, by name.",
        ),
    ] = "",
    lang: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(LANGUAGES)}; default: the controlling language."),
    ] = None,
    night: Annotated[
        str | None, typer.Option("--night", help="YYYY-MM-DD; default: the newest signed night.")
    ] = None,
    version: Annotated[
        int | None, typer.Option("--version", help="Version; default: that night's.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--out", help="File or folder; default: this folder.")
    ] = None,
) -> None:
    """Write a signed record, dossier or the register in a format that people file."""
    folder = Path() if to is None else to
    if target == "schema":
        from nachweis.pages.exports.json_document import schemas

        for schema, text in schemas().items():
            _write(folder / schema, text.encode("utf-8"))
        return
    from nachweis.cli import _resolved
    from nachweis.pipeline.export import export as run

    wanted = name or ("xlsx" if authority else "json")
    made = run(
        _resolved(), target, wanted, layout=authority, language=lang, night=night, version=version
    )
    _write(folder / made.name if to is None or to.is_dir() else to, made.content)


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise NachweisError(
            f"the export cannot be written ({error.strerror})",
            where=str(path),
            remedy="name a file or folder with --out",
        ) from error
    out.print(f"written  {path}", markup=False)
