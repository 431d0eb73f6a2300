"""``nachweis correct``: what a correction would change, for people to decide about.

Nothing is changed here. The default proposal is reweighing: the model is fitted again with weights
and never reads the characteristic. Thresholds per group use the characteristic at decision time;
they are analysed, and leave this program only after a legal review, never for special categories.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nachweis import registry
from nachweis.domain.canonical import canonical_bytes, digest, publishable
from nachweis.domain.check import Inputs
from nachweis.domain.disclosure import sealed_count
from nachweis.domain.errors import DataError, NachweisError
from nachweis.domain.finding import Subject, SubjectKind
from nachweis.domain.manifest import Attestation, ModelKind
from nachweis.pipeline.context import NightContext, software
from nachweis.pipeline.correction_results import REVIEW, Method, result_of, to_decide
from nachweis.pipeline.correction_samples import Rows, scored_rows, training_rows
from nachweis.pipeline.leaks import demand_clean
from nachweis.storage import layout
from nachweis.storage.documents import write_document

if TYPE_CHECKING:
    from nachweis.engines.tables import Tables

METHODS: tuple[Method, ...] = ("reweighing", "thresholds")
AT_DECISION_TIME = "uses the characteristic at decision time; legal assessment needed"

_BASIS = "selection_rate_parity_held"
_ABOUT = {
    "reweighing": (
        "Each training row is weighted by P(group) P(outcome) / P(group, outcome). Before and "
        "after are out-of-fold decisions of the same estimator without and with weights; the "
        "deployed model may differ from it. The model does not read the characteristic."
    ),
    "thresholds": (
        "Each group gets the threshold at which the share selected equals that of all groups "
        "together today. Before are the recorded decisions."
    ),
}


@dataclass(frozen=True)
class Proposal:
    """A proposed correction.

    Attributes:
        document: What is kept as evidence: sealed numbers, no thresholds.
        thresholds: Attribute to group name to threshold, for the method ``thresholds``.
    """

    document: dict[str, Any]
    thresholds: Mapping[str, Mapping[str, float]]

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical document."""
        return digest(self.document)


def propose(context: NightContext, model_id: str, method: Method) -> Proposal:
    """Compute what a correction would change.

    Args:
        context: The night.
        model_id: Id of the model.
        method: ``reweighing`` or ``thresholds``.

    Returns:
        The proposal; nothing is written.

    Raises:
        NachweisError: If there is no such model, something is not declared, or data are missing.
    """
    subject = Subject(kind=SubjectKind.MODEL, id=model_id)
    context.demand(subject)
    inputs = _inputs(context, subject)
    model = inputs.model
    if not model.protected_attributes:
        raise NachweisError(
            "the model declares no protected attributes; they are never inferred",
            where=str(subject),
            remedy="declare 'protected_attributes'",
        )
    if method == "reweighing" and model.kind is not ModelKind.BINARY:
        raise NachweisError(
            "reweighing is tried for binary models only",
            where=str(subject),
            remedy="weigh the training rows in your own training and compare before and after",
        )
    with context.tables() as tables:
        rows = (training_rows if method == "reweighing" else scored_rows)(inputs, tables)
        versions = tables.versions([rows.data_set])
        window_rows = _window_rows(inputs, tables)
    _demand_rows(inputs, rows)
    results, thresholds = [], {}
    for groups in rows.groups:
        if len(np.unique(groups.codes[groups.codes >= 0])) < 2:
            continue
        result, limits = result_of(inputs, rows, groups, method, window_rows)
        results.append(result)
        thresholds[groups.attribute.id] = limits
    if not results:
        raise NachweisError(
            "no attribute has two groups of people to compare",
            where=f"data set {rows.data_set}",
            remedy="; ".join(f"{key}: declare {text}" for key, text in rows.left_out.items()),
        )
    document = publishable(
        {
            "schema_version": 1,
            "kind": "correction",
            "night": str(context.night),
            "subject": str(subject),
            "method": method,
            "mark": AT_DECISION_TIME if method == "thresholds" else "",
            "about": _ABOUT[method],
            "rows": {"data_set": rows.data_set, "sampled": sealed_count(rows.n)},
            "data_versions": dict(versions),
            "software": dict(software()),
            "attributes": results,
            "left_out": dict(rows.left_out),
            "to_decide": to_decide(method),
        }
    )
    demand_clean(context.loaded.world, document, f"correction of {subject}")
    return Proposal(document, thresholds)


def keep(context: NightContext, proposal: Proposal) -> Path:
    """Write a proposal's canonical JSON into the local state folder.

    Args:
        context: The night.
        proposal: The proposal.

    Returns:
        The file; its name ends with the start of the document's digest.

    Raises:
        NachweisError: If it cannot be written.
    """
    model = proposal.document["subject"].partition("/")[2]
    name = f"{context.night}-{proposal.document['method']}-{proposal.digest[:12]}.json"
    path: Path = context.settings.state / "corrections" / model / name
    _write(path, canonical_bytes(proposal.document))
    return path


def store(context: NightContext, proposal: Proposal) -> str:
    """Write a proposal into the store under its digest; no ledger entry names it yet.

    Args:
        context: The night.
        proposal: The proposal.

    Returns:
        The object key.

    Raises:
        StoreError: If the store cannot be reached or holds something else there.
    """
    key = layout.evidence(proposal.digest)
    content = canonical_bytes(proposal.document)
    write_document(context.records, key, content, lock=context.lock(key))
    return key


def export(context: NightContext, proposal: Proposal, attribute_id: str, path: Path) -> None:
    """Write the thresholds of one attribute to a file, if people have reviewed that legally.

    Args:
        context: The night.
        proposal: A proposal of the method ``thresholds``.
        attribute_id: The attribute.
        path: The file.

    Raises:
        NachweisError: If it is no such proposal, the attribute is a special category of personal
            data, or no attestation allows it.
    """
    subject = proposal.document["subject"]
    model = context.loaded.world.models[subject.partition("/")[2]]
    known = {one.id: one for one in model.protected_attributes}
    if proposal.document["method"] != "thresholds" or attribute_id not in proposal.thresholds:
        raise NachweisError(
            "there are no thresholds of this attribute to export",
            where=attribute_id,
            remedy="use --method thresholds and name an attribute with --attribute",
            valid=sorted(proposal.thresholds),
        )
    if known[attribute_id].art9 is not None:
        raise NachweisError(
            "thresholds by a special category of personal data are never exported (Art. 9 GDPR)",
            where=attribute_id,
            remedy="use reweighing, which does not read the characteristic at decision time",
        )
    review = _review(context, model.id)
    content = {
        "schema_version": 1,
        "kind": "group_thresholds",
        "mark": AT_DECISION_TIME,
        "subject": subject,
        "night": str(context.night),
        "attribute": attribute_id,
        "thresholds": {
            name: None if math.isinf(limit) else limit
            for name, limit in proposal.thresholds[attribute_id].items()
        },
        "correction": proposal.digest,
        "attestation": review.id,
        "valid_until": review.valid_until.isoformat(),
    }
    _write(path, canonical_bytes(publishable(content)))


def _review(context: NightContext, model_id: str) -> Attestation:
    """The attestation of a legal review that covers the model and the night."""
    day = context.night.date
    for _, one in sorted(context.loaded.world.attestations.items()):
        if (
            one.control == REVIEW
            and one.issued_on <= day <= one.valid_until
            and {model_id, f"model/{model_id}"} & set(one.scope)
        ):
            return one
    raise NachweisError(
        "thresholds per group may not be exported: they use the characteristic at decision time",
        where=f"model/{model_id}",
        remedy=f"have it assessed legally and declare an attestation with control {REVIEW}, the "
        "model in its scope, and a date it is valid until; or use reweighing",
    )


# --------------------------------------------------------------------------------------- helpers


def _inputs(context: NightContext, subject: Subject) -> Inputs:
    """Inputs of the check of selection rates, whose parameters hold here too."""
    check, world = registry.check(_BASIS), context.loaded.world
    own = world.models[subject.id].checks.get(check.id, {})
    params = check.effective_params(world.policy.checks.get(check.id, {}), own)
    return Inputs(world, subject, context.night, params)


def _window_rows(inputs: Inputs, tables: Tables) -> int | None:
    """Rows of the current window of the scoring log; None where it cannot be read."""
    if inputs.data("scoring_log") is None:
        return None
    try:
        source = inputs.source("scoring_log", "current")
        return tables.facts(source, inputs.model.current).rows
    except DataError:
        return None


def _demand_rows(inputs: Inputs, rows: Rows) -> None:
    smallest = inputs.param("min_group_size")
    reason = ""
    if rows.n < 2 * smallest:
        reason = f"fewer than {2 * smallest} rows are usable"
    elif rows.features and rows.labels is not None and rows.labels.all() | ~rows.labels.any():
        reason = "only one outcome occurs"
    if reason:
        raise NachweisError(
            f"a correction cannot be computed: {reason}",
            where=f"data set {rows.data_set}",
            remedy="name a night with more rows, or declare a larger training set",
        )


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(content)
    except OSError as error:
        raise NachweisError(
            f"the file cannot be written ({error.strerror})", where=str(path), remedy="check it"
        ) from error
