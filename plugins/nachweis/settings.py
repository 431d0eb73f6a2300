"""Settings: folders, store and signer, from environment variables that begin with NACHWEIS_."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
"""Folder that holds plugins/, templates/ and controls/ in a checkout or image."""


class Settings(BaseSettings):
    """What differs between machines; everything else is in manifests.

    Secrets are read from the environment only and never printed.
    """

    model_config = SettingsConfigDict(
        env_prefix="NACHWEIS_",
        # Compose files pass an absent value on as an empty one.
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    world: str = Field(
        default=str(PACKAGE_ROOT),
        description="folders with manifests/ and expectations/, joined like PATH",
    )
    controls: Path = Field(
        default=PACKAGE_ROOT / "controls", description="catalogue of controls, dates and labels"
    )
    templates: Path = Field(
        default=PACKAGE_ROOT / "templates", description="Jinja2 templates and locales"
    )
    state: Path = Field(
        default=PACKAGE_ROOT / ".nachweis",
        description="local folder for caches, keys, the embedded store and the site",
    )
    mode: Literal["demonstration", "production"] = Field(
        default="demonstration",
        description="production refuses a store that fails its self-test",
    )
    retention: Literal["demonstration", "standard"] | None = Field(
        default=None,
        description="demonstration: GOVERNANCE for one day; standard: as controls/ says",
    )
    s3_endpoint: str | None = Field(
        default=None,
        description="endpoint of the store; 'embedded' = start our own; empty = AWS in production, "
        "embedded in a demonstration",
    )
    s3_region: str = Field(default="eu-central-1", description="region of the buckets")
    s3_access_key: str | None = Field(
        default=None, description="writer's key id; empty = the SDK's own chain"
    )
    s3_secret_key: SecretStr | None = Field(default=None, description="writer's secret")
    anchor_access_key: str | None = Field(
        default=None,
        description="key id of the anchor bucket's own writer; required in production",
    )
    anchor_secret_key: SecretStr | None = Field(default=None, description="its secret")
    disposer_access_key: str | None = Field(
        default=None,
        description="key id of who removes withdrawn or expired objects; set it for that call only",
    )
    disposer_secret_key: SecretStr | None = Field(default=None, description="its secret")
    disposer_principal: str | None = Field(
        default=None,
        pattern=r"^(arn:[A-Za-z0-9_:/+=,.@-]{1,200}|[A-Za-z0-9_+=,.@-]{1,64})$",
        description="ARN of the role, or name of the user, that the records bucket's denial of "
        "deletion exempts",
    )
    data_access_key: str | None = Field(
        default=None, description="key id for reading data sets in S3; empty = the writer's"
    )
    data_secret_key: SecretStr | None = Field(default=None, description="its secret")
    bucket_records: str = Field(default="nachweis-records", description="versioned, locked")
    bucket_narratives: str = Field(default="nachweis-narratives", description="deletable texts")
    bucket_site: str = Field(default="nachweis-site", description="derived pages")
    bucket_anchor: str = Field(default="nachweis-anchor", description="checkpoints")
    signer: str | None = Field(
        default=None,
        description="signer URI (file2:, awskms:, hv:, hsm:); empty = a key in the state folder",
    )
    signer_public_key: str | None = Field(
        default=None, description="public key file or URI for signers that need one"
    )
    signer_pin: SecretStr | None = Field(default=None, description="PIN of an hsm: signer")
    timestamp_url: str | None = Field(
        default=None,
        description="time-stamping authority (RFC 3161) that stamps each night's checkpoint; "
        "empty = none",
    )
    timestamp_certificates: Path | None = Field(
        default=None, description="PEM file with the root certificates of that authority"
    )
    erasure_keys: Path | None = Field(
        default=None,
        description="folder of the secrets of erasure ledgers, one per period; default: in the "
        "state folder",
    )
    code_version: str | None = Field(
        default=None, description="commit or image digest; empty = asked of git, else unknown"
    )
    site_url: str | None = Field(
        default=None, description="address of the site, printed in notifications"
    )
    duckdb_threads: int | None = Field(default=None, ge=1, description="threads per task")
    duckdb_memory: str = Field(default="2GB", description="DuckDB memory limit per task")

    @field_validator("world")
    @classmethod
    def _folders(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("name at least one folder")
        return value

    @property
    def world_folders(self) -> list[Path]:
        """Folders with manifests/ and expectations/, in order."""
        return [Path(part).resolve() for part in self.world.split(os.pathsep) if part]

    @property
    def retention_class(self) -> Literal["demonstration", "standard"]:
        """Retention that applies; demonstration only in demonstration mode."""
        if self.retention is not None:
            return self.retention
        return "demonstration" if self.mode == "demonstration" else "standard"

    @property
    def cache(self) -> Path:
        """Local folder for profiles and file digests; never published."""
        return self.state / "cache"

    @property
    def site(self) -> Path:
        """Local folder of the rendered site."""
        return self.state / "site"
