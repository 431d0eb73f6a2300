"""When the nightly DAGs run, what they publish and how they retry. Light: read at every parse."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import available_timezones

import yaml
from airflow.sdk import (
    Asset,
    CronPartitionTimetable,
    CronTriggerTimetable,
    ExceptionRetryPolicy,
    PartitionedAssetTimetable,
    RetryAction,
    RetryRule,
)

from nachweis.domain.errors import NachweisError, StoreUnavailableError
from nachweis.settings import Settings

DEFAULT_ZONE = "Europe/Berlin"

START = "0 4 * * *"
"""04:00 exists once on every day of the year. 02:00 does not: on the night the clocks go forward,
CronPartitionTimetable would give two runs the same partition key and one night none."""

LATER = "0 6 * * *"

DATA_SETS_TESTED = Asset(name="data_sets_tested", uri="nachweis://nights/data-sets")
MODELS_OBSERVED = Asset(name="models_observed", uri="nachweis://nights/models")

CHANNELS = ("email", "webhook")
"""Ways of telling people; each a task, so that trying one again never repeats the other."""

RETRIES: dict[str, Any] = {
    "retries": 2,
    "retry_delay": dt.timedelta(seconds=20),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": dt.timedelta(minutes=5),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(exception=StoreUnavailableError, action=RetryAction.RETRY),
            RetryRule(
                exception=NachweisError,
                action=RetryAction.FAIL,
                reason="trying again cannot help: a person has to act",
            ),
        ]
    ),
    "execution_timeout": dt.timedelta(hours=2),
}
"""Default arguments of every task: only what may pass by itself is tried again."""


def organisation_zone() -> str:
    """Time zone of the organisation, read without validating the manifest.

    A malformed manifest must not hide the DAG: the plan task reports it with file and line.

    Returns:
        IANA name.
    """
    for folder in Settings().world_folders:
        manifest = folder / "manifests" / "organisation.yaml"
        if manifest.is_file():
            try:
                declared = yaml.safe_load(manifest.read_text(encoding="utf-8"))
            except (yaml.YAMLError, OSError, ValueError, RecursionError):
                return DEFAULT_ZONE  # ValueError: bytes that are no text, or an impossible date
            zone = declared.get("timezone") if isinstance(declared, dict) else None
            return zone if zone in available_timezones() else DEFAULT_ZONE
    return DEFAULT_ZONE


def nightly() -> CronPartitionTimetable:
    """Each morning, for the night that has just ended; its date is the partition key."""
    return CronPartitionTimetable(
        START, timezone=organisation_zone(), run_offset=-1, key_format="%Y-%m-%d"
    )


def each_morning() -> CronTriggerTimetable:
    """Two hours after the nights start: by then they should be signed."""
    return CronTriggerTimetable(LATER, timezone=organisation_zone())


def after_both() -> PartitionedAssetTimetable:
    """Once data sets and models of the same night are done, in whatever order nights finish."""
    return PartitionedAssetTimetable(assets=DATA_SETS_TESTED & MODELS_OBSERVED)
