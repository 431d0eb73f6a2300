"""Words that the product does not use about itself, a model or a finding (docs/wording.md)."""

from __future__ import annotations

import re

_NEVER = (
    r"verst(?:o|ö)(?:ß|ss)e?\w*|violations?|diskriminierung\w*|diskrimination\w*|discriminat\w*|"
    r"fair|unfair|compliant|unbiased|certified|zertifiziert\w*|certificeret|"
    r"sealed|siegel|versiegelt\w*|segl|immutable|unveränderlich\w*|uforanderlig\w*|"
    r"revisionssicher\w*|gerichtsfest\w*|deletion proved|must retrain|in breach|breached"
)
"""A breach is a word of law for what a person decides; only as a verdict it is left out."""
_WITH_DOSSIER = (
    r"anonym|anonyme\w*|anonymous(?! access)|anonymi[sz]ed|anonymisiert\w*|anonymiseret\w*"
)
"""Not said of data unless the text names the dossier that must stand behind it."""

FORBIDDEN = re.compile(rf"(?<!k-)\b(?:{_NEVER}|{_WITH_DOSSIER})\b", re.IGNORECASE)
_DOSSIER = re.compile(r"dossier", re.IGNORECASE)
_ALWAYS_FORBIDDEN = re.compile(rf"\b(?:{_NEVER})\b", re.IGNORECASE)


def forbidden_words(text: str) -> list[str]:
    """Words of a text that the product does not use.

    Args:
        text: What people will read, whole: a word may need another one beside it.

    Returns:
        The words as they stand, in order.
    """
    pattern = _ALWAYS_FORBIDDEN if _DOSSIER.search(text) else FORBIDDEN
    return pattern.findall(text)
