"""Builds a store as the pipeline leaves it: documents first, then the ledger entry of the night."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nachweis.domain.canonical import digest
from nachweis.domain.finding import Finding, Outcome, Severity, Subject, SubjectKind
from nachweis.domain.record import (
    Assessment,
    Document,
    Evidence,
    Record,
    RecordField,
    Section,
    Statement,
    VersionRef,
)
from nachweis.settings import Settings
from nachweis.storage import layout, signing
from nachweis.storage.documents import write_document
from nachweis.storage.ledger import Appended, Ledger
from nachweis.storage.object_store import ObjectStore

NOW = dt.datetime(2026, 3, 3, 2, 0, 0, tzinfo=dt.UTC)


def signer(folder: Path, name: str = "key") -> Any:
    """A signer with a key of its own."""
    path = folder / f"{name}.pem"
    if not path.exists():
        signing.generate_key(path)
    return signing.open_signer(Settings(signer=f"file2:{path}"))


@dataclass
class SignedStore:
    """A store and the ledger that vouches for it."""

    records: ObjectStore
    ledger: Ledger
    versions: dict[str, int] = field(default_factory=dict)
    signed: set[str] = field(default_factory=set)

    @property
    def trusted(self) -> set[str]:
        """The pinned root."""
        return {self.ledger.signer.public_key.keyid}

    def _write(self, key: str, document: Document) -> str:
        write_document(self.records, key, document.canonical(), lock=self.ledger.lock(key))
        return key

    def night(
        self,
        night: str,
        attempt: str = "0123456789abcdef",
        *,
        activity: str = "newsletter",
        status: str = "active",
        supersedes: str | None = None,
        sign: bool = True,
        clients: tuple[str, ...] = (),
        statement_change: dict[str, Any] | None = None,
    ) -> tuple[Statement, Appended | None]:
        """Write and sign one attempt of a night; a changed status makes a new version."""
        finding = Finding(
            check="retention_kept",
            subject=Subject(kind=SubjectKind.ACTIVITY, id=activity),
            outcome=Outcome.PASS,
            severity=Severity.HIGH,
            explanation=f"night {night} of attempt {attempt}",
        )
        evidence = Evidence(
            night=night,
            subject=f"activity/{activity}",
            data_versions={},
            windows={},
            findings=(finding,),
            queries={},
            software={},
        )
        self._write(layout.evidence(evidence.digest()), evidence)
        record = Record(
            id=activity,
            title={"en": "Newsletter"},
            capacity="processor" if clients else "controller",
            status=status,
            languages=("en",),
            controlling_language="en",
            sections=(_clients(clients),) if clients else (),
        )
        number = self.versions.get(record.digest(), len(self.versions) + 1)
        new = record.digest() not in self.signed
        key = self._write(layout.record(activity, number), record)
        self.versions[record.digest()] = number
        assessment = Assessment(
            night=night,
            target_kind="record",
            target_id=activity,
            target_version=number,
            target_digest=record.digest(),
            verdicts=(),
            findings=(),
            counts={"pass": 1},
            contradicted=0,
        )
        self._write(layout.assessment(night, attempt, assessment.digest()), assessment)
        statement = Statement(
            night=night,
            timezone="Europe/Berlin",
            attempt=attempt,
            idempotency_key=digest([night, attempt]),
            supersedes=supersedes,
            manifests_digest=digest("manifests"),
            data_versions={},
            code_version="1",
            software={},
            subjects=(f"activity/{activity}",),
            not_run=(),
            blind=(),
            evidence={f"activity/{activity}": evidence.digest()},
            versions=(
                VersionRef(
                    kind="record",
                    id=activity,
                    version=number,
                    digest=record.digest(),
                    key=key,
                    new=new,
                ),
            ),
            assessments={f"record/{activity}": assessment.digest()},
            counts={"pass": 1},
            open_by_severity={},
            store={},
        ).model_copy(update=statement_change or {})
        name = self._write(layout.statement(night, attempt), statement)
        if not sign:
            return statement, None
        self.signed.add(record.digest())
        return statement, self.ledger.append_night(name, statement)


def _clients(clients: tuple[str, ...]) -> Section:
    fields = tuple(
        RecordField(id=f"clients/{name}", label="role.controller", value=name, origin="declared")
        for name in clients
    )
    return Section(id="art30-2-a", label="a30.2a", fields=fields)


def signed_store(records: ObjectStore, key: Any, **more: Any) -> SignedStore:
    """An empty store with a ledger whose clock stands still."""
    options = {"now": lambda: NOW, "sleep": lambda _: None, **more}
    return SignedStore(records, Ledger(records, key, **options))
