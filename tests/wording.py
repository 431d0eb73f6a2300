"""Words that the product does not use about itself or its findings (docs/wording.md)."""

from __future__ import annotations

import csv
import re

from nachweis.domain.manifest.common import LANGUAGES
from nachweis.settings import PACKAGE_ROOT

FORBIDDEN = re.compile(
    r"\b(verst(o|ö)(ß|ss)e?\w*|diskriminierung\w*|diskrimination|anonym|anonyme\w*|anonymous|"
    r"anonymi[sz]ed|anonymisiert\w*|anonymiseret|compliant|unbiased|certified|zertifiziert\w*|"
    r"certificeret|immutable|unveränderlich\w*|uforanderlig\w*|revisionssicher\w*|gerichtsfest\w*|"
    r"siegel|segl|deletion proved|must retrain)\b",
    re.IGNORECASE,
)


def official_labels() -> set[str]:
    """Names that law and authorities gave; they stay as they are."""
    path = PACKAGE_ROOT / "controls" / "labels.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return {row[key] for row in csv.DictReader(stream) for key in LANGUAGES}
