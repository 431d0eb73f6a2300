"""models/*.yaml: one governed model, its versions, data, decision and declared protection."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, model_validator

from nachweis.domain.manifest.activity import Art9
from nachweis.domain.manifest.common import (
    ColumnName,
    ContactPoint,
    Digest,
    Id,
    Manifest,
    Period,
    RoleRef,
    Text,
    Uri,
)


class ModelKind(StrEnum):
    """What a model puts out."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"
    RANKING = "ranking"
    UPLIFT = "uplift"
    SEGMENTATION = "segmentation"
    GENERATIVE = "generative"
    RULES = "rules"
    EXTERNAL_AUDIENCE = "external_audience"


class Stage(StrEnum):
    """Life of a model."""

    DRAFT = "draft"
    DEPLOYED = "deployed"
    RETIRED = "retired"


class ModelArtefact(Manifest):
    """The stored model file."""

    uri: Uri
    digest: Digest | None = None
    format: Literal["skops", "onnx", "pickle", "joblib", "native", "api"] = "skops"


class ModelSignature(Manifest):
    """A signature of the stored model in the format of OpenSSF Model Signing, and whose it is.

    Exactly one of ``public_key``, ``certificates`` and ``identity`` says who must have signed. Keys
    and certificates stand here as PEM text: a key that lies beside the signature can be replaced
    together with it.
    """

    uri: Uri
    """The bundle, for example ``models/churn/model.sig``."""
    public_key: str | None = Field(default=None, max_length=5000)
    """Public key of the signer (P-256, P-384 or P-521)."""
    certificates: str | None = Field(default=None, max_length=50_000)
    """Certificates that are trusted to have issued the signer's."""
    identity: str | None = Field(default=None, max_length=500)
    """Whose identity Sigstore vouched for (keyless); it is not verified without a network."""

    @model_validator(mode="after")
    def _whose(self) -> ModelSignature:
        if sum(one is not None for one in (self.public_key, self.certificates, self.identity)) != 1:
            raise ValueError("declare exactly one of public_key, certificates and identity")
        for name, text, what in (
            ("public_key", self.public_key, "PUBLIC KEY"),
            ("certificates", self.certificates, "CERTIFICATE"),
        ):
            if text is None:
                continue
            if "PRIVATE KEY" in text:
                raise ValueError(
                    f"{name}: this is a private key; replace it, and declare its public one"
                )
            if f"-----BEGIN {what}-----" not in text:
                raise ValueError(f"{name}: PEM text is expected, from -----BEGIN {what}----- on")
        return self


class TrainedOn(Manifest):
    """A data set snapshot a version was trained on."""

    data_set: Id
    version: str | None = None
    """Data-set version at training time; null means unpinned."""
    rows: int | None = None


class ErasedPeople(Manifest):
    """What happens to a version that learned from people who were erased since."""

    decision: Literal["keep", "retrain", "retire"]
    reason: Text
    decided_by: RoleRef
    decided_on: dt.date
    deadline: dt.date
    """By when it is done; for ``keep``, by when the decision is reviewed."""


class ModelVersion(Manifest):
    """One served version."""

    version: str = Field(min_length=1, max_length=100)
    live_from: dt.datetime | None = None
    live_to: dt.datetime | None = None
    traffic_share: float = Field(default=1.0, ge=0, le=1)
    artefact: ModelArtefact | None = None
    signature: ModelSignature | None = None
    trained_on: list[TrainedOn] = []
    trained_at: dt.date | None = None
    previous: str | None = None
    change: Text | None = None
    approved_by: RoleRef | None = None
    approved_on: dt.date | None = None
    code_version: str | None = None
    lock_file: Uri | None = None
    """Pinned dependencies the version was trained and is served with."""
    hyperparameters: dict[str, Any] = {}
    erased_people: ErasedPeople | None = None
    """Needed once people are erased whom the version learned from."""


class DecisionRule(Manifest):
    """How an output becomes a decision."""

    score_at_least: float | None = None
    positive: str | int | bool | None = None
    """The favourable prediction, for example 1 or "offer"."""
    text: Text | None = None


class Decision(Manifest):
    """What is decided, by whom, with which effect (Art. 22 GDPR)."""

    automation: Literal["none", "assist", "human_in_loop", "human_on_loop", "solely_automated"] = (
        "assist"
    )
    effect: Literal[
        "none", "marketing_content", "price", "access_to_service", "contract", "legal"
    ] = "none"
    score_used_by: Literal["internal", "third_party"] = "internal"
    ground: Literal["contract", "law", "explicit_consent"] | None = None
    safeguards: list[ContactPoint] = []
    special_category_inputs: bool = False
    explanation: Text | None = None
    """The procedure and principles actually applied, for the person concerned (Art. 15(1)(h))."""
    rule: DecisionRule = DecisionRule()


class ProtectedAttribute(Manifest):
    """An attribute for which groups are compared; never inferred."""

    id: Id
    column: ColumnName
    title: Text | None = None
    data_set: Id | None = None
    """Data set that holds it; default is the scoring log."""
    art9: Art9 | None = None
    bands: list[float] = []
    """Inner edges that turn a number into groups, for example [25, 40, 60]."""


class Oversight(Manifest):
    """How people stay in control."""

    roles: list[RoleRef] = []
    text: Text | None = None
    stop: Text | None = None
    """How the model is stopped."""
    reviews: Id | None = None
    """Data set with role reviews."""
    share_reviewed: float | None = Field(default=None, ge=0, le=1)


class AiAct(Manifest):
    """Role and class under Regulation (EU) 2024/1689."""

    role: Literal["provider", "deployer", "provider_and_deployer", "none"]
    risk_class: Literal["minimal", "transparency", "high", "prohibited"]
    annex_iii_point: str | None = None
    reasoning: Text | None = None
    disclosure: Text | None = None


class ModelData(Manifest):
    """Data sets of a model, by role."""

    training: list[Id] = []
    evaluation: Id | None = None
    reference: Id | None = None
    """Out-of-sample scored data; without it drift is not available."""
    scoring_log: Id | None = None
    outcomes: Id | None = None
    features: list[Id] = []
    sources: list[Id] = []
    dialogues: Id | None = None
    suppression_list: Id | None = None
    objections: Id | None = None
    erasure_ledger: Id | None = None

    @property
    def all(self) -> dict[str, list[str]]:
        """Field name to the ids it names, empty ones left out."""
        found: dict[str, list[str]] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value:
                found[name] = [value] if isinstance(value, str) else list(value)
        return found


class CurrentWindow(Manifest):
    """Which rows count as current."""

    window: Period = "P1D"
    min_rows: int = Field(default=500, ge=1)
    extend_to: Period = "P7D"


class OutcomeRule(Manifest):
    """How the truth is learned later."""

    positive: str | int | bool | None = None
    label_delay: Period = "P0D"
    join_key: ColumnName | None = None


class Metric(Manifest):
    """A declared quality metric and why it fits (Annex IV no. 4)."""

    id: Id
    value: float | None = None
    on: Id | None = None
    rationale: Text | None = None


EVIDENTLY_METRICS: Mapping[str, frozenset[str]] = {
    "AlmostConstantColumnsCount": frozenset(),
    "AlmostDuplicatedColumnsCount": frozenset(),
    "CategoryCount": frozenset({"category", "categories"}),
    "ConstantColumnsCount": frozenset(),
    "DatasetMissingValueCount": frozenset(),
    "DriftedColumnsCount": frozenset(
        {"drift_share", "method", "cat_method", "num_method", "threshold"}
    ),
    "DuplicatedColumnsCount": frozenset(),
    "DuplicatedRowCount": frozenset(),
    "EmptyColumnsCount": frozenset(),
    "EmptyRowsCount": frozenset(),
    "InListValueCount": frozenset({"values"}),
    "InRangeValueCount": frozenset({"left", "right"}),
    "MeanValue": frozenset(),
    "MissingValueCount": frozenset(),
    "OutListValueCount": frozenset({"values"}),
    "OutRangeValueCount": frozenset({"left", "right"}),
    "StdValue": frozenset(),
    "ValueDrift": frozenset({"method", "threshold"}),
}
"""Evidently metrics that a manifest may name, with their options. Left out are those whose value is
a value of the data (extrema, quantiles, rare categories) and those that need outcomes, for which
there are checks that wait until outcomes have arrived."""

EVIDENTLY_WHOLE_TABLE = frozenset(
    {
        "AlmostConstantColumnsCount",
        "AlmostDuplicatedColumnsCount",
        "ConstantColumnsCount",
        "DatasetMissingValueCount",
        "DriftedColumnsCount",
        "DuplicatedColumnsCount",
        "DuplicatedRowCount",
        "EmptyColumnsCount",
        "EmptyRowsCount",
    }
)
"""Those that look at all features instead of one column."""


class EvidentlyMetric(Manifest):
    """A metric of Evidently, by its name there, with the limits that the organisation sets."""

    metric: str
    column: ColumnName | None = None
    """Column of the scoring log; left out for metrics of the whole table."""
    options: dict[str, str | bool | int | float | list[str | int | float]] = {}
    part: Literal["value", "count", "share"] = "value"
    """Which number the limits are for, where the metric has a count and a share; ``value`` is the
    share there."""
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _known(self) -> EvidentlyMetric:
        options = EVIDENTLY_METRICS.get(self.metric)
        if options is None:
            raise ValueError(
                f"metric: {self.metric!r} is none of {', '.join(sorted(EVIDENTLY_METRICS))}"
            )
        unknown = sorted(set(self.options) - options)
        if unknown:
            raise ValueError(
                f"options: {self.metric} has no {', '.join(unknown)}; it has "
                f"{', '.join(sorted(options)) or 'none'}"
            )
        whole = self.metric in EVIDENTLY_WHOLE_TABLE
        if whole is (self.column is not None):
            needs = "looks at all features and takes no" if whole else "needs a"
            raise ValueError(f"column: {self.metric} {needs} column")
        if self.at_least is None and self.at_most is None:
            raise ValueError("at_least or at_most: without a limit nothing can be found")
        return self


class RetrainPolicy(Manifest):
    """Planned changes (Annex IV no. 2(f))."""

    trigger: Text
    limits: Text | None = None


class DesignDecision(Manifest):
    """A choice made at design time (Art. 25 GDPR, Annex IV no. 2(b))."""

    date: dt.date
    options: Text
    choice: Text
    reason: Text


class Dialogue(Manifest):
    """What a generative model must never write."""

    markers: list[str] = []
    """Canaries planted in the system prompt; an answer that holds one has leaked it."""
    forbidden: list[str] = []
    """Patterns (RE2) that answers must never match, for example an internal tool's name."""

    @model_validator(mode="after")
    def _usable(self) -> Dialogue:
        if any(len(marker.strip()) < 6 for marker in self.markers):
            raise ValueError("a marker needs at least 6 characters, or ordinary texts hold it")
        for pattern in self.forbidden:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"forbidden: not a regular expression ({error.msg})") from error
        return self


class Gate(Manifest):
    """What deployment tooling shall do with a hold."""

    advisory: bool = True
    on_stale: Literal["open", "hold"] = "open"


class Model(Manifest):
    """One governed model. Eight fields suffice for a draft; documents are then stamped so."""

    id: Id
    title: Text
    kind: ModelKind
    unit: Literal["person", "household", "session", "segment"]
    stage: Stage
    owner: RoleRef
    activities: list[Id] = Field(min_length=1)
    data: ModelData

    intended_purpose: Text | None = None
    purpose: Id | None = None
    """Purpose of the activity this model serves; default is the only one that lists it."""
    versions: list[ModelVersion] = []
    decision: Decision | None = None
    features: list[ColumnName] = []
    """Inputs; default is every column with ``feature: true`` of the scoring log."""
    protected_attributes: list[ProtectedAttribute] = []
    intersections: list[list[Id]] = []
    outcome: OutcomeRule = OutcomeRule()
    current: CurrentWindow = CurrentWindow()
    oversight: Oversight | None = None
    ai_act: AiAct | None = None
    limits: Text | None = None
    objective: Text | None = None
    trade_offs: Text | None = None
    interfaces: list[Text] = []
    delivery: list[str | Text] = []
    hardware: str | Text | None = None
    user_interface: Text | None = None
    """What the deployer's staff see and can do (Annex IV no. 1(g))."""
    instructions_for_use: Text | None = None
    """What the deployer has to know and do, or where it is written (Annex IV no. 1(h))."""
    base_models: list[str | Text] = []
    tools: list[str] = []
    metrics: list[Metric] = []
    evidently: list[EvidentlyMetric] = []
    """Metrics that are computed every night on a seeded sample of the scoring log."""
    retrain_policy: RetrainPolicy | None = None
    design: list[DesignDecision] = []
    standards: list[str] = []
    risks: list[Text] = []
    languages: list[str] = []
    dialogue: Dialogue | None = None
    gate: Gate = Gate()
    checks: dict[str, dict[str, Any]] = {}
    """Check id to parameters; ``not_applicable: {reason}`` states why a check does not apply."""

    @model_validator(mode="after")
    def _complete(self) -> Model:
        attributes = {attribute.id for attribute in self.protected_attributes}
        for group in self.intersections:
            unknown = sorted(set(group) - attributes)
            if unknown:
                raise ValueError(
                    f"intersections: {', '.join(unknown)} not among protected_attributes"
                )
        if self.stage is Stage.DEPLOYED:
            absent = [
                name
                for name in ("intended_purpose", "versions", "decision", "oversight", "ai_act")
                if not getattr(self, name)
            ]
            if absent:
                raise ValueError(f"a deployed model also needs {', '.join(absent)}")
        return self

    def served_on(self, moment: dt.datetime) -> list[ModelVersion]:
        """Versions with traffic at a moment.

        Args:
            moment: Aware datetime.

        Returns:
            Served versions in declared order; naive live dates are read as UTC.
        """

        def aware(value: dt.datetime) -> dt.datetime:
            return value if value.tzinfo else value.replace(tzinfo=dt.UTC)

        return [
            version
            for version in self.versions
            if version.live_from is not None
            and aware(version.live_from) <= moment
            and (version.live_to is None or moment < aware(version.live_to))
            and version.traffic_share > 0
        ]
