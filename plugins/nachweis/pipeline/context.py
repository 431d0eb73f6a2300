"""What every task of a night starts from: settings, manifests, the night and its identity."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from nachweis.domain.canonical import digest
from nachweis.domain.errors import NachweisError, SettingsError, suggestion
from nachweis.domain.finding import Subject, SubjectKind
from nachweis.domain.manifest import Event
from nachweis.domain.night import Night
from nachweis.pipeline.load import Loaded, load_world
from nachweis.settings import PACKAGE_ROOT, Settings
from nachweis.storage.documents import lock_for
from nachweis.storage.object_store import Lock

if TYPE_CHECKING:
    from nachweis.engines.tables import Tables
    from nachweis.storage.object_store import ObjectStore

_PACKAGE = Path(__file__).resolve().parents[1]
_SOFTWARE = (
    "apache-airflow",
    "duckdb",
    "evidently",
    "fairlearn",
    "great-expectations",
    "ibis-framework",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
)


@cache
def source_digest() -> str:
    """SHA-256 over the package's own source files: the code part of a night's identity."""
    found = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        found.update(str(path.relative_to(_PACKAGE)).encode())
        found.update(b"\0")
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def code_version(settings: Settings) -> str:
    """The commit or image digest, and the digest of the source that really runs.

    Args:
        settings: May name the version; otherwise git is asked.

    Returns:
        ``<commit or 'unknown'>+<first 12 characters of the source digest>``.
    """
    named = settings.code_version
    if not named:
        try:
            found = subprocess.run(  # noqa: S603 - fixed arguments
                ["git", "-C", str(PACKAGE_ROOT), "rev-parse", "HEAD"],  # noqa: S607
                capture_output=True,
                text=True,
                timeout=10,
                check=False,
            )
            named = found.stdout.strip() if found.returncode == 0 else ""
        except (OSError, subprocess.TimeoutExpired):
            named = ""
    return f"{named or 'unknown'}+{source_digest()[:12]}"


@cache
def software() -> Mapping[str, str]:
    """Versions of the libraries whose numbers are published."""
    versions = {"python": platform.python_version()}
    for name in _SOFTWARE:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


@dataclass(frozen=True)
class NightContext:
    """One night of one organisation.

    Attributes:
        settings: Resolved settings, with the store's address.
        loaded: All manifests.
        night: The night.
    """

    settings: Settings
    loaded: Loaded
    night: Night

    @cached_property
    def records(self) -> ObjectStore:
        """The bucket of signed documents."""
        from nachweis.storage.s3 import open_store

        return open_store(self.settings, "records")

    def lock(self, key: str) -> Lock | None:
        """Write protection for a new object of the records bucket."""
        return lock_for(
            key,
            retention=self.settings.retention_class,
            period=self.loaded.world.policy.retention_lock,
        )

    def tables(self) -> Tables:
        """A fresh engine connection; the caller closes it."""
        from nachweis.engines.tables import Tables
        from nachweis.pipeline.erasure import period_secrets
        from nachweis.storage.s3 import data_access, list_versions

        world = self.loaded.world
        named = [location for one in world.data_sets.values() for location in one.locations]
        named += [
            version.artefact.uri
            for model in world.models.values()
            for version in model.versions
            if version.artefact is not None
        ]
        named += [
            version.signature.uri
            for model in world.models.values()
            for version in model.versions
            if version.signature is not None
        ]
        named += world.policy.model_stores
        in_s3 = any(location.startswith("s3://") for location in named)
        return Tables(
            self.loaded.world,
            self.loaded.bases,
            self.night,
            cache=self.settings.cache,
            threads=self.settings.duckdb_threads,
            memory=self.settings.duckdb_memory,
            environment={**period_secrets(self.settings), **os.environ},
            s3=data_access(self.settings) if in_s3 else None,
            s3_lister=list_versions(self.settings) if in_s3 else None,
        )

    @cached_property
    def data_versions(self) -> dict[str, str]:
        """Version of every data set as this night reads it; a broken one reads ``unreadable``."""
        with self.tables() as tables:
            return dict(tables.versions(sorted(self.loaded.world.data_sets)))

    @cached_property
    def manifests_digest(self) -> str:
        """Digest of what this night was told.

        Waivers and events that do not touch this night, and where messages go, are left out: they
        cannot change its result.
        """
        world = self.loaded.world
        content = world.canonical()
        day = self.night.date
        content["waivers"] = {
            key: value
            for key, value in content["waivers"].items()
            if world.waivers[key].covers(day)
        }
        events: Mapping[str, Event] = world.events
        content["events"] = {
            key: value for key, value in content["events"].items() if events[key].covers(day)
        }
        content["policy"] = {
            key: value
            for key, value in content["policy"].items()
            if key not in {"notification", "site_url"}
        }
        content["problems"] = [f"{p.file}:{p.line} {p.field}" for p in self.loaded.problems]
        return digest(content)

    @cached_property
    def identity(self) -> str:
        """Idempotency key: night, manifests, suites, data versions and code."""
        return digest(
            {
                "night": str(self.night),
                "timezone": self.night.timezone,
                "manifests": self.manifests_digest,
                "data": self.data_versions,
                "code": source_digest(),
                "software": dict(software()),
            }
        )

    def demand_policy(self) -> None:
        """Refuse to run by defaults where the organisation's own policy cannot be read.

        Raises:
            NachweisError: If policy.yaml is there and not valid: its limits and the people to be
                told would silently be replaced.
        """
        broken = [p for p in self.loaded.problems if p.file.endswith("policy.yaml")]
        for problem in broken:
            if not problem.warning:
                raise NachweisError(
                    "policy.yaml is not valid, so nobody knows which limits apply",
                    where=f"{problem.file}:{problem.line}",
                    remedy="correct it: nachweis lint lists every problem",
                )

    def demand_ended(self) -> None:
        """Refuse to sign a night that is not over; the demonstration's data may lie ahead.

        A night signed too early would hold too few rows, and every night up to it would count as
        an older one that changes no version.

        Raises:
            NachweisError: If the night has not ended yet.
        """
        if self.settings.mode == "production" and self.night.end > dt.datetime.now(dt.UTC):
            raise NachweisError(
                "this night has not ended yet",
                where=str(self.night),
                remedy=f"run it after {self.night.end.isoformat(timespec='minutes')}",
            )

    def demand(self, subject: Subject) -> None:
        """Refuse a subject that no manifest declares.

        Args:
            subject: What a person or a task named.

        Raises:
            NachweisError: If there is no such data set, model or activity.
        """
        world = self.loaded.world
        declared: Mapping[SubjectKind, Mapping[str, object]] = {
            SubjectKind.MODEL: world.models,
            SubjectKind.DATA_SET: world.data_sets,
            SubjectKind.ACTIVITY: world.activities,
        }
        known = declared.get(subject.kind, {})
        if subject.id not in known:
            raise NachweisError(
                f"there is no {subject.kind.value.replace('_', ' ')} of this id",
                where=str(subject),
                remedy=suggestion(subject.id, known),
                valid=sorted(known),
            )

    @property
    def attempt(self) -> str:
        """Short form of the identity; names the folder of what upstream tasks hand over."""
        return self.identity[:16]


def open_context(night: str | None, settings: Settings | None = None) -> NightContext:
    """Load what a task needs.

    Args:
        night: ``YYYY-MM-DD``.
        settings: Default is the environment; an embedded store's address is filled in.

    Returns:
        The context.

    Raises:
        NachweisError: If the night is malformed, manifests are unusable or settings are missing.
    """
    from nachweis.storage.embedded import resolve

    resolved = resolve(settings or Settings())
    loaded = load_world(resolved)
    if not night:
        raise SettingsError(
            "no night was named",
            remedy="run with a partition key, or with conf {'night': 'YYYY-MM-DD'}",
        )
    return NightContext(resolved, loaded, Night.parse(night, loaded.world.organisation.timezone))
