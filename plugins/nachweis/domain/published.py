"""What a copy of a published notice says, compared with the notice generated from the record."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublishedNotice:
    """A comparison of texts; counts and digests, no text.

    Attributes:
        language: Language of the notice.
        generated_digest: SHA-256 of the generated text.
        paragraphs: Paragraphs of the generated text.
        found: How many of them stand in the published copy.
        parties: Names and addresses of the responsible parties that the notice must name.
        parties_found: How many of them stand in the copy.
        problem: Why the copy could not be read; empty if it could.
    """

    language: str
    generated_digest: str
    paragraphs: int
    found: int
    parties: int = 0
    parties_found: int = 0
    problem: str = ""
