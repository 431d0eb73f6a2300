"""Notices in plain language, generated from a record: Art. 13 and 14 GDPR, Art. 50 AI Act.

The parts are the same for the page and for the comparison with a published copy: a paragraph is
one line of text that the published notice must hold word for word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nachweis.pages.words import Words, text_language

_RIGHTS = ("access", "rectification", "erasure", "restriction", "portability", "object")

_PORTABLE = frozenset("ab")
"""Points of Art. 6(1) GDPR under which Art. 20(1)(a) gives a right to data portability."""
_OPEN_TO_OBJECTION = frozenset("ef")
"""Points of Art. 6(1) GDPR under which Art. 21(1) gives a right to object."""


@dataclass(frozen=True, slots=True)
class Part:
    """A heading with its paragraphs.

    Attributes:
        id: Stable name, used as anchor.
        heading: Translated heading.
        paragraphs: Translated lines of text.
    """

    id: str
    heading: str
    paragraphs: tuple[str, ...]


class Notice:
    """The notice of one record in one language.

    Args:
        document: The parsed canonical JSON of the record.
        words: The language.
    """

    def __init__(self, document: Mapping[str, Any], words: Words) -> None:
        self.document = document
        self.words = words
        self.values: dict[str, list[tuple[str, Any]]] = {}
        for section in (*document["sections"], *(document.get("further") or ())):
            for field in section["fields"]:
                part, _, key = field["id"].partition("/")
                if field.get("value") is not None:
                    self.values.setdefault(part, []).append((key, field["value"]))

    # ---------------------------------------------------------------------------- helpers

    def say(self, key: str, **parts: str) -> str:
        """A sentence of the catalogue with its parts filled in."""
        text = self.words.label(f"notice.{key}")
        return text % parts if parts else text

    def text(self, value: Any) -> str:
        """A declared text in the language, on one line."""
        if isinstance(value, Mapping):
            value = value[text_language(value, self.words.language)] if value else ""
        return " ".join(str(value).split())

    def all(self, part: str) -> list[tuple[str, Any]]:
        """Values of all fields of a part."""
        return self.values.get(part, [])

    def one(self, name: str) -> Any:
        """Value of one field, or None."""
        part, _, key = name.partition("/")
        return next((value for found, value in self.all(part) if found == key), None)

    def party(self, party: Mapping[str, Any]) -> str:
        """A party on one line: name, address, country, contact."""
        country = self.words.value(party["country"], "country")
        said = [party["legal_name"], party["address"], country, party["email"]]
        return ", ".join(self.text(item) for item in (*said, party.get("phone")) if item)

    def function(self, function: Mapping[str, Any]) -> str:
        """A contact point on one line."""
        said = [self.text(function["function"]), function.get("email")]
        said += [function.get("phone"), function.get("url")]
        return ", ".join(str(item) for item in said if item)

    # ------------------------------------------------------------------------------ parts

    def parts(self) -> list[Part]:
        """All parts that have something to say, in the order of Art. 13 and 14."""
        if self.document["capacity"] == "processor":
            return [Part("identity", self.words.label("notice.identity"), (self.say("processor"),))]
        found = [
            Part(key, self.words.label(label), tuple(lines))
            for key, label, lines in (
                ("identity", "notice.identity", list(self.identity())),
                ("object", "notice.object_marketing", list(self.objection())),
                ("purposes", "notice.purposes_basis", list(self.purposes())),
                ("categories", "a30.1c_data", list(self.categories())),
                ("obligation", "notice.obligation", list(self.obligation())),
                ("recipients", "notice.recipients", list(self.recipients())),
                ("transfers", "a30.1e", list(self.transfers())),
                ("storage", "notice.storage_period", list(self.storage())),
                ("ai", "notice.ai_interaction", list(self.ai())),
                ("adm", "notice.adm", list(self.decisions())),
                ("rights", "notice.rights", list(self.rights())),
                ("withdraw", "notice.withdraw", list(self.withdrawal())),
                ("complaint", "notice.complaint", list(self.complaint())),
                ("contact", "notice.contact_points", list(self.contacts())),
            )
        ]
        return [part for part in found if part.paragraphs]

    def identity(self) -> Iterator[str]:
        """Art. 13(1)(a) and (b)."""
        controller = self.one("parties/controller")
        if controller:
            yield self.party(controller)
        for joint in self.one("parties/joint_controllers") or ():
            yield f"{self.words.label('role.joint_controller')}: {self.party(joint['party'])}"
        representative = self.one("parties/representative")
        if representative:
            yield f"{self.words.label('role.representative')}: {self.party(representative)}"
        dpo = self.one("parties/dpo")
        if dpo:
            yield f"{self.words.label('role.dpo')}: {self.function(dpo)}"

    def objection(self) -> Iterator[str]:
        """Art. 21(4): clearly and apart from everything else."""
        block = (self.one("notice") or {}).get("objection_block")
        if block:
            yield self.text(block)

    def purposes(self) -> Iterator[str]:
        """Art. 13(1)(c) and (d), with the benefit for customers."""
        bases, benefits = dict(self.all("legal_basis")), dict(self.all("benefit"))
        for key, purpose in self.all("purposes"):
            yield self.text(purpose["text"])
            basis = bases.get(key) or {}
            if basis.get("art6"):
                yield self.say("basis", basis=self.words.value(basis["art6"], "art6"))
            if basis.get("interest"):
                yield self.say("interest", interest=self.text(basis["interest"]))
            if benefits.get(key):
                yield self.say("benefit", benefit=self.text(benefits[key]["benefit"]))

    def categories(self) -> Iterator[str]:
        """Art. 14(1)(d) and (2)(f)."""
        sources = dict(self.all("source"))
        for key, category in self.all("data_categories"):
            line = self.text(category["text"])
            source = sources.get(key) or {}
            if source.get("source"):
                said = self.words.value(source["source"], "notice_source")
                if source.get("source_detail"):
                    said = f"{said}, {self.text(source['source_detail'])}"
                line = self.say("category", category=line, source=said)
            yield line

    def obligation(self) -> Iterator[str]:
        """Art. 13(2)(e)."""
        for _, item in self.all("provision"):
            key = "must" if item.get("mandatory") else "need_not"
            yield self.say(key, category=self.text(item["category"]))
            if item.get("consequence"):
                yield self.text(item["consequence"])

    def recipients(self) -> Iterator[str]:
        """Art. 13(1)(e)."""
        for _, item in self.all("recipients"):
            country = self.words.value(item["country"], "country")
            yield f"{self.text(item['text'])} ({country})"

    def transfers(self) -> Iterator[str]:
        """Art. 13(1)(f)."""
        names = {key: self.text(item["text"]) for key, item in self.all("recipients")}
        for _, item in self.all("transfers"):
            if item.get("no_transfers"):
                yield self.say("no_transfers")
                continue
            place = item.get("international_organisation") or self.words.value(
                item.get("country", ""), "country"
            )
            yield self.say(
                "transfer",
                recipient=names.get(item["recipient"], item["recipient"]),
                place=self.text(place),
                mechanism=self.words.value(item["mechanism"], "mechanism"),
            )
            if item.get("safeguards"):
                yield self.text(item["safeguards"])
            yield self.say("copy_of_safeguards")

    def storage(self) -> Iterator[str]:
        """Art. 13(2)(a)."""
        names = {key: self.text(item["text"]) for key, item in self.all("data_categories")}
        for _, item in self.all("retention"):
            yield self.say(
                "storage",
                categories="; ".join(names.get(key, key) for key in item["categories"]),
                period=self.words.period(item["period"]),
                event=self.words.value(item["start_event"], "start_event"),
            )

    def ai(self) -> Iterator[str]:
        """Art. 50(1) AI Act: the words people read before or with the first answer."""
        for _, item in self.all("ai_disclosure"):
            yield self.text(item["disclosure"])

    def decisions(self) -> Iterator[str]:
        """Art. 13(2)(f) and 15(1)(h): procedure and principles, not a formula."""
        for _, item in self.all("automated_decisions"):
            yield self.say(
                "decision",
                model=self.text(item["title"]),
                automation=self.words.value(item.get("automation", "none"), "automation"),
                effect=self.words.value(item.get("effect", "none"), "effect"),
            )
            if item.get("explanation"):
                yield self.text(item["explanation"])
            for safeguard in item.get("safeguards") or ():
                yield self.say("safeguard", contact=self.function(safeguard))

    def rights(self) -> Iterator[str]:
        """Art. 13(2)(b)."""
        held = [right for right in _RIGHTS if self._held(right)]
        yield self.say(
            "rights_are", rights="; ".join(self.words.label(f"notice.right_{r}") for r in held)
        )
        rights = self.one("rights") or {}
        if rights.get("contact"):
            yield self.say("rights_contact", contact=self.function(rights["contact"]))
        channels = [self.text(item) for item in rights.get("channels") or ()]
        if channels:
            yield self.say("rights_channels", channels="; ".join(channels))

    def _held(self, right: str) -> bool:
        """Whether the law gives a right here; where no basis is declared, every right is named."""
        bases = {basis["art6"] for _, basis in self.all("legal_basis") if basis.get("art6")}
        if right == "portability":
            return not bases or bool(bases & _PORTABLE)
        if right == "object":
            marketing = (self.one("notice") or {}).get("objection_block")
            return not bases or bool(bases & _OPEN_TO_OBJECTION) or bool(marketing)
        return True

    def withdrawal(self) -> Iterator[str]:
        """Art. 13(2)(c): only where consent is the basis."""
        consent = any((basis or {}).get("art6") == "a" for _, basis in self.all("legal_basis"))
        if consent:
            yield self.say("withdrawal")
            address = (self.one("rights") or {}).get("withdrawal_url")
            if address:
                yield self.text(address)

    def complaint(self) -> Iterator[str]:
        """Art. 13(2)(d)."""
        country = (self.one("parties/controller") or {}).get("country", "")
        key = f"authority.{country}.data_protection"
        known = self.words.labels.get(key)
        name = self.words.label(key) if known else self.words.label("role.supervisory_authority")
        yield self.say("complain", authority=name)

    def contacts(self) -> Iterator[str]:
        """Whom people can reach."""
        for item in self.one("contact_points") or ():
            yield self.function(item)


def notice_text(parts: list[Part]) -> str:
    """A notice as plain text; its SHA-256 names it."""
    lines = []
    for part in parts:
        lines += [part.heading, *part.paragraphs, ""]
    return "\n".join(lines).rstrip() + "\n"
