"""Compare copies of published notices with the notices generated from the record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from nachweis.domain.canonical import digest_bytes, parse
from nachweis.domain.errors import NachweisError
from nachweis.domain.manifest import Activity
from nachweis.domain.published import PublishedNotice
from nachweis.domain.record import Record
from nachweis.pages.notice import Notice, notice_text
from nachweis.pages.words import Words, translations
from nachweis.pipeline.load import Loaded
from nachweis.settings import Settings
from nachweis.storage.rendered_text import shown_text

_LARGEST_COPY = 2_000_000


def published_notices(
    settings: Settings, loaded: Loaded, records: Mapping[str, Record]
) -> dict[str, tuple[PublishedNotice, ...]]:
    """Look for every paragraph of the generated notices in the declared copies.

    Args:
        settings: Where templates are.
        loaded: All manifests and where they were read from.
        records: Activity to its record tonight.

    Returns:
        Activity to one comparison per declared copy; activities without copies are left out.
    """
    found = {}
    for key, activity in sorted(loaded.world.activities.items()):
        origin = loaded.origins.get(("activities", key))
        if not activity.notice.copies or key not in records or origin is None:
            continue
        found[key] = tuple(
            _compared(
                activity,
                records[key],
                origin.folder,
                Words(
                    language,
                    loaded.world.controls.labels,
                    translations(settings.templates, language),
                ),
            )
            for language in records[key].languages
            if language in activity.notice.copies
        )
    return found


def _compared(activity: Activity, record: Record, folder: Path, words: Words) -> PublishedNotice:
    notice = Notice(parse(record.canonical()), words)
    parts = notice.parts()
    generated = digest_bytes(notice_text(parts).encode("utf-8"))
    try:
        copy = _text_of(folder, activity.notice.copies[words.language])
    except NachweisError:
        return PublishedNotice(words.language, generated, 0, 0, problem="copy_unreadable")
    paragraphs = [line for part in parts for line in part.paragraphs]
    # A processor's text names no party; its one sentence says that the controller informs.
    parties = [] if record.capacity == "processor" else list(notice.identity())
    return PublishedNotice(
        language=words.language,
        generated_digest=generated,
        paragraphs=len(paragraphs),
        found=sum(_says(copy, line) for line in paragraphs),
        parties=len(parties),
        parties_found=sum(_says(copy, line) for line in parties),
    )


def _text_of(folder: Path, name: str) -> str:
    """What readers of a copy inside its world folder see, without markup and line breaks."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise NachweisError("the copy lies outside its world folder", where="notice.copies")
    try:
        if path.stat().st_size > _LARGEST_COPY:
            raise NachweisError("the copy is larger than 2 MB", where="notice.copies")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NachweisError("the copy cannot be read", where="notice.copies") from error
    return _normal(shown_text(text))


def _says(copy: str, line: str) -> bool:
    """Whether a copy holds a line word for word: "Street 1" does not stand in "Street 12"."""
    line = _normal(line)
    before = r"(?<!\w)" if line[:1].isalnum() else ""
    after = r"(?!\w)" if line[-1:].isalnum() else ""
    return bool(line) and re.search(before + re.escape(line) + after, copy) is not None


def _normal(text: str) -> str:
    return " ".join(text.split())
