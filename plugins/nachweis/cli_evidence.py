"""``nachweis verify``, ``pack`` and ``key``: what the evidence is worth and rests on."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nachweis.domain.errors import NachweisError

out = Console(highlight=False, soft_wrap=True)


def pack(
    activity: Annotated[str, typer.Argument(help="Id of the activity.")],
    start: Annotated[str, typer.Option("--from", help="First night, YYYY-MM-DD.")],
    end: Annotated[str, typer.Option("--to", help="Last night, YYYY-MM-DD.")],
    path: Annotated[
        Path | None, typer.Option("--out", help="ZIP file; default: ACTIVITY_FROM_TO.zip here.")
    ] = None,
) -> None:
    """Write what an auditor takes away: documents, evidence, ledger, and a verifier."""
    from nachweis.cli import _resolved
    from nachweis.pipeline.pack import make_pack

    first, last = day(start, "--from"), day(end, "--to")
    if last < first:
        raise NachweisError("the last night is before the first one", where="--to")
    made = make_pack(_resolved(), activity, first, last, path)
    out.print(f"written  {made.path}: {made.files} files, {made.nights} nights", markup=False)
    out.print(f"sha256   {made.digest}", markup=False)
    out.print("Give the fingerprint of your key on another way: nachweis key list", markup=False)


def self_check(
    night: Annotated[
        str | None, typer.Option(help="Newest night that should be signed; default: yesterday.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Verify everything.")] = False,
) -> None:
    """Verify what is new and look for missed nights. 0: nothing to tell; 1: there is."""
    from nachweis.cli import _resolved
    from nachweis.pipeline.self_check import self_check as run

    _resolved()
    found = run(str(day(night, "--night")) if night else None, full=full)
    out.print(f"Verified   {found.scope}", markup=False)
    for problem in found.problems:
        out.print(f"Problem    {problem}", markup=False)
    if found.incident:
        out.print(f"Incident   {found.incident}", markup=False)
    for missing in found.missing:
        out.print(f"Missing    the night of {missing} is not signed", markup=False)
    if found.prolonged:
        out.print(f"Prolonged  {found.prolonged} locks", markup=False)
    if found.locks:
        out.print(f"Problem    {found.locks}", markup=False)
    if found.ok:
        out.print(f"Complete   up to the night of {found.night}", markup=False)
    raise typer.Exit(0 if found.ok else 1)


def verify(
    trusted: Annotated[
        str | None,
        typer.Option(help="Fingerprint or public key file to trust; default: the own key."),
    ] = None,
    incremental: Annotated[
        bool,
        typer.Option("--incremental", help="Only what was signed since the last verification."),
    ] = False,
    document: Annotated[
        str | None,
        typer.Option(help="One document: record/ID, dossier/ID/VERSION, a key or a digest."),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="YYYY-MM-DD: what was signed up to the end of this day.")
    ] = None,
    copy: Annotated[
        Path | None, typer.Option(help="Folder with a copy of the buckets instead of the store.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Verify the store: signatures, chain, digests, versions. 0: verifies; 1: it does not."""
    from nachweis.cli import _resolved
    from nachweis.pipeline import verification
    from nachweis.settings import Settings

    if sum((incremental, document is not None, as_of is not None, copy is not None)) > 1:
        raise NachweisError(
            "these ways to verify exclude each other",
            valid=["--incremental", "--document", "--as-of", "--copy"],
        )
    if copy is not None:
        report = verification.verify_all(Settings(), trusted, copy=copy)
    elif incremental:
        report = verification.verify_new(_resolved(), trusted)
    elif document is not None:
        report = verification.verify_one(_resolved(), document, trusted)
    elif as_of is not None:
        report = verification.verify_as_of(_resolved(), day(as_of, "--as-of"), trusted)
    else:
        report = verification.verify_all(_resolved(), trusted)
    if as_json:
        out.print(json.dumps(report.document(), indent=2, sort_keys=True), markup=False)
    else:
        out.print(report.text(), markup=False)
    raise typer.Exit(0 if report.ok else 1)


def day(text: str, option: str) -> dt.date:
    """A day as it was given on the command line."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise NachweisError("not a day", where=option, remedy="write it as 2026-11-20") from error


# ------------------------------------------------------------------------------- buckets


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Look at the buckets' real settings and say how to set what is missing. 1: it is missing."""
    from nachweis.cli import _resolved
    from nachweis.storage.doctor import diagnose

    found = diagnose(_resolved())
    if as_json:
        out.print(json.dumps(found.document(), indent=2, sort_keys=True), markup=False)
    else:
        out.print(found.text(), markup=False)
    raise typer.Exit(0 if found.ok else 1)


def iam(
    role: Annotated[
        str | None, typer.Argument(help="Print one policy; without it, list the roles.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Write all policies to a folder, ROLE.json each.")
    ] = None,
) -> None:
    """Print least-privilege IAM policies for the buckets of the settings."""
    from nachweis.settings import Settings
    from nachweis.storage.iam import ROLES, policy

    settings = Settings()
    if role is not None and role not in ROLES:
        raise NachweisError("there is no such role", where=role, valid=ROLES)
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in ROLES:
                text = json.dumps(policy(settings, name), indent=2) + "\n"
                (folder / f"{name}.json").write_text(text, encoding="utf-8")
        except OSError as error:
            raise NachweisError(
                f"the policies cannot be written ({error.strerror})", where=str(folder)
            ) from error
        out.print(f"written  {len(ROLES)} policies: {folder}", markup=False)
    elif role is not None:
        out.print(json.dumps(policy(settings, role), indent=2), markup=False)
    else:
        for name, (purpose, _) in ROLES.items():
            out.print(f"{name:<9} {purpose}", markup=False)


# --------------------------------------------------------------------------------- keys

key_app = typer.Typer(
    help="List, make, rotate and revoke the keys that sign the ledger.", no_args_is_help=True
)


@key_app.command("list")
def key_list() -> None:
    """List the ledger's keys; give your auditors the fingerprint on another way than the store."""
    from nachweis.cli import _resolved
    from nachweis.pipeline.keys import list_keys
    from nachweis.storage.signing import open_signer

    settings = _resolved()
    keys = list_keys(settings)
    for key in keys:
        out.print(str(key), markup=False)
    if not any(key.own for key in keys):
        own = open_signer(settings).public_key.keyid
        out.print(f"{own}  own, not in the ledger yet", markup=False)


@key_app.command("new")
def key_new(path: Annotated[Path, typer.Argument(help="File of the private key.")]) -> None:
    """Make an Ed25519 key pair: the private file for its owner only, the public one beside it."""
    from nachweis.storage.signing import generate_key, pinned

    if path.exists():
        raise NachweisError(
            "there is a file already", where=str(path), remedy="name another one; keys are kept"
        )
    generate_key(path)
    public = path.with_suffix(".pub")
    out.print(f"written  {path} and {public}", markup=False)
    out.print(f"fingerprint  {pinned(public)}", markup=False)


@key_app.command("fetch")
def key_fetch(
    uri: Annotated[str, typer.Argument(help="URI of the signer, e.g. awskms:ARN or hv:NAME.")],
    path: Annotated[Path, typer.Argument(help="File that gets the public key.")],
) -> None:
    """Write the public key of a signer whose private key stays in a key service or a module."""
    from nachweis.settings import Settings
    from nachweis.storage.remote_signers import fetch_public_key
    from nachweis.storage.signing import fingerprint

    found, pem = fetch_public_key(uri, Settings())
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(pem)
    except OSError as error:
        raise NachweisError(
            f"the public key cannot be written ({error.strerror})",
            where=str(path),
            remedy="name another file; keys are kept",
        ) from error
    out.print(f"written  {path}", markup=False)
    out.print(f"fingerprint  {fingerprint(pem)}", markup=False)
    out.print(f"signer  {found}", markup=False)


@key_app.command("rotate")
def key_rotate(
    to: Annotated[str, typer.Option(help="URI of the new signer, e.g. file2:/etc/keys/new.pem.")],
    public_key: Annotated[
        Path | None, typer.Option(help="Its public key, for a signer that is not a file.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Let the present key stay in force beside it.")
    ] = False,
) -> None:
    """Let a new key take over; the present one and the new one sign the entry together."""
    from nachweis.cli import _resolved
    from nachweis.pipeline.keys import rotate

    settings = _resolved()
    more = {"signer": to, "signer_public_key": str(public_key) if public_key else None}
    appended = rotate(settings, settings.model_copy(update=more), keep=keep)
    _signed(appended.entry.sequence, appended.anchor_problem)
    named = f" and NACHWEIS_SIGNER_PUBLIC_KEY={public_key}" if public_key else ""
    out.print(f"Now set NACHWEIS_SIGNER={to}{named} wherever nights run", markup=False)


@key_app.command("revoke")
def key_revoke(
    keyid: Annotated[str, typer.Argument(help="Fingerprint of the key.")],
    from_entry: Annotated[
        int, typer.Option(min=1, help="First ledger entry that is not to be trusted.")
    ],
    reason: Annotated[str, typer.Option(help="One of superseded, compromised, lost.")],
) -> None:
    """Declare that a key is not to be trusted from an entry on; another key in force signs it."""
    from typing import get_args

    from nachweis.cli import _resolved
    from nachweis.pipeline.keys import Reason, revoke

    if reason not in get_args(Reason):
        raise NachweisError("not a reason", where="--reason", valid=get_args(Reason))
    appended = revoke(_resolved(), keyid, from_sequence=from_entry, reason=reason)  # type: ignore[arg-type]
    _signed(appended.entry.sequence, appended.anchor_problem)


def _signed(sequence: int, problem: str) -> None:
    out.print(f"signed as ledger entry {sequence}", markup=False)
    if problem:
        out.print(f"note     {problem}", markup=False)
