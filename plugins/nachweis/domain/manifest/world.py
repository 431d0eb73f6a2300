"""All manifests of an organisation together, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from nachweis.domain.canonical import digest
from nachweis.domain.control import ControlCatalogue
from nachweis.domain.manifest.activity import Activity
from nachweis.domain.manifest.common import json_of
from nachweis.domain.manifest.dataset import DataSet
from nachweis.domain.manifest.governance import Attestation, Event, Waiver
from nachweis.domain.manifest.model import Model
from nachweis.domain.manifest.organisation import Organisation, Policy
from nachweis.domain.manifest.suite import Suite


class World(BaseModel):
    """Everything that people declared, cross-checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    organisation: Organisation
    policy: Policy = Policy()
    activities: Mapping[str, Activity] = {}
    models: Mapping[str, Model] = {}
    data_sets: Mapping[str, DataSet] = {}
    suites: Mapping[str, Suite] = {}
    attestations: Mapping[str, Attestation] = {}
    waivers: Mapping[str, Waiver] = {}
    events: Mapping[str, Event] = {}
    controls: ControlCatalogue = ControlCatalogue()

    def canonical(self) -> dict[str, Any]:
        """The declared facts as JSON-able data, for digests."""
        return {
            "organisation": json_of(self.organisation),
            "policy": json_of(self.policy),
            **{
                name: {key: json_of(item) for key, item in sorted(getattr(self, name).items())}
                for name in (
                    "activities",
                    "models",
                    "data_sets",
                    "suites",
                    "attestations",
                    "waivers",
                    "events",
                )
            },
        }

    def digest(self) -> str:
        """SHA-256 over all declared facts."""
        return digest(self.canonical())

    def activities_of(self, model_id: str) -> list[Activity]:
        """Activities that list the model or that the model names, by id."""
        named = set(self.models[model_id].activities) if model_id in self.models else set()
        return [
            activity
            for key, activity in sorted(self.activities.items())
            if key in named or model_id in activity.models
        ]

    def models_using(self, data_set_id: str) -> list[Model]:
        """Models that name the data set in any role, by id."""
        return [
            model
            for _, model in sorted(self.models.items())
            if any(data_set_id in ids for ids in model.data.all.values())
        ]

    def suite_of(self, data_set: DataSet) -> Suite | None:
        """The suite a data set names, or the one of its own id, or the only one for it."""
        if data_set.suite:
            return self.suites.get(data_set.suite)
        if data_set.id in self.suites:
            return self.suites[data_set.id]
        return next(
            (suite for _, suite in sorted(self.suites.items()) if suite.data_set == data_set.id),
            None,
        )
