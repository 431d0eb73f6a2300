"""Exports: one module per format, found by walking this folder.

A format is a pure function of signed JSON documents (and of the catalogues that ship with the
product) to bytes: no clock, no locale, no host name, no network. Modules whose name begins with
an underscore support the others.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import MappingProxyType

from nachweis.domain.errors import NachweisError, suggestion
from nachweis.pages.exports._model import Decision, Format, Kind, Source, Version

__all__ = ["Decision", "Format", "Kind", "Source", "Version", "by_name", "formats", "renderings"]


@cache
def formats() -> Mapping[str, Format]:
    """All formats by name.

    Returns:
        Name to format, in alphabetical order.

    Raises:
        NachweisError: If a module defines no format or two define the same name.
    """
    found: dict[str, Format] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda item: item.name):
        if module.name.startswith("_"):
            continue
        made = getattr(importlib.import_module(f"{__name__}.{module.name}"), "FORMAT", None)
        if not isinstance(made, Format):
            raise NachweisError(
                "an export module needs a FORMAT", where=f"pages/exports/{module.name}.py"
            )
        if made.name in found:
            raise NachweisError(
                f"two export modules claim the name {made.name!r}",
                where=f"pages/exports/{module.name}.py",
                remedy="rename one of them",
            )
        found[made.name] = made
    return MappingProxyType(dict(sorted(found.items())))


def by_name(name: str, kind: Kind) -> Format:
    """The format people asked for.

    Args:
        name: Its name.
        kind: What shall be exported.

    Returns:
        The format.

    Raises:
        NachweisError: If there is none, or it cannot write this kind of document.
    """
    usable = [key for key, item in formats().items() if kind in item.kinds]
    if name not in usable:
        raise NachweisError(
            f"a {kind} cannot be written as {name}" if name in formats() else "not a format",
            where="--format",
            remedy=suggestion(name, usable),
            valid=usable,
        )
    return formats()[name]


def renderings(sources: Mapping[str, Source]) -> Iterator[tuple[str, bytes | NachweisError]]:
    """What is written beside a new version.

    Args:
        sources: Language to the version's source in it; all of the same version.

    Yields:
        File name and bytes, or why it cannot be written, in the order of the formats; formats
        without words once.
    """
    first = next(iter(sources.values()))
    jobs = [
        (made, made.file_name(first.kind, language), source)
        for made in formats().values()
        if made.stored and first.kind in made.kinds
        for language, source in (sources.items() if made.spoken else [("", first)])
    ]

    def rendered(job: tuple[Format, str, Source]) -> tuple[str, bytes | NachweisError]:
        made, name, source = job
        try:
            return name, made.render(source)
        except NachweisError as error:
            return name, error
        except Exception as error:  # noqa: BLE001 - a dropped file may fail in any way
            return name, NachweisError(f"the format crashed ({type(error).__name__})", where=name)

    # The typesetter works outside the interpreter's lock: languages are set side by side.
    with ThreadPoolExecutor(max_workers=len(sources)) as pool:
        yield from pool.map(rendered, jobs)
