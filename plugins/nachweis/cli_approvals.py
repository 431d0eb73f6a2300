"""``nachweis submit``, ``advise``, ``approve``, ``reject`` and ``approvals``."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from nachweis.domain.approval import Advice, EventType
from nachweis.domain.errors import NachweisError

out = Console(highlight=False, soft_wrap=True)

TargetArgument = Annotated[
    str, typer.Argument(help="Id of an activity or model (record/ID, dossier/ID).")
]
RoleOption = Annotated[str, typer.Option(help="Role of organisation.yaml in which you act.")]
VersionOption = Annotated[
    int | None, typer.Option("--version", min=1, help="Version meant; must be the current one.")
]
ActorOption = Annotated[
    str | None,
    typer.Option(
        "--actor",
        envvar="NACHWEIS_ACTOR",
        help="Who acts; default: the account of this machine. Kept in the deletable directory.",
    ),
]
ReasonOption = Annotated[
    str, typer.Option("--reason", help="Why; kept in the deletable bucket, never on the site.")
]


def submit(
    target: TargetArgument,
    role: RoleOption,
    reason: ReasonOption = "",
    version: VersionOption = None,
    actor: ActorOption = None,
) -> None:
    """Submit the current version for approval, in the role of its author."""
    _sign(target, "submitted", role, reason, version, actor)


def advise(
    target: TargetArgument,
    advice: Annotated[str, typer.Argument(help="agree or object.")],
    role: RoleOption,
    reason: ReasonOption = "",
    version: VersionOption = None,
    actor: ActorOption = None,
) -> None:
    """Advise on a submitted version as data protection officer; an objection needs a reason."""
    words: dict[str, Advice] = {"agree": "agrees", "object": "objects"}
    if advice not in words:
        raise NachweisError("not an advice", where=advice, valid=list(words))
    _sign(target, "advice", role, reason, version, actor, words[advice])


def approve(
    target: TargetArgument,
    role: RoleOption,
    reason: ReasonOption = "",
    version: VersionOption = None,
    actor: ActorOption = None,
) -> None:
    """Approve a submitted version as its owner; without agreement of the DPO with a reason."""
    _sign(target, "approved", role, reason, version, actor)


def reject(
    target: TargetArgument,
    role: RoleOption,
    reason: ReasonOption = "",
    version: VersionOption = None,
    actor: ActorOption = None,
) -> None:
    """Reject a submitted or approved version as its owner, with a reason."""
    _sign(target, "rejected", role, reason, version, actor)


def approvals(
    target: TargetArgument,
    names: Annotated[
        bool, typer.Option("--names", help="Also who acted, as the deletable directory says.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List every event in the approval of all versions, and how far the current one is."""
    from nachweis.cli import _print_rows, _resolved
    from nachweis.pipeline.approval_list import list_approvals

    found = list_approvals(_resolved(), target, names=names)
    if as_json:
        out.print(json.dumps(found.document(), indent=2, sort_keys=True), markup=False)
        return
    out.print(found.sentence, markup=False)
    if found.events:
        titles = ("version", "signed", "event", "role", "evidence", "entry")
        _print_rows(
            (*titles, *(("who",) if names else ()), "reason"),
            [
                (
                    str(item.version),
                    item.signed_at,
                    item.event + ("" if item.counts else " (does not count)"),
                    item.role,
                    item.evidence,
                    str(item.entry),
                    *((item.who or "-",) if names else ()),
                    item.reason or "-",
                )
                for item in found.events
            ],
        )


def _sign(
    target: str,
    type_: EventType,
    role: str,
    reason: str,
    version: int | None,
    actor: str | None,
    advice: Advice | None = None,
) -> None:
    from nachweis.cli import _resolved
    from nachweis.pipeline.approval_list import sentence
    from nachweis.pipeline.approvals import decide

    case, signed = decide(
        _resolved(), target, type_, role=role, actor=actor, reason=reason, version=version,
        advice=advice,
    )  # fmt: skip
    out.print(f"signed as ledger entry {signed.sequence}", markup=False)
    out.print(sentence(case), markup=False)
    out.print("On the pages after `nachweis site render`.", markup=False)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (submit, advise, approve, reject, approvals):
        app.command()(command)
