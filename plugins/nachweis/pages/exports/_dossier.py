"""What formats about models read from a dossier, wherever its sections keep it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nachweis.pages.exports._model import Version, mappings, values
from nachweis.pages.render import harmless, is_text_map
from nachweis.pages.words import text_language

TASKS: Mapping[str, str] = {
    "binary": "tabular-classification",
    "multiclass": "tabular-classification",
    "regression": "tabular-regression",
    "generative": "text-generation",
}
"""Kinds of model that have a name in the common list of tasks; others keep their own."""

_MEASURED = frozenset({"MONITOR", "BIAS"})


class Dossier:
    """One dossier, read defensively: a part that is not there is empty.

    Args:
        version: The version.
        language: Language of texts; English, then any, where it is missing.
    """

    def __init__(self, version: Version, language: str) -> None:
        self.version = version
        self.document = version.document
        self.language = language

    def text(self, value: Any) -> str:
        """A declared text; nothing for what is not one."""
        if is_text_map(value):
            value = value[text_language(value, self.language)]
        return str(harmless(value)) if isinstance(value, str) else ""

    def texts(self, field: str) -> list[str]:
        """All texts of a field."""
        found = []
        for _, value in values(self.document, field):
            items = value if isinstance(value, list) else [value]
            found += [said for item in items if (said := self.text(item))]
        return found

    def part(self, field: str, name: str) -> Any:
        """A part of a field's value, or None."""
        for key, value in mappings(self.document, field):
            if not key and value.get(name) is not None:
                return value[name]
        return None

    def rows(self, field: str) -> list[Mapping[str, Any]]:
        """Entries of a field that holds a list."""
        return [
            item
            for _, value in values(self.document, field)
            for item in (value if isinstance(value, list) else [value])
            if isinstance(item, Mapping)
        ]

    @property
    def title(self) -> str:
        """The model's title."""
        return self.text(self.document["title"])

    @property
    def kind(self) -> str:
        """Kind of model, for example ``binary``."""
        return str(self.document.get("model_kind", ""))

    @property
    def task(self) -> str:
        """The task in the common list, or the kind."""
        return TASKS.get(self.kind, self.kind)

    def data_sets(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Id and sheet of every data set."""
        return [(key, sheet) for key, sheet in mappings(self.document, "data") if key]

    def measurements(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Numbers of the night about quality and groups: check and measurement."""
        assessment = self.version.assessment or {}
        for view in assessment.get("findings") or ():
            finding = view["finding"]
            if finding["subject"]["kind"] != "model" or not _MEASURED & set(finding["controls"]):
                continue
            for measurement in finding.get("measurements") or ():
                value = measurement.get("value")
                if isinstance(value, int | float) and not isinstance(value, bool):
                    yield str(finding["check"]), measurement
