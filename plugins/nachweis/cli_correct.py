"""``nachweis correct``: print and keep what a correction would change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from nachweis.domain.errors import NachweisError

out = Console(highlight=False, soft_wrap=True)

_SHOWN = ("selection_rate", "true_positive_rate", "false_positive_rate")


def correct(
    model: Annotated[str, typer.Argument(help="Id of the model.")],
    night: Annotated[
        str | None, typer.Option("--night", help="YYYY-MM-DD; default: the newest signed night.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="reweighing (the proposal) or thresholds (analysis only).")
    ] = "reweighing",
    attribute: Annotated[
        str | None, typer.Option(help="The attribute whose thresholds are exported.")
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Write thresholds to a file; needs a legal review on record."),
    ] = None,
) -> None:
    """Show what a correction of group differences would change; changes nothing itself."""
    from nachweis.cli import _context
    from nachweis.domain.errors import StoreError
    from nachweis.pipeline import correct as pipeline

    found = next((one for one in pipeline.METHODS if one == method), None)
    if found is None:
        raise NachweisError("not a method", where="--method", valid=pipeline.METHODS)
    if export is not None and attribute is None:
        raise NachweisError(
            "it is not said which thresholds to export",
            where="--export",
            remedy="name the attribute with --attribute",
        )
    context = _context(night)
    proposal = pipeline.propose(context, model.removeprefix("model/"), found)
    _print(proposal.document)
    path = pipeline.keep(context, proposal)
    out.print(f"\nEvidence: {path}", markup=False)
    out.print(f"SHA-256:  {proposal.digest}", markup=False)
    try:
        key = pipeline.store(context, proposal)
        out.print(f"In the store as {key}; no ledger entry names it yet.", markup=False)
    except StoreError as error:
        out.print(f"Not in the store: {error.what}", markup=False)
    if export is not None and attribute is not None:
        pipeline.export(context, proposal, attribute, export)
        out.print(f"Exported: {export} ({pipeline.AT_DECISION_TIME})", markup=False)


def _print(document: dict[str, Any]) -> None:
    rows = document["rows"]
    out.print(
        f"{document['subject']}, night of {document['night']}: {document['method']}, tried on "
        f"{rows['sampled']} rows of {rows['data_set']}",
        markup=False,
    )
    out.print(document["about"], markup=False)
    if document["mark"]:
        out.print(f"Analysis only: {document['mark']}", markup=False)
    for result in document["attributes"]:
        out.print(f"\n{result['attribute']}", markup=False, style="bold")
        _print_rates(result)
        for one in result["cost"]:
            out.print(f"  {one['name']:<34} {_value(one)}", markup=False)
        estimate = result["estimated_rows_of_current_window"]
        about = "" if estimate is None else f", about {estimate} rows of the current window"
        out.print(f"  decisions that change: {result['share_changing']:.1%}{about}", markup=False)
        for one in result["affected"]:
            if one["name"].startswith("share_"):
                name = f"{one['name'].removeprefix('share_')} [{one['group']}]"
                out.print(f"    {name:<32} {_value(one)}", markup=False)
    for attribute, declare in document["left_out"].items():
        out.print(f"\n{attribute}: left out; declare {declare}", markup=False)
    out.print("\nTo be decided by people:", markup=False)
    for sentence in document["to_decide"]:
        out.print(f"  - {sentence}", markup=False)


def _print_rates(result: dict[str, Any]) -> None:
    after = {(one["name"], one.get("group")): one for one in result["after"]}
    for one in result["before"]:
        name = one["name"]
        if not name.startswith(_SHOWN):
            continue
        label = f"{name} [{one['group']}]" if one.get("group") else name
        later = after.get((name, one.get("group")))
        out.print(
            f"  {label:<34} {_value(one)}  ->  {_value(later) if later else '-'}", markup=False
        )


def _value(one: dict[str, Any]) -> str:
    if one["value"] is None:
        return f"undefined ({one.get('reason', '')})"
    interval = one.get("interval")
    shown = f"{one['value']:.3f}" if isinstance(one["value"], float) else str(one["value"])
    return shown if interval is None else f"{shown} ({interval[0]:.3f} to {interval[1]:.3f})"
