"""A desk over stores in memory: the demo's manifests, signed nights of the newsletter's record."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nachweis.domain.approval import SignedEvent
from nachweis.domain.manifest import Origin, Verdict, World
from nachweis.domain.record import Assessment, FieldVerdict
from nachweis.pipeline.approval_rules import Case, Wish
from nachweis.pipeline.approvals import Desk
from nachweis.pipeline.archive import Archive
from nachweis.storage import layout
from nachweis.storage.documents import write_document
from nachweis.storage.ledger import Ledger
from tests.memory_store import MemoryStore
from tests.signed_store import SignedStore, signer
from tests.site_world import demo_world

AUTHOR, OWNER, DPO = "ml-engineering", "head-of-marketing", "data-protection-officer"
PROPOSER, DECIDER, ADVISER = "Author Account", "Owner Account", "Adviser Account"
TARGET = "newsletter"
START = dt.datetime(2026, 3, 3, 2, 0, tzinfo=dt.UTC)


@functools.cache
def _world() -> World:
    return demo_world()


@dataclass
class Office:
    """Everything a test of approvals needs."""

    folder: Path
    now: dt.datetime = START
    records: MemoryStore = field(default_factory=MemoryStore)
    narratives: MemoryStore = field(default_factory=MemoryStore)
    anchor: MemoryStore = field(default_factory=MemoryStore)
    world: World = field(default_factory=_world)

    @cached_property
    def store(self) -> SignedStore:
        """The signed nights."""
        ledger = Ledger(
            self.records,
            signer(self.folder),
            anchor=self.anchor,
            now=lambda: self.now,
            sleep=lambda _: None,
        )
        return SignedStore(self.records, ledger)

    @property
    def archive(self) -> Archive:
        """The signed past, read afresh."""
        return Archive(self.records, self.folder / "cache")

    @property
    def desk(self) -> Desk:
        """Where decisions are made."""
        return Desk(
            self.world, lambda: self.archive, self.narratives, self.store.ledger, lambda: self.now
        )

    def night(self, night: str, *contradicted: str, status: str = "active", **more: Any) -> None:
        """Sign a night whose assessment says that some fields are contradicted."""
        unsigned, _ = self.store.night(night, attempt="draft", status=status, sign=False, **more)
        (version,) = unsigned.versions
        assessment = Assessment(
            night=night,
            target_kind="record",
            target_id=version.id,
            target_version=version.version,
            target_digest=version.digest,
            verdicts=tuple(
                FieldVerdict(field=name, origin=Origin.DECLARED, verdict=Verdict.CONTRADICTED)
                for name in contradicted
            ),
            findings=(),
            counts={"pass": 1},
            contradicted=len(contradicted),
        )
        key = layout.assessment(night, "0123456789abcdef", assessment.digest())
        write_document(self.records, key, assessment.canonical())
        change = {"assessments": {f"record/{version.id}": assessment.digest()}}
        self.store.night(night, status=status, statement_change=change, **more)

    def sign(self, type_: Any, role: str, actor: str, **more: Any) -> tuple[Case, SignedEvent]:
        """Sign an event of the newsletter's record."""
        return self.desk.sign(more.pop("target", TARGET), Wish(type_, role, actor, **more))

    def submit(self, actor: str = PROPOSER, role: str = AUTHOR, **more: Any) -> Case:
        """Submit in the author's role."""
        return self.sign("submitted", role, actor, **more)[0]

    def advise(
        self, advice: Any = "agrees", actor: str = ADVISER, role: str = DPO, **more: Any
    ) -> Case:
        """Advise in the role of the data protection officer."""
        if advice == "objects":
            more.setdefault("reason", "The retention is too long.")
        return self.sign("advice", role, actor, advice=advice, **more)[0]

    def approve(self, actor: str = DECIDER, role: str = OWNER, **more: Any) -> Case:
        """Approve in the owner's role."""
        return self.sign("approved", role, actor, **more)[0]

    def reject(self, actor: str = DECIDER, role: str = OWNER, **more: Any) -> Case:
        """Reject in the owner's role."""
        more.setdefault("reason", "The purpose is not clear.")
        return self.sign("rejected", role, actor, **more)[0]

    def later(self, **delta: Any) -> None:
        """Let time pass."""
        self.now += dt.timedelta(**delta)

    def with_policy(self, **policy: Any) -> None:
        """Change the organisation's policy."""
        changed = self.world.policy.model_copy(update=policy)
        self.world = self.world.model_copy(update={"policy": changed})

    def with_interval(self, interval: str | None) -> None:
        """Change the activity's own review interval."""
        activity = self.world.activities[TARGET]
        meta = activity.meta.model_copy(update={"review_interval": interval})
        activities = {**self.world.activities, TARGET: activity.model_copy(update={"meta": meta})}
        self.world = self.world.model_copy(update={"activities": activities})

    def events(self) -> list[str]:
        """Keys of all events."""
        return [key for key in self.records.present() if key.startswith(layout.APPROVALS)]
