"""Purpose tags of data sets against the purpose of the model that uses them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import DataSet, DataSetRole, Purpose
from nachweis.domain.observation import Observations, Request

_HONOUR_WISHES = frozenset({"suppression_list", "objections", "erasure_ledger"})
_OTHER = {"id": "billing", "text": {"en": "Billing"}}


def _tables(*purposes: str) -> dict[str, ExampleTable]:
    declare = {"subject_key": {"column": "person"}, "purposes": list(purposes)}
    return {"training": ExampleTable(DataSetRole.TRAINING, {"person": ["a"]}, declare)}


def _activity(**purpose: Any) -> Mapping[str, Any]:
    own = {"id": "example", "text": {"en": "Example"}, "models": ["model"], **purpose}
    return {"purposes": [own, _OTHER]}


class PurposesCompatible(Check):
    """Are the data used only for purposes they may be used for?

    Why: Data collected for one purpose must not be processed further for an incompatible one
        (Art. 5(1)(b) GDPR); a model is the usual way in which that happens unnoticed.
    Method: From the manifests alone: each data set of the model that holds personal data (a subject
        key, or a column with a category) names in ``purposes`` what it may be used for. The model's
        purpose (``purpose``, else the purposes of its activities that list it, else the only one of
        its activities) must be among them, or must declare ``compatible_with`` one of them with an
        assessment under Art. 6(4) GDPR. Number: data sets without either, 0 or more, must be 0.
        Undefined where a data set names no purposes or the model's purpose is not clear. Source:
        Art. 5(1)(b), 6(4) GDPR.
    Leaves out: Whether the tags are right and the assessment convinces: both are people's
        statements. Uses that no manifest declares. Registers and lists that are read to honour
        wishes.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.MODEL
    controls = ("SEPARATION", "CONSENT")
    needs = ()
    remediation = (
        "Leave the data set out, or have the compatibility of the purposes assessed before it is "
        "used further: declare 'compatible_with' of the purpose with the assessment. Where it is "
        "not compatible, a new legal basis is needed."
    )
    examples = (
        Example("tagged for this purpose", Outcome.PASS, _tables("billing", "example")),
        Example(
            "the further purpose was assessed",
            Outcome.PASS,
            _tables("billing"),
            activity=_activity(
                compatible_with={"purpose": "billing", "assessment": "vault://assessment"}
            ),
        ),
        Example(
            "tagged for another purpose", Outcome.FAIL, _tables("billing"), activity=_activity()
        ),
        Example("no tags", Outcome.NOT_AVAILABLE, _tables()),
        Example(
            "two purposes, and none is named as the model's",
            Outcome.NOT_AVAILABLE,
            _tables("billing"),
            activity=_activity(models=[]),
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Nothing is read: declarations are compared."""
        return ()

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about all data sets of the model."""
        purposes, data_sets = _purposes(inputs), list(_data_sets(inputs))
        untagged = [one.id for one in data_sets if not one.purposes]
        wrong = [
            one.id
            for one in data_sets
            if one.purposes and not all(_allowed(purpose, one) for purpose in purposes)
        ]
        declare = [f"'purposes' of {name}" for name in untagged]
        declare += [] if purposes else ["'purpose' of the model"]
        if wrong:
            outcome = Outcome.FAIL
            explanation = f"Not meant for this purpose, and no assessment: {', '.join(wrong)}."
        elif not data_sets:
            outcome = Outcome.NOT_AVAILABLE
            explanation = "No data set of the model is declared to hold personal data."
        elif declare:
            outcome = Outcome.NOT_AVAILABLE
            explanation = "Purposes cannot be compared where none are declared."
        else:
            outcome = Outcome.PASS
            explanation = "Every data set may be used for the model's purpose."
        yield self.finding(
            inputs,
            outcome,
            explanation,
            measurements=[
                Measurement(name="data_sets", value=len(data_sets), unit="data sets"),
                Measurement(
                    name="data_sets_for_other_purposes",
                    value=len(wrong),
                    unit="data sets",
                    threshold=Threshold(value=0, operator="==", source="Art. 5(1)(b) GDPR"),
                ),
                Measurement(name="data_sets_without_tags", value=len(untagged), unit="data sets"),
            ],
            scope=f"manifests; purposes: {', '.join(p.id for p in purposes) or 'unclear'}",
            declare="; ".join(declare) if outcome is Outcome.NOT_AVAILABLE else "",
        )


def _purposes(inputs: Inputs) -> list[Purpose]:
    """The model's purposes: as it declares, as they list it, or the only one there is."""
    known = [purpose for activity in inputs.activities for purpose in activity.purposes]
    if inputs.model.purpose is not None:
        return [purpose for purpose in known if purpose.id == inputs.model.purpose]
    listing = [purpose for purpose in known if inputs.model.id in purpose.models]
    return listing or (known if len(known) == 1 else [])


def _data_sets(inputs: Inputs) -> Iterator[DataSet]:
    """Data sets of the model that hold personal data, each once."""
    ids = {
        key: None
        for role, keys in inputs.model.data.all.items()
        if role not in _HONOUR_WISHES
        for key in keys
    }
    for key in sorted(ids):
        data_set = inputs.world.data_sets.get(key)
        if data_set is not None and _personal(data_set):
            yield data_set


def _personal(data_set: DataSet) -> bool:
    return data_set.subject_key is not None or any(column.category for column in data_set.columns)


def _allowed(purpose: Purpose, data_set: DataSet) -> bool:
    known = purpose.compatible_with
    return purpose.id in data_set.purposes or (
        known is not None and known.purpose in data_set.purposes
    )
