"""Raw values of data sets that few people carry, and every trace of them in what was published.

Published content is unpacked as far as it goes: gzip, ZIP files (workbooks among them), the text
and the attachments of PDF files, the payloads of signed envelopes and anything else in base64,
escapes of JSON and HTML. What is left is read as words, so that a value is found in any sentence.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import html
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb  # noqa: TID253 - reads the data beside the product, not through it
import pandas as pd  # noqa: TID253
import pikepdf
import pypdfium2

from nachweis.domain.manifest import World
from nachweis.settings import PACKAGE_ROOT, Settings
from nachweis.storage.s3 import open_store

FEW = 10
"""Values that fewer people carry are not published."""
_WORD = re.compile(r"\w+")
_PARTS = re.compile(r'[<>"\n]+')
"""Between these stand the texts of pages and documents, most of them many times."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")
_LONG = 5
"""Words in a row by which a longer text is recognised, wherever in it they stand."""
_READERS = {
    ".parquet": "read_parquet({files})",
    ".jsonl": "read_json({files}, format='newline_delimited')",
}

Words = tuple[str, ...]


# ----------------------------------------------------------------------------- what there is


@dataclass(frozen=True)
class RawValues:
    """Subject keys, and values that fewer than ten people carry, by the words they consist of."""

    keys: frozenset[Words]
    rare: Mapping[Words, str]
    """Words to the data set and column."""


def raw_values(
    world: World, folder: Path, nights: Sequence[str], read: Container[str] | None = None
) -> RawValues:
    """What the data sets of a world hold on some nights and must not be published.

    Args:
        world: Its manifests.
        folder: Where the locations start.
        nights: ``{date}`` in locations.
        read: Data sets that were read; default is all.

    Returns:
        Keys and rare values; words that manifests use themselves are not raw values.
    """
    keys: set[Words] = set()
    rare: dict[Words, str] = {}
    for data_set in world.data_sets.values():
        if read is not None and data_set.id not in read:
            continue
        location = str(data_set.location)
        paths = {folder / location.replace("{date}", night) for night in nights}
        present = sorted(str(path) for path in paths if path.exists())
        if not present:
            continue
        reader = _READERS.get(Path(location).suffix, "text")
        source = reader.format(files=present)
        if reader == "text":
            duckdb.register("read", pd.concat([_text_table(path) for path in present]))
            duckdb.execute("CREATE OR REPLACE TEMP TABLE text AS FROM read")
        subject = data_set.subject_key.column if data_set.subject_key else None
        person = f'count(DISTINCT "{subject}")' if subject else "count(*)"
        types = duckdb.sql(f"DESCRIBE SELECT * FROM {source}").fetchall()
        for column, kind, *_ in types:
            if kind != "VARCHAR":
                continue  # a number is like any other
            few = duckdb.sql(
                f'SELECT "{column}"::VARCHAR FROM {source} WHERE "{column}" IS NOT NULL '
                f"GROUP BY 1 HAVING {person} < {FEW}"
            ).fetchall()
            values = {str(value) for (value,) in few}
            if column == subject or column == data_set.fields.get("key"):
                keys |= {words(value) for value in values if len(value) >= 6}
            exact = {value for value in values if _telling(value)}
            rare |= {words(value): f"{data_set.id}, {column}" for value in exact}
    return RawValues(frozenset(keys), rare)


def _text_table(path: str) -> pd.DataFrame:
    """A CSV file, every value as the text that it is in the file."""
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as file:
        first = file.readline()
    separator = max(";,", key=first.count)
    return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)


def _telling(value: str) -> bool:
    """Whether a value is recognisable among other words and numbers; a 7 or a yes is not."""
    return len(value) >= (6 if value.isdigit() else 4)


def words(text: str) -> Words:
    """The words and numbers of a text in lower case."""
    return tuple(_WORD.findall(text.lower()))


# ------------------------------------------------------------------------ what was published


@dataclass
class Published:
    """Everything that was published, as words; what is repeated is read once."""

    singles: set[str] = field(default_factory=set)
    names: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    """How content was packed that was read: gzip, zip, pdf, attachment, base64."""
    _rows: list[Words] = field(default_factory=list)
    _runs: dict[int, set[Words]] = field(default_factory=dict)
    _seen: set[bytes | str] = field(default_factory=set)

    def add(self, name: str, content: bytes) -> None:
        """Read an object or a file, and whatever is packed in it."""
        self.names.append(name)
        self._read(name.encode())
        self._unpack(content)

    def found(
        self, raw: RawValues, declared: Callable[[], Published] | None = None
    ) -> dict[str, int]:
        """Raw values that occur, as counts by what they are; never the values themselves.

        Args:
            raw: What to look for.
            declared: What people wrote in manifests and templates, which is no raw value.

        Returns:
            ``subject key`` or data set and column, to how many values of it were found.
        """
        hits = {one: "subject key" for one in raw.keys if self.holds(one)}
        hits |= {one: what for one, what in raw.rare.items() if self.holds(one)}
        if hits and declared is not None:
            written = declared()
            hits = {one: what for one, what in hits.items() if not written.holds(one)}
        return dict(Counter(hits.values()))

    def holds(self, value: Words) -> bool:
        """Whether a value stands somewhere, or of a longer text some words of it in a row."""
        if len(value) < 2:
            return bool(value) and value[0] in self.singles
        size = min(len(value), _LONG)
        parts = (value[at : at + size] for at in range(len(value) - size + 1))
        return any(part in self._of_length(size) for part in parts if part[0] in self.singles)

    def _of_length(self, size: int) -> set[Words]:
        """Every so many words in a row."""
        if size not in self._runs:
            self._runs[size] = {
                run
                for row in self._rows
                for run in zip(*(row[at:] for at in range(size)), strict=False)
            }
        return self._runs[size]

    def _unpack(self, content: bytes) -> None:
        digest = hashlib.sha256(content).digest()
        if digest in self._seen:
            return
        self._seen.add(digest)
        if content[:2] == b"\x1f\x8b":
            self.kinds.add("gzip")
            self._unpack(gzip.decompress(content))
        elif content[:4] == b"PK\x03\x04":
            self.kinds.add("zip")
            with zipfile.ZipFile(io.BytesIO(content)) as parts:
                for name in parts.namelist():
                    self._read(name.encode())
                    self._unpack(parts.read(name))
        elif content[:5] == b"%PDF-":
            self.kinds.add("pdf")
            for part in _parts_of_pdf(content):
                self.kinds |= {"attachment"} if isinstance(part, bytes) else set()
                self._unpack(part if isinstance(part, bytes) else part.encode())
        else:
            self._read(content)
            for token in set(_BASE64.findall(content)):
                inner = _decoded(token)
                if inner is not None:
                    self.kinds.add("base64")
                    self._unpack(inner)

    def _read(self, content: bytes) -> None:
        text = content.decode("utf-8", "replace")
        for form in {text, html.unescape(text), _unescaped(text)}:
            for part in set(_PARTS.split(form)) - self._seen:
                self._seen.add(part)
                row = words(part)
                if row:
                    self._rows.append(row)
                    self.singles.update(row)


def _parts_of_pdf(content: bytes) -> Iterator[str | bytes]:
    document = pypdfium2.PdfDocument(content)
    for page in document:
        yield page.get_textpage().get_text_range()
    with pikepdf.open(io.BytesIO(content)) as pdf:
        for attached in pdf.attachments.values():
            yield attached.get_file().read_bytes()
        yield str(pdf.open_metadata())


def _decoded(token: bytes) -> bytes | None:
    """What base64 holds, if it is packed or text."""
    if len(token) % 4:
        return None
    try:
        inner = base64.b64decode(token, validate=True)
        return inner if inner[:2] == b"\x1f\x8b" or inner.decode("utf-8").isprintable() else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _unescaped(text: str) -> str:
    """The strings of a JSON document without escapes; other text as it is."""
    if "\\u" not in text and '\\"' not in text and "\\n" not in text:
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False).replace("\\n", " ")
    except ValueError:
        return text


def everything(settings: Settings, more: Iterable[Path] = ()) -> Published:
    """Every object of every bucket, the local site, and further files."""
    published = Published()
    for role in ("records", "narratives", "site", "anchor"):
        store = open_store(settings, role)
        for item in store.list(""):
            published.add(f"{role}/{item.key}", store.get(item.key))
    for folder in (settings.site, *more):
        for path in [folder] if folder.is_file() else sorted(folder.rglob("*")):
            if path.is_file():
                published.add(str(path.relative_to(folder)), path.read_bytes())
    return published


def declared(world: Path) -> Published:
    """What people wrote: manifests, suites, controls, templates, and the checks' own sentences."""
    written = Published()
    roots = [world / "manifests", world / "expectations"]
    roots += [PACKAGE_ROOT / name for name in ("controls", "templates", "plugins")]
    for root in roots:
        for path in root.rglob("*"):
            if path.suffix in {".yaml", ".po", ".py", ".j2", ".html", ".json", ".txt"}:
                written.add(path.name, path.read_bytes())
    return written
