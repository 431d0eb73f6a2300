"""Frozen models of everything that is declared in YAML; unknown keys are errors."""

from nachweis.domain.manifest.activity import Activity, ActivityStatus, Art9, LegalBasis, Purpose
from nachweis.domain.manifest.common import Origin, Party, Verdict, after, before, json_of, text_in
from nachweis.domain.manifest.dataset import Column, ColumnType, DataSet, DataSetRole, FieldRole
from nachweis.domain.manifest.governance import Attestation, Event, Waiver
from nachweis.domain.manifest.model import Model, ModelKind, ModelVersion, ProtectedAttribute, Stage
from nachweis.domain.manifest.organisation import Organisation, Policy
from nachweis.domain.manifest.suite import Expectation, Suite
from nachweis.domain.manifest.world import World

__all__ = [
    "Activity",
    "ActivityStatus",
    "Art9",
    "Attestation",
    "Column",
    "ColumnType",
    "DataSet",
    "DataSetRole",
    "Event",
    "Expectation",
    "FieldRole",
    "LegalBasis",
    "Model",
    "ModelKind",
    "ModelVersion",
    "Organisation",
    "Origin",
    "Party",
    "Policy",
    "ProtectedAttribute",
    "Purpose",
    "Stage",
    "Suite",
    "Verdict",
    "Waiver",
    "World",
    "after",
    "before",
    "json_of",
    "text_in",
]
