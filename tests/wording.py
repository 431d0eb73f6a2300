"""What tests of wording share."""

from __future__ import annotations

import csv

from nachweis.domain.manifest.common import LANGUAGES
from nachweis.pages.wording import FORBIDDEN, forbidden_words
from nachweis.settings import PACKAGE_ROOT

__all__ = ["FORBIDDEN", "forbidden_words", "official_labels"]


def official_labels() -> set[str]:
    """Names that law and authorities gave; they stay as they are."""
    path = PACKAGE_ROOT / "controls" / "labels.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return {row[key] for row in csv.DictReader(stream) for key in LANGUAGES}
