"""``nachweis lint``: every file and every cross reference, all problems at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nachweis.domain.check import Check
from nachweis.domain.errors import CheckDefinitionError, suggestion
from nachweis.domain.manifest import Activity, DataSet, DataSetRole, Model, Stage, Suite, World
from nachweis.engines.sources import is_database
from nachweis.pipeline.draft import TO_DO, TO_DO_EMAIL
from nachweis.pipeline.lint_history import vanished
from nachweis.pipeline.load import Loaded, Origin, Problem, load_world
from nachweis.pipeline.yaml_files import FieldPath
from nachweis.settings import Settings

_NOT_RE2 = re.compile(r"\(\?[=!<]|\\[1-9]|\(\?P=|[*+?}]\+")
"""Look-around, back references and possessive quantifiers: not in the RE2 and Java subset."""

ROLE_OF_FIELD: Mapping[str, DataSetRole] = {
    "training": DataSetRole.TRAINING,
    "evaluation": DataSetRole.EVALUATION,
    "reference": DataSetRole.REFERENCE,
    "scoring_log": DataSetRole.SCORING_LOG,
    "outcomes": DataSetRole.OUTCOMES,
    "features": DataSetRole.FEATURES,
    "sources": DataSetRole.SOURCE,
    "dialogues": DataSetRole.DIALOGUES,
    "suppression_list": DataSetRole.SUPPRESSION_LIST,
    "objections": DataSetRole.OBJECTIONS,
    "erasure_ledger": DataSetRole.ERASURE_LEDGER,
}


def lint(
    settings: Settings,
    checks: Mapping[str, type[Check]],
    suite_problems: Callable[[Suite], list[str]] | None = None,
) -> list[Problem]:
    """Validate every manifest and cross reference.

    Args:
        settings: Where the manifests are.
        checks: All checks by id.
        suite_problems: Validates expectation types and arguments; loads Great Expectations.

    Returns:
        All problems, sorted by file and line.

    Raises:
        ManifestError: If there is no usable organisation.yaml.
    """
    loaded = load_world(settings)
    linter = _Linter(loaded, checks)
    problems = [*loaded.problems, *linter.all(), *untouched(loaded), *vanished(settings, loaded)]
    if suite_problems is not None:
        for suite in loaded.world.suites.values():
            origin = loaded.origins[("suites", suite.id)]
            problems += [origin.problem((), text) for text in suite_problems(suite)]
    return sorted(set(problems))


def untouched(loaded: Loaded) -> Iterator[Problem]:
    """Fields that still hold what ``nachweis init`` wrote for a person to replace."""
    for origin in loaded.origins.values():
        for path in _to_do(origin.document.data, ()):
            yield origin.problem(
                path,
                "still holds the text of the draft",
                "write what is true, or remove the field if nothing is",
                warning=True,
            )


def _to_do(data: Any, path: FieldPath) -> Iterator[FieldPath]:
    if isinstance(data, dict):
        if any(value == TO_DO.get(key) for key, value in data.items()):
            yield path
            return
        for key, value in data.items():
            yield from _to_do(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _to_do(value, (*path, index))
    elif data == TO_DO_EMAIL or data in TO_DO.values():
        yield path


_DECLARED_IN: Mapping[str, str] = {
    "activity": "activities",
    "data category": "activities",
    "purpose": "activities",
    "model": "models",
    "data set": "data_sets",
    "permission register": "data_sets",
    "suite": "suites",
}
"""What a name stands for, to the kind of manifest that declares it."""


class _Linter:
    def __init__(self, loaded: Loaded, checks: Mapping[str, type[Check]]) -> None:
        self.loaded = loaded
        self.world: World = loaded.world
        self.checks = checks
        self.roles = [role.id for role in self.world.organisation.roles]
        self.unread = {
            kind for kind, key in loaded.origins if key and key not in getattr(self.world, kind)
        }
        self.categories = {
            category.id
            for activity in self.world.activities.values()
            for category in activity.data_categories
        }

    def origin(self, kind: str, key: str) -> Origin:
        return self.loaded.origins[(kind, key)]

    def known(
        self,
        origin: Origin,
        path: FieldPath,
        name: str | None,
        valid: Iterable[str],
        what: str,
        *,
        warning: bool = False,
    ) -> Iterator[Problem]:
        """A problem if a name is not among the valid ones.

        Nothing is said about names that a file may hold which could not be read: its own problems
        come first.
        """
        if _DECLARED_IN.get(what) in self.unread:
            return
        names = sorted(valid)
        if name is not None and name not in names:
            yield origin.problem(
                path,
                f"there is no {what} {name!r}",
                suggestion(name, names) or "declare it or name one that exists",
                names[:20],
                warning=warning,
            )

    def all(self) -> Iterator[Problem]:
        """Problems of all manifests."""
        world = self.world
        yield from self.texts("organisation", "", world.organisation)
        yield from self.policy()
        for activity in world.activities.values():
            yield from self.activity(activity)
        for model in world.models.values():
            yield from self.model(model)
        for data_set in world.data_sets.values():
            yield from self.data_set(data_set)
        for suite in world.suites.values():
            yield from self.suite(suite)
        yield from self.statements()

    # ------------------------------------------------------------------------------ texts

    def texts(
        self, kind: str, key: str, manifest: BaseModel, *, draft: bool = False
    ) -> Iterator[Problem]:
        """Texts must be there in every language of the organisation."""
        origin = self.origin(kind, key)
        wanted = self.world.organisation.languages
        data = origin.document.data
        for path, texts in _texts(data, ()):
            absent = [language for language in wanted if language not in texts]
            if absent:
                yield origin.problem(
                    path,
                    f"the text lacks {', '.join(absent)}",
                    "add it; organisation.yaml lists these languages",
                    warning=draft,
                )

    # ---------------------------------------------------------------------------- manifests

    def policy(self) -> Iterator[Problem]:
        if ("policy", "") in self.loaded.origins:
            origin = self.origin("policy", "")
            for check_id, params in self.world.policy.checks.items():
                yield from self.parameters(origin, ("checks", check_id), check_id, params)

    def parameters(
        self, origin: Origin, path: FieldPath, check_id: str, params: Mapping[str, Any]
    ) -> Iterator[Problem]:
        yield from self.known(origin, path, check_id, self.checks, "check")
        check = self.checks.get(check_id)
        if check is None:
            return
        reason = params.get("not_applicable")
        if reason is not None and not (isinstance(reason, dict) and reason.get("reason")):
            yield origin.problem(
                (*path, "not_applicable"), "has no reason", "write {reason: {en: ...}}"
            )
        for name, value in params.items():
            if name == "not_applicable":
                continue
            try:
                check.effective_params({}, {name: value})
            except CheckDefinitionError as error:
                yield origin.problem((*path, name), error.what, error.remedy, error.valid)

    def activity(self, activity: Activity) -> Iterator[Problem]:
        world, origin = self.world, self.origin("activities", activity.id)
        planned = activity.status.value == "planned"
        yield from self.texts("activities", activity.id, activity, draft=planned)
        yield from self.known(origin, ("owner",), activity.owner, self.roles, "role")
        yield from self.known(origin, ("author",), activity.author, self.roles, "role")
        for language in activity.notice.copies:
            # A copy in another language would be compared with nothing.
            yield from self.known(
                origin,
                ("notice", "copies", language),
                language,
                world.organisation.languages,
                "language of the organisation",
            )
        for i, model_id in enumerate(activity.models):
            yield from self.known(origin, ("models", i), model_id, world.models, "model")
        for i, purpose in enumerate(activity.purposes):
            for j, model_id in enumerate(purpose.models):
                yield from self.known(
                    origin, ("purposes", i, "models", j), model_id, activity.models, "listed model"
                )
        for i, category in enumerate(activity.data_categories):
            for j, reference in enumerate(category.columns):
                yield from self.column_reference(
                    origin, ("data_categories", i, "columns", j), reference
                )
            yield from self.known(
                origin,
                ("data_categories", i, "key_holder"),
                category.key_holder,
                self.roles,
                "role",
            )
        recipients = [recipient.id for recipient in activity.recipients]
        for i, transfer in enumerate(activity.transfers):
            yield from self.known(
                origin, ("transfers", i, "recipient"), transfer.recipient, recipients, "recipient"
            )
        own_categories = [category.id for category in activity.data_categories]
        for i, rule in enumerate(activity.retention):
            for j, name in enumerate(rule.categories):
                yield from self.known(
                    origin, ("retention", i, "categories", j), name, own_categories, "data category"
                )
            for j, retained in enumerate(rule.datasets):
                path: FieldPath = ("retention", i, "datasets", j)
                yield from self.known(
                    origin, (*path, "name"), retained.name, world.data_sets, "data set"
                )
                data_set = world.data_sets.get(retained.name)
                if data_set is not None and data_set.columns:
                    yield from self.known(
                        origin,
                        (*path, "time_column"),
                        retained.time_column,
                        [column.name for column in data_set.columns],
                        "column",
                    )
        for i, measure in enumerate(activity.toms):
            yield from self.control(origin, ("toms", i, "control"), measure.control)
        clients = [client.id for client in world.organisation.clients]
        for i, item in enumerate(activity.processing_for):
            yield from self.known(
                origin, ("processing_for", i, "client"), item.client, clients, "client"
            )
        joint = [party.id for party in world.organisation.joint_controllers]
        for i, party in enumerate(activity.joint_controllers):
            yield from self.known(
                origin, ("joint_controllers", i), party, joint, "joint controller"
            )
        if not planned and not activity.transfers and not activity.no_transfers:
            yield origin.problem(
                ("transfers",),
                "nothing is said about transfers to third countries",
                "list them, or state no_transfers: true",
                warning=True,
            )

    def column_reference(
        self, origin: Origin, path: FieldPath, reference: str
    ) -> Iterator[Problem]:
        data_set_id, _, column = reference.partition(".")
        yield from self.known(origin, path, data_set_id, self.world.data_sets, "data set")
        data_set = self.world.data_sets.get(data_set_id)
        if data_set is not None and data_set.columns:
            yield from self.known(
                origin, path, column, [c.name for c in data_set.columns], "column"
            )

    def control(self, origin: Origin, path: FieldPath, control: str) -> Iterator[Problem]:
        if self.world.controls.controls:
            yield from self.known(origin, path, control, self.world.controls.controls, "control")

    def model(self, model: Model) -> Iterator[Problem]:
        world, origin = self.world, self.origin("models", model.id)
        draft = model.stage is Stage.DRAFT
        yield from self.texts("models", model.id, model, draft=draft)
        yield from self.known(origin, ("owner",), model.owner, self.roles, "role")
        for i, activity_id in enumerate(model.activities):
            yield from self.known(
                origin, ("activities", i), activity_id, world.activities, "activity"
            )
        for field, ids in model.data.all.items():
            for i, data_set_id in enumerate(ids):
                path: FieldPath = ("data", field, i) if len(ids) > 1 else ("data", field)
                yield from self.known(origin, path, data_set_id, world.data_sets, "data set")
                yield from self.role_of(origin, path, field, data_set_id)
        for check_id, params in model.checks.items():
            yield from self.parameters(origin, ("checks", check_id), check_id, params)
        log_id = model.data.scoring_log
        log = world.data_sets.get(log_id) if log_id else None
        if log is not None and log.columns:
            names = [column.name for column in log.columns]
            for i, feature in enumerate(model.features):
                yield from self.known(origin, ("features", i), feature, names, "column")
            for i, metric in enumerate(model.evidently):
                if metric.column is not None:
                    path = ("evidently", i, "column")
                    yield from self.known(origin, path, metric.column, names, "column")
            for i, attribute in enumerate(model.protected_attributes):
                if attribute.data_set in {None, log.id}:
                    yield from self.known(
                        origin,
                        ("protected_attributes", i, "column"),
                        attribute.column,
                        names,
                        "column",
                    )
        bias_blocks = [
            activity.bias_special_category_processing for activity in world.activities_of(model.id)
        ]
        for i, attribute in enumerate(model.protected_attributes):
            if attribute.art9 and not any(
                b and attribute.art9 in b.attributes for b in bias_blocks
            ):
                yield origin.problem(
                    ("protected_attributes", i, "art9"),
                    "a special category needs bias_special_category_processing (Art. 4a AI Act)",
                    "complete that block in the activity, or leave the attribute out",
                )
        listed = [purpose for a in world.activities_of(model.id) for purpose in a.purposes]
        if model.purpose is not None:
            yield from self.known(
                origin, ("purpose",), model.purpose, [p.id for p in listed], "purpose"
            )

    def role_of(
        self, origin: Origin, path: FieldPath, field: str, data_set_id: str
    ) -> Iterator[Problem]:
        data_set, wanted = self.world.data_sets.get(data_set_id), ROLE_OF_FIELD[field]
        interchangeable = {DataSetRole.REFERENCE, DataSetRole.EVALUATION, DataSetRole.TRAINING}
        if data_set is None or data_set.role is wanted:
            return
        if data_set.role in interchangeable and wanted in interchangeable - {DataSetRole.TRAINING}:
            if data_set.role is DataSetRole.TRAINING and wanted is DataSetRole.REFERENCE:
                yield origin.problem(
                    path,
                    "the reference is a training set; scores on it are not out-of-sample",
                    "name scored data the model was not trained on",
                )
            return
        yield origin.problem(
            path,
            f"data set {data_set_id!r} has the role {data_set.role.value}, not {wanted.value}",
            "correct the role or name another data set",
        )

    def data_set(self, data_set: DataSet) -> Iterator[Problem]:
        world, origin = self.world, self.origin("data_sets", data_set.id)
        yield from self.texts("data_sets", data_set.id, data_set, draft=True)
        yield from self.known(origin, ("owner",), data_set.owner, self.roles, "role")
        for i, column in enumerate(data_set.columns):
            yield from self.known(
                origin,
                ("columns", i, "category"),
                column.category,
                self.categories,
                "data category",
            )
        registers = [
            other.id
            for other in world.data_sets.values()
            if other.role is DataSetRole.PERMISSION_REGISTER
        ]
        for name in ("permission", "contact_permission"):
            rule = getattr(data_set, name)
            if rule is not None:
                yield from self.known(
                    origin, (name, "register"), rule.register_, registers, "permission register"
                )
        purposes = {p.id for activity in world.activities.values() for p in activity.purposes}
        for i, purpose in enumerate(data_set.purposes):
            yield from self.known(origin, ("purposes", i), purpose, purposes, "purpose")
        for i, covered in enumerate(data_set.access.covers if data_set.access else ()):
            path = ("access", "covers", i)
            yield from self.known(origin, path, covered, world.data_sets, "data set")
        if data_set.suite is not None:
            yield from self.known(origin, ("suite",), data_set.suite, world.suites, "suite")
        if data_set.table is None and any(is_database(item) for item in data_set.locations):
            yield origin.problem(
                ("location",), "a database without a table", "add table: schema.table"
            )
        for i, location in enumerate(data_set.locations):
            if ".." in Path(location).parts:
                yield origin.problem(
                    ("location", i) if len(data_set.locations) > 1 else ("location",),
                    "the location leaves its folder with '..'",
                    "name an absolute path or one below the folder of manifests/",
                )

    def suite(self, suite: Suite) -> Iterator[Problem]:
        origin = self.origin("suites", suite.id)
        yield from self.known(
            origin, ("data_set",), suite.data_set, self.world.data_sets, "data set", warning=True
        )
        data_set = self.world.data_sets.get(suite.data_set)
        names = [column.name for column in data_set.columns] if data_set else []
        for i, expectation in enumerate(suite.expectations):
            kwargs = expectation.kwargs
            for key in ("column", "column_A", "column_B"):
                if names and isinstance(kwargs.get(key), str):
                    yield from self.known(
                        origin, ("expectations", i, "kwargs", key), kwargs[key], names, "column"
                    )
            patterns = [kwargs.get("regex"), *(kwargs.get("regex_list") or [])]
            for pattern in patterns:
                if isinstance(pattern, str) and (problem := pattern_problem(pattern)):
                    yield origin.problem(("expectations", i, "kwargs"), problem[0], problem[1])

    def statements(self) -> Iterator[Problem]:
        world = self.world
        subjects = {f"model/{key}" for key in world.models}
        subjects |= {f"data_set/{key}" for key in world.data_sets}
        subjects |= {f"activity/{key}" for key in world.activities}
        for waiver in world.waivers.values():
            origin = self.origin("waivers", waiver.id)
            yield from self.texts("waivers", waiver.id, waiver)
            yield from self.known(origin, ("check",), waiver.check, self.checks, "check")
            yield from self.known(origin, ("subject",), waiver.subject, subjects, "subject")
            yield from self.known(origin, ("role",), waiver.role, self.roles, "role")
            check = self.checks.get(waiver.check)
            if check is not None and not check.waivable:
                yield origin.problem(
                    ("check",),
                    f"{waiver.check} cannot be waived",
                    "correct what it found; consent, objection, erasure and Art. 9 have no waiver",
                )
        for attestation in world.attestations.values():
            origin = self.origin("attestations", attestation.id)
            yield from self.texts("attestations", attestation.id, attestation)
            yield from self.control(origin, ("control",), attestation.control)
            yield from self.known(origin, ("role",), attestation.role, self.roles, "role")
        for event in world.events.values():
            origin = self.origin("events", event.id)
            yield from self.texts("events", event.id, event)
            for i, model_id in enumerate(event.models):
                yield from self.known(origin, ("models", i), model_id, world.models, "model")
            for i, check_id in enumerate(event.expects):
                yield from self.known(origin, ("expects", i), check_id, self.checks, "check")


def pattern_problem(pattern: str) -> tuple[str, str] | None:
    """Why a pattern is outside the common subset of RE2 and Java, with what to do; or None."""
    try:
        re.compile(pattern)
    except re.error:
        return "not a valid pattern", "correct the regular expression"
    if _NOT_RE2.search(pattern):
        return (
            "the pattern uses look-around, a back reference or a possessive quantifier",
            "stay in the common subset of RE2 and Java, so that every engine can run it",
        )
    return None


def _texts(data: Any, path: FieldPath) -> Iterator[tuple[FieldPath, dict[str, str]]]:
    """Places that look like texts per language; published copies need not be there in all."""
    if isinstance(data, dict):
        if path[-2:] == ("notice", "copies"):
            return
        if data and all(key in {"en", "de", "da"} for key in data):
            yield path, data
        else:
            for key, value in data.items():
                yield from _texts(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _texts(value, (*path, index))
