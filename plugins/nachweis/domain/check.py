"""The check contract: one file, one class, one statement that is true or false.

A check has two phases. ``observe`` returns requests of the closed set in
:mod:`nachweis.domain.observation`; ``judge`` is a pure function from their results to findings.
A check never loads, writes, alerts or raises for bad data. The class is validated when it is
defined, and its examples are executed by the contract test and again in each night's plan.
"""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar

from nachweis.domain.errors import CheckDefinitionError, suggestion
from nachweis.domain.finding import (
    Finding,
    Measurement,
    Outcome,
    Severity,
    Subject,
    SubjectKind,
    Threshold,
)
from nachweis.domain.manifest import (
    Activity,
    DataSet,
    DataSetRole,
    Event,
    FieldRole,
    Model,
    ModelKind,
    World,
)
from nachweis.domain.night import Night
from nachweis.domain.observation import Observations, Request, Source, WindowName

_GROWING_ROLES = frozenset(
    {
        DataSetRole.SCORING_LOG,
        DataSetRole.OUTCOMES,
        DataSetRole.REVIEWS,
        DataSetRole.DIALOGUES,
        DataSetRole.ACCESS_LOG,
    }
)


class Lifecycle(StrEnum):
    """How settled a check is."""

    EXPERIMENTAL = "experimental"
    STABLE = "stable"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True)
class Param:
    """A limit or choice that policy.yaml and manifests may change.

    Attributes:
        name: Name under which manifests set it.
        default: Value if nobody sets it; its type is the type manifests must give.
        unit: What the number counts.
        source: Where the default comes from: a law, a rule, a library, or this project.
        description: What it does, in one sentence.
        minimum: Smallest allowed number.
        maximum: Largest allowed number.
        choices: Allowed values, for texts.
    """

    name: str
    default: float | int | bool | str
    unit: str
    source: str
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    def problem(self, value: Any) -> str:
        """Why a value is not allowed, or an empty string."""
        if isinstance(self.default, bool):
            return "" if isinstance(value, bool) else "must be true or false"
        if isinstance(self.default, int | float):
            if isinstance(value, bool) or not isinstance(value, int | float):
                return "must be a number"
            if isinstance(self.default, int) and not isinstance(value, int):
                return "must be a whole number"
            if self.minimum is not None and value < self.minimum:
                return f"must be at least {self.minimum}"
            if self.maximum is not None and value > self.maximum:
                return f"must be at most {self.maximum}"
            return ""
        if not isinstance(value, str):
            return "must be a text"
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}"
        return ""


@dataclass(frozen=True, slots=True)
class Effective:
    """A parameter's value and who set it."""

    value: Any
    source: str


@dataclass(frozen=True)
class Inputs:
    """What a check may know without looking at data.

    Attributes:
        world: All manifests.
        subject: What the check is about.
        night: The night.
        params: Effective parameters of this check for this subject.
    """

    world: World
    subject: Subject
    night: Night
    params: Mapping[str, Effective] = field(default_factory=dict)

    def param(self, name: str) -> Any:
        """Effective value of a parameter."""
        return self.params[name].value

    def threshold(self, name: str, operator: str) -> Threshold:
        """A parameter as a printed limit with its source."""
        effective = self.params[name]
        return Threshold(value=effective.value, operator=operator, source=effective.source)

    @cached_property
    def model(self) -> Model:
        """The model, for checks about models."""
        return self.world.models[self.subject.id]

    @cached_property
    def data_set(self) -> DataSet:
        """The data set, for checks about data sets."""
        return self.world.data_sets[self.subject.id]

    @cached_property
    def activities(self) -> list[Activity]:
        """Activities of the model or, for a data set, of the models that use it."""
        if self.subject.kind is SubjectKind.MODEL:
            return self.world.activities_of(self.subject.id)
        if self.subject.kind is SubjectKind.ACTIVITY:
            return [self.world.activities[self.subject.id]]
        found = {
            activity.id: activity
            for model in self.world.models_using(self.subject.id)
            for activity in self.world.activities_of(model.id)
        }
        for activity in self.world.activities.values():
            if any(r.name == self.subject.id for rule in activity.retention for r in rule.datasets):
                found[activity.id] = activity
        return [found[key] for key in sorted(found)]

    @cached_property
    def rows_in_question(self) -> Source:
        """Rows that a check about a data set looks at.

        The rows of the night where a data set grows by the night (one partition per night, or a
        log with a time column), else all rows.
        """
        data_set = self.data_set
        nightly = data_set.partitioned_by_night or (
            data_set.role in _GROWING_ROLES and data_set.time is not None
        )
        return Source(data_set.id, "night" if nightly else "whole")

    def data(self, role: str) -> DataSet | None:
        """The model's data set in a role of ``ModelData``, for example ``scoring_log``."""
        ids = self.model.data.all.get(role, [])
        return self.world.data_sets.get(ids[0]) if ids else None

    def source(self, role: str, window: WindowName = "whole") -> Source:
        """A window on the model's data set in a role; the need must have been declared."""
        data_set = self.data(role)
        if data_set is None:
            raise KeyError(role)
        return Source(data_set.id, window)

    @cached_property
    def pseudonymised_columns(self) -> list[str]:
        """Columns of the data set whose category an activity declares as pseudonymised."""
        categories = {
            category.id
            for activity in self.activities
            for category in activity.data_categories
            if category.pseudonymised
        }
        return [column.name for column in self.data_set.columns if column.category in categories]

    @property
    def reviews(self) -> DataSet | None:
        """The data set with reviews of the model's decisions by people."""
        declared = self.model.oversight.reviews if self.model.oversight else None
        return self.world.data_sets.get(declared) if declared else None

    def events(self) -> list[Event]:
        """Declared events that cover this night and this model."""
        return [
            event
            for _, event in sorted(self.world.events.items())
            if event.covers(self.night.date)
            and (not event.models or self.subject.id in event.models)
        ]

    @cached_property
    def feature_names(self) -> list[str]:
        """The model's inputs: as declared, else columns marked ``feature`` of its scoring log."""
        if self.model.features:
            return list(self.model.features)
        log = self.data("scoring_log")
        return [column.name for column in log.columns if column.feature] if log else []


@dataclass(frozen=True, slots=True)
class Need:
    """Something that must be declared before a check can run.

    Attributes:
        id: Name.
        met: Whether the manifests supply it.
        declare: What to declare otherwise.
    """

    id: str
    met: Callable[[Inputs], bool]
    declare: str


def _model_field(data: str, *roles: FieldRole) -> Callable[[Inputs], bool]:
    def met(inputs: Inputs) -> bool:
        data_set = inputs.data(data)
        return data_set is not None and all(data_set.field(role) for role in roles)

    return met


class Needs:
    """The closed vocabulary of needs."""

    SUITE = Need(
        "suite",
        lambda inputs: inputs.world.suite_of(inputs.data_set) is not None,
        "an expectation suite for this data set in expectations/",
    )
    COLUMNS = Need(
        "columns",
        lambda inputs: bool(inputs.data_set.columns),
        "the data set's columns with their types",
    )
    RETENTION = Need(
        "retention",
        lambda inputs: any(
            retained.name == inputs.subject.id
            for activity in inputs.activities
            for rule in activity.retention
            for retained in rule.datasets
        ),
        "a retention rule of an activity that lists this data set and its time column",
    )
    PERMISSION_REGISTER = Need(
        "permission_register",
        lambda inputs: (
            inputs.data_set.permission is not None and inputs.data_set.subject_key is not None
        ),
        "'permission' (register, purpose, phase) and 'subject_key' of the data set",
    )
    SUBJECT_KEY = Need(
        "subject_key",
        lambda inputs: inputs.data_set.subject_key is not None,
        "the data set's 'subject_key'",
    )
    ERASURE_LEDGER = Need(
        "erasure_ledger",
        lambda inputs: any(
            data_set.role is DataSetRole.ERASURE_LEDGER and data_set.subject_key is not None
            for data_set in inputs.world.data_sets.values()
        ),
        "a data set with role erasure_ledger and its 'subject_key'",
    )
    SCORING_LOG = Need(
        "scoring_log",
        lambda inputs: inputs.data("scoring_log") is not None,
        "'data.scoring_log' of the model",
    )
    REFERENCE = Need(
        "reference",
        lambda inputs: inputs.data("reference") is not None,
        "'data.reference': out-of-sample scored data of the approved version",
    )
    FEATURES = Need(
        "features",
        lambda inputs: bool(inputs.feature_names),
        "'features' of the model, or 'feature: true' on columns of its scoring log",
    )
    PREDICTIONS = Need(
        "predictions",
        _model_field("scoring_log", FieldRole.PREDICTION),
        "'fields.prediction' of the scoring log",
    )
    SCORE_OR_PREDICTION = Need(
        "score_or_prediction",
        lambda inputs: (
            _model_field("scoring_log", FieldRole.SCORE)(inputs)
            or _model_field("scoring_log", FieldRole.PREDICTION)(inputs)
        ),
        "'fields.score' or 'fields.prediction' of the scoring log",
    )
    POSITIVE = Need(
        "positive",
        lambda inputs: (
            inputs.model.decision is not None and inputs.model.decision.rule.positive is not None
        ),
        "'decision.rule.positive': the favourable prediction",
    )
    OUTCOMES = Need(
        "outcomes",
        _model_field("outcomes", FieldRole.LABEL, FieldRole.KEY),
        "'data.outcomes' with fields key and label",
    )
    LOG_KEY = Need(
        "log_key",
        _model_field("scoring_log", FieldRole.KEY),
        "'fields.key' of the scoring log",
    )
    PROTECTED_ATTRIBUTES = Need(
        "protected_attributes",
        lambda inputs: bool(inputs.model.protected_attributes),
        "'protected_attributes' of the model; attributes are never inferred",
    )
    SELECTION_OR_CONTACTS = Need(
        "selection_or_contacts",
        lambda inputs: (
            _model_field("scoring_log", FieldRole.CONTACTED)(inputs)
            or (Needs.PREDICTIONS.met(inputs) and Needs.POSITIVE.met(inputs))
        ),
        "'fields.prediction' of the scoring log and 'decision.rule.positive', or "
        "'fields.contacted' of the scoring log",
    )
    LOG_SUBJECT_KEY = Need(
        "log_subject_key",
        lambda inputs: (
            (log := inputs.data("scoring_log")) is not None and log.subject_key is not None
        ),
        "'subject_key' of the scoring log",
    )
    CONTACTS = Need(
        "contacts",
        _model_field("scoring_log", FieldRole.CONTACTED),
        "'fields.contacted' of the scoring log",
    )
    CONTACT_PERMISSION = Need(
        "contact_permission",
        lambda inputs: (
            (log := inputs.data("scoring_log")) is not None
            and log.contact_permission is not None
            and log.subject_key is not None
        ),
        "'contact_permission' (register) and 'subject_key' of the scoring log",
    )

    REFERENCE_TIME = Need(
        "reference_time",
        lambda inputs: (found := inputs.data("reference")) is not None and found.time is not None,
        "'time' of the reference",
    )
    SAMPLE_KEYS = Need(
        "sample_keys",
        lambda inputs: all(
            (found := inputs.data(role)) is not None
            and bool(found.field(FieldRole.KEY) or found.subject_key)
            for role in ("reference", "scoring_log")
        ),
        "'fields.key' or 'subject_key' of the scoring log and of the reference, to sample rows by",
    )
    EVIDENTLY_METRICS = Need(
        "evidently",
        lambda inputs: bool(inputs.model.evidently),
        "'evidently' of the model: metrics by their names, with limits",
    )
    DIALOGUE_TEXT = Need(
        "dialogue_text",
        lambda inputs: (
            _model_field("dialogues", FieldRole.TEXT)(inputs)
            and (found := inputs.data("dialogues")) is not None
            and found.time is not None
            and bool(found.field(FieldRole.KEY) or found.subject_key)
        ),
        "'data.dialogues' with 'time', the field text, and the field key or 'subject_key'",
    )
    TIME = Need(
        "time",
        lambda inputs: inputs.data_set.time is not None,
        "'time': the column that places a row in time",
    )
    NIGHTLY = Need(
        "nightly",
        lambda inputs: inputs.rows_in_question.window == "night",
        "'{date}' in the location (one partition per night), or the 'time' column of a log",
    )
    ROW_IDENTITY = Need(
        "row_identity",
        lambda inputs: (
            inputs.data_set.field(FieldRole.KEY) is not None
            or (inputs.data_set.subject_key is not None and inputs.data_set.time is not None)
        ),
        "'fields.key' (one value per row), or 'subject_key' and 'time'",
    )
    LOG = Need(
        "log",
        lambda inputs: (inputs.data("scoring_log") or inputs.data("dialogues")) is not None,
        "'data.scoring_log' or, for dialogues, 'data.dialogues' of the model",
    )
    TRAINING = Need(
        "training",
        lambda inputs: inputs.data("training") is not None,
        "'data.training' of the model",
    )
    TRAINING_LABEL = Need(
        "training_label",
        lambda inputs: any(
            inputs.world.data_sets[key].field(FieldRole.LABEL)
            for key in inputs.model.data.training
            if key in inputs.world.data_sets
        ),
        "'fields.label' of a training set of the model",
    )
    HELD_OUT = Need(
        "held_out",
        lambda inputs: (inputs.data("evaluation") or inputs.data("reference")) is not None,
        "'data.evaluation' or 'data.reference' of the model",
    )

    SCORES = Need(
        "scores",
        _model_field("scoring_log", FieldRole.SCORE),
        "'fields.score' of the scoring log",
    )
    LOG_TIME = Need(
        "log_time",
        lambda inputs: (log := inputs.data("scoring_log")) is not None and log.time is not None,
        "'time' of the scoring log",
    )
    ARM = Need(
        "arm",
        _model_field("scoring_log", FieldRole.ARM),
        "'fields.arm' of the scoring log: who was treated and who belongs to the hold-out",
    )
    RANKED_LISTS = Need(
        "ranked_lists",
        _model_field("scoring_log", FieldRole.QUERY, FieldRole.RANK),
        "'fields.query' and 'fields.rank' of the scoring log",
    )
    REFERENCE_LABELS = Need(
        "reference_labels",
        _model_field("reference", FieldRole.LABEL),
        "'fields.label' of the reference: the outcomes of its rows",
    )

    LABEL = Need(
        "label",
        lambda inputs: inputs.data_set.field(FieldRole.LABEL) is not None,
        "'fields.label' of the data set",
    )
    TRAINING_FEATURES = Need(
        "training_features",
        lambda inputs: any(column.feature for column in inputs.data_set.columns),
        "'feature: true' on the columns that models read",
    )
    CONTRIBUTOR = Need(
        "contributor",
        lambda inputs: inputs.data_set.field(FieldRole.SOURCE) is not None,
        "'fields.source' of the data set: who or what contributed each row",
    )
    CONTRIBUTOR_OR_TIME = Need(
        "contributor_or_time",
        lambda inputs: (
            inputs.data_set.field(FieldRole.SOURCE) is not None or inputs.data_set.time is not None
        ),
        "'fields.source' or 'time' of the data set",
    )
    CALLER = Need(
        "caller",
        lambda inputs: (
            (log := inputs.data("scoring_log")) is not None
            and (log.field(FieldRole.CALLER) is not None or log.subject_key is not None)
        ),
        "'fields.caller' or 'subject_key' of the scoring log",
    )
    TRAINED_ON = Need(
        "trained_on",
        lambda inputs: any(version.trained_on for version in inputs.model.versions),
        "'versions[].trained_on' of the model",
    )
    ARTEFACT = Need(
        "artefact",
        lambda inputs: any(version.artefact for version in inputs.model.versions),
        "'versions[].artefact' of the model: uri, digest and format",
    )
    MODEL_SIGNATURE = Need(
        "model_signature",
        lambda inputs: any(version.signature for version in inputs.model.versions),
        "'versions[].signature' of the model: uri of the bundle, and public_key or certificates",
    )
    CONTROLLED_FIELDS = Need(
        "controlled_fields",
        lambda inputs: any(
            column.customer_controlled and not column.immutable
            for role in ("reference", "scoring_log")
            if (data_set := inputs.data(role)) is not None
            for column in data_set.columns
        ),
        "'customer_controlled: true' (and 'step') on columns that the person scored can change",
    )
    LOCK_FILE = Need(
        "lock_file",
        lambda inputs: any(version.lock_file for version in inputs.model.versions),
        "'versions[].lock_file' of the model",
    )
    VULNERABILITY_FEED = Need(
        "vulnerability_feed",
        lambda inputs: inputs.world.policy.vulnerability_feed is not None,
        "'vulnerability_feed' in policy.yaml: a copy of a vulnerability database in OSV format",
    )
    DIALOGUE_TURNS = Need(
        "dialogue_turns",
        _model_field("dialogues", FieldRole.TEXT, FieldRole.SOURCE, FieldRole.CONVERSATION),
        "'data.dialogues' with fields text, source (the speaker) and conversation",
    )
    DIALOGUE_MARKERS = Need(
        "dialogue_markers",
        lambda inputs: (
            inputs.model.dialogue is not None
            and bool(inputs.model.dialogue.markers or inputs.model.dialogue.forbidden)
        ),
        "'dialogue.markers' (canaries of the system prompt) or 'dialogue.forbidden'",
    )

    RELEASE = Need(
        "release",
        lambda inputs: inputs.data_set.release is not None,
        "'release' (quasi_identifiers, sensitive, k, l, t) of a data set that is given away",
    )
    PSEUDONYMISED = Need(
        "pseudonymised",
        lambda inputs: (
            inputs.data_set.identifiability in {"pseudonymised", "anonymised"}
            or bool(inputs.pseudonymised_columns)
        ),
        "'identifiability: pseudonymised' of the data set, or a data category of an activity with "
        "'pseudonymised: true' that one of its columns belongs to",
    )
    IDENTIFIABILITY = Need(
        "identifiability",
        lambda inputs: inputs.data_set.identifiability is not None,
        "'identifiability' of the data set: identified, pseudonymised or anonymised",
    )
    TRAINING_SCORES = Need(
        "training_scores",
        lambda inputs: (
            _model_field("training", FieldRole.SCORE)(inputs)
            and _model_field("reference", FieldRole.SCORE)(inputs)
        ),
        "'fields.score' of both the training set and the reference: scores of one version",
    )
    TURN_TEXTS = Need(
        "turn_texts",
        _model_field("dialogues", FieldRole.TEXT, FieldRole.SOURCE),
        "'data.dialogues' with fields text and source (the speaker of a turn)",
    )
    TURNS_IN_ORDER = Need(
        "turns_in_order",
        lambda inputs: (
            _model_field("dialogues", FieldRole.TEXT, FieldRole.SOURCE, FieldRole.CONVERSATION)(
                inputs
            )
            and inputs.data("dialogues").time is not None  # type: ignore[union-attr]
        ),
        "'data.dialogues' with 'time' and fields text, source (the speaker) and conversation",
    )
    DISCLOSURE = Need(
        "disclosure",
        lambda inputs: bool(inputs.model.ai_act and inputs.model.ai_act.disclosure),
        "'ai_act.disclosure' of the model: the words in which people are told, per language",
    )
    REQUESTS_FOR_A_PERSON = Need(
        "requests_for_a_person",
        lambda inputs: bool(
            (found := inputs.data("dialogues"))
            and found.turns
            and found.turns.asks_for_person
            and (found.turns.staff or found.field(FieldRole.HANDED_OVER))
        ),
        "'turns.asks_for_person' of the dialogues, and 'fields.handed_over' or 'turns.staff'",
    )
    REVIEWS = Need(
        "reviews",
        lambda inputs: (
            (found := inputs.reviews) is not None
            and found.field(FieldRole.KEY) is not None
            and found.field(FieldRole.REVIEWER) is not None
        ),
        "'oversight.reviews' of the model: a data set with fields key and reviewer",
    )
    EMPLOYEE_MONITORING = Need(
        "employee_monitoring",
        lambda inputs: inputs.world.organisation.employee_monitoring is not None,
        "'employee_monitoring' (agreement_ref or reason, staff_informed_on) in organisation.yaml",
    )

    FORBIDDING_LIST = Need(
        "forbidding_list",
        lambda inputs: (inputs.data("objections") or inputs.data("suppression_list")) is not None,
        "'data.objections' or 'data.suppression_list' of the model",
    )
    CHILD_CONSENT = Need(
        "child_consent",
        lambda inputs: all(
            inputs.data_set.field(role)
            for role in (
                FieldRole.BASIS,
                FieldRole.COUNTRY,
                FieldRole.GIVEN_AT,
                FieldRole.WITHDRAWN_AT,
                FieldRole.BORN_ON,
            )
        ),
        "fields basis, country, given_at, withdrawn_at and born_on of the register of permissions",
    )
    SOFT_OPT_IN = Need(
        "soft_opt_in",
        lambda inputs: (
            (log := inputs.data("scoring_log")) is not None
            and log.contact_permission is not None
            and (register := inputs.world.data_sets.get(log.contact_permission.register_))
            is not None
            and all(
                register.field(role)
                for role in (FieldRole.BASIS, FieldRole.SALE_AT, FieldRole.OBJECTION_NOTICE)
            )
        ),
        "fields basis, sale_at and objection_notice of the register of permissions",
    )
    REQUEST_TIMES = Need(
        "request_times",
        lambda inputs: all(
            inputs.data_set.field(role) for role in (FieldRole.RECEIVED_AT, FieldRole.ANSWERED_AT)
        ),
        "'fields.received_at' and 'fields.answered_at' of the data set of requests",
    )
    ACTOR = Need(
        "actor",
        lambda inputs: inputs.data_set.field(FieldRole.ACTOR) is not None,
        "'fields.actor' of the access log",
    )
    READERS = Need(
        "readers",
        lambda inputs: (
            bool(inputs.data_set.access and inputs.data_set.access.readers)
            or any(
                recipient.access_roles
                for activity in inputs.world.activities.values()
                for recipient in activity.recipients
            )
        ),
        "'recipients[].access_roles' of an activity, or 'access.readers' of the access log",
    )
    REGION = Need(
        "region",
        lambda inputs: inputs.data_set.field(FieldRole.REGION) is not None,
        "'fields.region' of the access log",
    )
    REGIONS = Need(
        "regions",
        lambda inputs: bool(inputs.data_set.access and inputs.data_set.access.regions),
        "'access.regions' of the access log, as the log writes them",
    )

    @classmethod
    def all(cls) -> list[Need]:
        """Every need, by name."""
        return [value for _, value in sorted(vars(cls).items()) if isinstance(value, Need)]


@dataclass(frozen=True)
class ExampleTable:
    """A small data set of an example, held in memory.

    Attributes:
        role: Role of the data set.
        rows: Column name to values (None = missing); all of equal length.
        declare: Further fields of the data set's manifest.
    """

    role: DataSetRole
    rows: Mapping[str, list[Any]]
    declare: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """A small executable case of a check.

    Attributes:
        title: What is the case, in a few words.
        outcome: Worst outcome the check must give.
        tables: Data-set id to table. For a check about a data set, the first one is the subject;
            for a check about a model, ids equal to the fields of ``ModelData`` are wired to it.
        model: Fields laid over a minimal draft model.
        activity: Fields laid over a minimal activity.
        organisation: Fields laid over a minimal organisation.
        suite: Expectations of the subject's suite, as in a suite file.
        params: Parameters laid over the defaults.
        history: Earlier nights' findings for a History request, newest first.
        files: Contents of files that the model names, by URI.
        policy: Fields laid over an empty policy.
        environment: Values for secrets that data sets name by ``key_env``.
        night: The night.
    """

    title: str
    outcome: Outcome
    tables: Mapping[str, ExampleTable]
    model: Mapping[str, Any] = field(default_factory=dict)
    activity: Mapping[str, Any] = field(default_factory=dict)
    organisation: Mapping[str, Any] = field(default_factory=dict)
    suite: tuple[Mapping[str, Any], ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Any, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    night: str = "2026-03-02"


_SECTION = re.compile(r"^(Why|Method|Leaves out):\s*", re.MULTILINE)
_REQUIRED = ("severity", "lifecycle", "subject", "controls", "needs", "remediation", "examples")


class Check(ABC):
    """Base class of all checks.

    A subclass's docstring begins with the question it answers and has the sections ``Why:``,
    ``Method:`` (formula, unit, range, where it is undefined, source) and ``Leaves out:``.
    """

    severity: ClassVar[Severity]
    lifecycle: ClassVar[Lifecycle]
    subject: ClassVar[SubjectKind]
    controls: ClassVar[tuple[str, ...]]
    needs: ClassVar[tuple[Need, ...]]
    remediation: ClassVar[str]
    examples: ClassVar[tuple[Example, ...]]
    params: ClassVar[tuple[Param, ...]] = ()
    waivable: ClassVar[bool] = True
    carries_over: ClassVar[bool] = False
    """Whether findings depend on nothing but whole data sets and declarations, not on the night, so
    that they can count again while these are unchanged."""
    model_kinds: ClassVar[frozenset[ModelKind]] = frozenset(ModelKind)
    data_set_roles: ClassVar[frozenset[DataSetRole]] = frozenset(DataSetRole)
    aliases: ClassVar[tuple[str, ...]] = ()

    id: ClassVar[str]
    family: ClassVar[str]
    question: ClassVar[str]
    why: ClassVar[str]
    method: ClassVar[str]
    leaves_out: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        where = f"{cls.__module__}.{cls.__qualname__}"

        def refuse(what: str, remedy: str, valid: Iterable[str] = ()) -> None:
            raise CheckDefinitionError(what, where=where, remedy=remedy, valid=valid)

        if inspect.isabstract(cls):
            return
        for name in _REQUIRED:
            if not hasattr(cls, name):
                refuse(f"the check lacks {name!r}", f"set the class attribute {name!r}")
        parts = cls.__module__.split(".")
        cls.id = parts[-1]
        cls.family = parts[-2] if len(parts) > 1 else ""
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", cls.id):
            refuse(
                f"the id {cls.id!r} is not a statement in snake case",
                "name the file as a statement, for example feature_distribution_stable.py",
            )
        document = inspect.cleandoc(cls.__doc__ or "")
        question = document.split("\n", 1)[0].strip()
        if not question.endswith("?"):
            refuse("the docstring's first line is not a question", "end its first line with '?'")
        pieces = _SECTION.split(document)
        sections = dict(zip(pieces[1::2], pieces[2::2], strict=True))
        for name in ("Why", "Method", "Leaves out"):
            if not sections.get(name, "").strip():
                refuse(f"the docstring lacks the section '{name}:'", f"add a line '{name}: ...'")
        cls.question = question
        cls.why = " ".join(sections["Why"].split())
        cls.method = " ".join(sections["Method"].split())
        cls.leaves_out = " ".join(sections["Leaves out"].split())
        for name, vocabulary in (("severity", Severity), ("lifecycle", Lifecycle)):
            if not isinstance(getattr(cls, name), vocabulary):
                refuse(f"{name} is not one of {vocabulary.__name__}", "use a member", vocabulary)
        if not cls.controls:
            refuse("controls is empty", "name at least one control of controls/")
        if not cls.remediation.strip():
            refuse("remediation is empty", "say what a person should do when it fails")
        known = Needs.all()
        for need in cls.needs:
            if need not in known:
                refuse(f"unknown need {need!r}", "use a member of Needs", (n.id for n in known))
        names = [param.name for param in cls.params]
        if len(set(names)) != len(names):
            refuse("a parameter is defined twice", "give each parameter its own name")
        for param in cls.params:
            if not param.source or not param.unit:
                refuse(f"parameter {param.name!r} lacks unit or source", "state both")
            if problem := param.problem(param.default):
                refuse(f"parameter {param.name!r}: the default {problem}", "correct the default")
        outcomes = {example.outcome for example in cls.examples}
        unlooked = {Outcome.NOT_AVAILABLE, Outcome.NOT_APPLICABLE}
        if Outcome.PASS not in outcomes or Outcome.FAIL not in outcomes or not outcomes & unlooked:
            refuse(
                "examples must hold a passing, a failing and a not-available case",
                "add the missing Example(outcome=...)",
            )

    @abstractmethod
    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Say what must be looked at.

        Args:
            inputs: Declared facts; all needs are met.

        Returns:
            Requests with names unique within this check.
        """

    @abstractmethod
    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """Turn results into findings, purely.

        Args:
            inputs: Declared facts.
            observations: Results by request name.

        Returns:
            At least one finding.
        """

    # ------------------------------------------------------------------ help for subclasses

    def finding(
        self,
        inputs: Inputs,
        outcome: Outcome,
        explanation: str,
        *,
        measurements: Iterable[Measurement] = (),
        column: str | None = None,
        severity: Severity | None = None,
        scope: str = "",
        declare: str = "",
    ) -> Finding:
        """Make a finding of this check about the inputs' subject.

        Args:
            inputs: The inputs that ``judge`` received.
            outcome: The outcome.
            explanation: One or two sentences without any data value.
            measurements: The numbers.
            column: Column the finding is about, if it is about one.
            severity: Default is the check's severity.
            scope: What was looked at.
            declare: For ``not_available``: what to declare.

        Returns:
            The finding.
        """
        return Finding(
            check=self.id,
            subject=inputs.subject,
            column=column,
            outcome=outcome,
            severity=severity or self.severity,
            explanation=explanation,
            measurements=tuple(measurements),
            controls=self.controls,
            remediation=self.remediation,
            scope=scope,
            declare=declare,
        )

    @classmethod
    def effective_params(
        cls, policy: Mapping[str, Any], model: Mapping[str, Any]
    ) -> dict[str, Effective]:
        """Lay policy.yaml and the model's manifest over the defaults.

        Args:
            policy: ``policy.checks[check id]``.
            model: ``model.checks[check id]``.

        Returns:
            Parameter name to value and source.

        Raises:
            CheckDefinitionError: If a name or value is not allowed.
        """
        known = {param.name: param for param in cls.params}
        result = {
            name: Effective(param.default, f"check default ({param.source})")
            for name, param in known.items()
        }
        for origin, given in (("policy.yaml", policy), ("model manifest", model)):
            for name, value in given.items():
                if name == "not_applicable":
                    continue
                if name not in known:
                    raise CheckDefinitionError(
                        f"check {cls.id!r} has no parameter {name!r}",
                        where=origin,
                        remedy=suggestion(name, known) or "remove it",
                        valid=sorted(known),
                    )
                if problem := known[name].problem(value):
                    raise CheckDefinitionError(
                        f"parameter {name!r} of check {cls.id!r} {problem}", where=origin
                    )
                result[name] = Effective(value, f"{origin}: set by the organisation, not by law")
        return result
