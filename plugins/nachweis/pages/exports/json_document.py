"""JSON: the signed bytes themselves, and for the register all of them in one document."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from nachweis.domain.canonical import canonical_bytes, digest_bytes
from nachweis.domain.errors import IntegrityError
from nachweis.domain.record import Assessment, Document, Dossier, Record
from nachweis.pages.exports._model import Format, Source, Version


class RegisterEntry(BaseModel):
    """A record in a register, with the version and digest it is signed under."""

    model_config = ConfigDict(extra="forbid")

    version: int
    digest: str
    night: str
    record: Record


class Register(BaseModel):
    """All current records in one document; a collection, signed record by record."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    kind: Literal["register"] = "register"
    records: tuple[RegisterEntry, ...]


_PUBLISHED: tuple[type[Document] | type[Register], ...] = (Record, Dossier, Assessment, Register)


def signed_bytes(version: Version) -> bytes:
    """The canonical bytes of a version.

    Args:
        version: The version.

    Returns:
        What the digest covers and the store holds.

    Raises:
        IntegrityError: If the document is not the one that its digest names.
    """
    content = canonical_bytes(version.document)
    if digest_bytes(content) != version.digest:
        raise IntegrityError("a document differs from its signed digest", where=version.urn)
    return content


def _render(source: Source) -> bytes:
    if source.kind != "register":
        return signed_bytes(source.only)
    for version in source.versions:
        signed_bytes(version)
    return canonical_bytes(
        {
            "schema_version": 1,
            "kind": "register",
            "records": [
                {
                    "version": version.version,
                    "digest": version.digest,
                    "night": version.night,
                    "record": version.document,
                }
                for version in source.versions
            ],
        }
    )


def schemas() -> dict[str, str]:
    """The published JSON Schemas of what is signed, generated from the domain models.

    Returns:
        File name to text.
    """
    found = {}
    for model in _PUBLISHED:
        name = model.__name__.lower()
        schema: dict[str, Any] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:nachweis:schema:{name}:1",
            **model.model_json_schema(mode="serialization"),
        }
        found[f"{name}.schema.json"] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return found


FORMAT = Format(
    name="json", suffix="json", kinds=frozenset({"record", "dossier", "register"}), render=_render
)
