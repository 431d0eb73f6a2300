"""Models in use or in store that no manifest declares."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from nachweis.checks.quality._versions import (
    REQUEST,
    log_of,
    rows_per_version,
    versions_request,
)
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import DataSetRole, Stage
from nachweis.domain.observation import ArtefactFile, ArtefactFolder, Observations, Request, Source
from nachweis.engines.artefact_folders import folder_of, same_name
from nachweis.engines.sources import is_remote

_NIGHT = dt.datetime(2026, 3, 2, 5)
_DIGESTS_SHOWN = 20
_FOLDERS = "files"
_NONE = Threshold(value=0, operator="==", source="manifests of all models")
_VERSIONS = {"versions": [{"version": "1", "live_from": "2026-01-01T00:00:00+01:00"}]}


def _log(*versions: str | None, **fields: str) -> dict[str, ExampleTable]:
    declare = {
        "columns": [{"name": "version", "type": "string"}, {"name": "at", "type": "timestamp"}],
        "fields": fields or {"model_version": "version"},
        "time": {"column": "at"},
    }
    columns: dict[str, list[Any]] = {"version": list(versions), "at": [_NIGHT] * len(versions)}
    return {"dialogues": ExampleTable(DataSetRole.DIALOGUES, columns, declare)}


class InventoryComplete(Check):
    """Is every model that scores or lies in store declared in a manifest?

    Why: A model that nobody declared stands in no record, was approved by nobody and is watched by
        nothing (Art. 30(1) GDPR); most are test versions that were left running.
    Method: Two counts that must all be 0. (1) Rows of the night's log (dialogues, if there is no
        scoring log) whose ``model_version`` no manifest of a model with this log declares. (2)
        Stored models (files by their ending) that no manifest names as an artefact, directly in the
        folders of declared artefacts, and anywhere below the ``model_stores`` of policy.yaml; for
        these the digests are given. A folder that several models share, and the stores, are looked
        at with the first of them, by id, that has a log and is not retired. Rows that name no
        version are counted and not judged. Undefined (not available) where no row of the log names
        a version and no artefact lies in a folder, where neither can be read, and where nothing was
        found but a store of models could not be read. Source: this project.
    Leaves out: Models that write no log and lie neither in a declared folder nor in a store,
        artefacts behind services. There is no subject for the whole organisation yet, so each model
        is told of its own log and folders.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("INVENTORY", "CHANGE")
    needs = (Needs.LOG,)
    remediation = (
        "Find out who put the version or file there. Declare it in the model's manifest, with its "
        "approval, or switch it off and remove it. If it has decided about people, say so in the "
        "record of the activity."
    )
    examples = (
        Example("only declared versions", Outcome.PASS, _log("1", "1", None), model=_VERSIONS),
        Example("a version nobody declared", Outcome.FAIL, _log("1", "2"), model=_VERSIONS),
        Example(
            "the log names no version",
            Outcome.NOT_AVAILABLE,
            _log("1", key="version"),
            model=_VERSIONS,
        ),
        Example("the model declares no version", Outcome.NOT_AVAILABLE, _log("1")),
        Example(
            "no log declared",
            Outcome.NOT_AVAILABLE,
            {"reference": ExampleTable(DataSetRole.REFERENCE, {"x": [1]})},
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Rows per version, and files beside the artefacts."""
        request = versions_request(inputs)
        if request is not None:
            yield request
        known = tuple(sorted(set(_artefacts(inputs))))
        source = Source(log_of(inputs).id)
        if folders := _own_folders(inputs):
            yield ArtefactFolder(_FOLDERS, source, folders, known=known)
        for number, store in enumerate(_stores(inputs), 1):
            yield ArtefactFolder(f"store_{number}", source, (), (store,), known)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the model's log and folders."""
        log = _Versions(inputs, observations)
        store = _Files(inputs, observations)
        problems = [part.problem for part in (log, store) if part.problem]
        measurements = [*log.measurements, *store.measurements]
        looked_at = [part.looked_at for part in (log, store) if part.looked_at]
        missing = [part.reason for part in (log, store) if part.reason]
        if not looked_at:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                f"Nothing could be compared: {'; '.join(missing)}.",
                declare="'versions' of the model with their artefacts, and 'fields.model_version' "
                "of its log",
            )
            return
        words = " ".join(problems) or "Nothing was found that no manifest declares."
        unseen = f" Not looked at: {'; '.join(missing)}." if missing else ""
        unread = store.unread_stores > 0 and not problems
        yield self.finding(
            inputs,
            Outcome.FAIL if problems else Outcome.NOT_AVAILABLE if unread else Outcome.PASS,
            words + unseen,
            measurements=measurements,
            scope="; ".join(looked_at),
            declare="'model_stores' in policy.yaml: folders that are there and may be read"
            if unread
            else "",
        )


class _Versions:
    """Versions that the log names."""

    def __init__(self, inputs: Inputs, observations: Observations) -> None:
        self.problem = self.reason = self.looked_at = ""
        self.measurements: list[Measurement] = []
        log = log_of(inputs)
        declared = {
            version.version
            for model in inputs.world.models.values()
            if log.id in (model.data.scoring_log, model.data.dialogues)
            for version in model.versions
        }
        if log.field("model_version") is None:
            self.reason = "the log names no version"
        elif not declared:
            self.reason = "the model declares no version"
        elif observations.get(REQUEST) is None:
            self.reason = next(
                (why for name, why in observations.missing() if name == REQUEST), "no log"
            )
        elif not (found := rows_per_version(observations[REQUEST])):
            self.reason = "the night's log holds no rows"
        elif not any(found):
            self.reason = "no row of the night's log names a version"
        else:
            self.looked_at = f"{log.id}, window night"
            unknown = {name: n for name, n in found.items() if name and name not in declared}
            if unknown:
                self.problem = "The log names versions that no manifest declares."
            self.measurements = [
                _measured("undeclared_versions", len(unknown), "versions"),
                _measured("rows_of_undeclared_versions", sum(unknown.values()), "rows"),
                Measurement(
                    name="rows_without_version",
                    value=found.get(None, 0) + found.get("", 0),
                    unit="rows",
                ),
            ]


class _Files:
    """Stored models in the folders of declared artefacts and in stores of models."""

    def __init__(self, inputs: Inputs, observations: Observations) -> None:
        self.problem = self.reason = self.looked_at = ""
        self.measurements: list[Measurement] = []
        asked = [name for name in observations if name != REQUEST]
        listed: dict[str, tuple[ArtefactFile, ...]] = {
            name: found for name in asked if (found := observations.get(name)) is not None
        }
        missing = [(name, why) for name, why in observations.missing() if name in asked]
        self.reason = "; ".join(dict.fromkeys(why for _, why in missing))
        self.unread_stores = sum(name != _FOLDERS for name, _ in missing)
        if not listed:
            return
        files = {file.uri: file for found in listed.values() for file in found}
        named = {same_name(uri) for uri in _artefacts(inputs)}
        unknown = [file for uri, file in sorted(files.items()) if uri not in named]
        folders = len(_own_folders(inputs)) if _FOLDERS in listed else 0
        self.looked_at = f"{folders} folders of artefacts"
        if stores := len(listed) - (_FOLDERS in listed):
            self.looked_at += f" and {stores} stores of models with all that lies below"
        if unknown:
            self.problem = "Stored models lie beside the artefacts that no manifest names."
        self.measurements = [
            _measured("undeclared_artefacts", len(unknown), "files"),
            *(
                Measurement(
                    name=f"undeclared_artefact_{number}",
                    value=file.digest,
                    unit="entity tag in S3" if is_remote(file.uri) else "SHA-256",
                )
                for number, file in enumerate(unknown[:_DIGESTS_SHOWN], 1)
                if file.digest
            ),
        ]


def _measured(name: str, value: int, unit: str) -> Measurement:
    return Measurement(name=name, value=value, unit=unit, threshold=_NONE)


def _artefacts(inputs: Inputs, *models: str) -> list[str]:
    """URIs of all versions' artefacts, of these models or of all."""
    chosen: dict[str, Any] = {
        key: model for key, model in inputs.world.models.items() if not models or key in models
    }
    return [
        version.artefact.uri
        for _, model in sorted(chosen.items())
        for version in model.versions
        if version.artefact is not None
    ]


def _looking(inputs: Inputs) -> list[str]:
    """Models with which this check looks at folders: in use, with a log, not set aside."""
    return sorted(
        key
        for key, model in inputs.world.models.items()
        if model.stage is not Stage.RETIRED
        and (model.data.scoring_log or model.data.dialogues)
        and not model.checks.get(InventoryComplete.id, {}).get("not_applicable")
    )


def _stores(inputs: Inputs) -> tuple[str, ...]:
    """Stores of models in policy.yaml; they are looked through with the first model that scores."""
    first = next(iter(_looking(inputs)), None)
    stores = dict.fromkeys(inputs.world.policy.model_stores)
    return tuple(stores) if first == inputs.subject.id else ()


def _own_folders(inputs: Inputs) -> tuple[str, ...]:
    """Folders of the model's artefacts that are not looked at with an earlier model."""
    earlier = [key for key in _looking(inputs) if key < inputs.subject.id]
    taken = {folder_of(uri) for uri in _artefacts(inputs, *earlier)} if earlier else set()
    own = {folder_of(uri) for uri in _artefacts(inputs, inputs.subject.id)}
    return tuple(sorted(folder for folder in own - taken if folder is not None))
