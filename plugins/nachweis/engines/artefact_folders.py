"""Files that lie in the folders of declared model artefacts: names and digests, never content."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path, PurePosixPath

from nachweis.domain.errors import DataError
from nachweis.domain.observation import ArtefactFile
from nachweis.engines.sources import is_remote
from nachweis.engines.versions import S3Lister, file_digest

MODEL_SUFFIXES = frozenset(
    {
        ".bin",
        ".bst",
        ".cbm",
        ".gguf",
        ".h5",
        ".hdf5",
        ".joblib",
        ".keras",
        ".mlmodel",
        ".model",
        ".onnx",
        ".pb",
        ".pickle",
        ".pkl",
        ".pmml",
        ".pt",
        ".pth",
        ".safetensors",
        ".skops",
        ".tflite",
        ".ubj",
    }
)
"""Endings by which a file is taken for a stored model."""

_MOST_FILES = 1000


def folder_of(uri: str) -> str | None:
    """The folder or prefix that an artefact lies in.

    Args:
        uri: URI of an artefact as a manifest writes it.

    Returns:
        The folder in the same form; None for artefacts behind a service.
    """
    if is_remote(uri):
        return uri.rpartition("/")[0]
    return None if "://" in uri else PurePosixPath(uri).parent.as_posix()


def same_name(uri: str) -> str:
    """An artefact's URI in the one form in which two can be compared."""
    return uri if "://" in uri else PurePosixPath(uri).as_posix()


def files_beside(
    folders: Iterable[str],
    base: Path,
    cache: Path,
    lister: S3Lister | None,
    *,
    below: Iterable[str] = (),
    known: Iterable[str] = (),
) -> tuple[ArtefactFile, ...]:
    """Stored models directly in folders of artefacts, and anywhere below others.

    Args:
        folders: Folders as :func:`folder_of` gives them.
        base: Folder that relative ones start at.
        cache: Local folder for digests.
        lister: Lists objects in S3.
        below: Folders that are looked through with everything below them.
        known: URIs of declared artefacts, in whatever form manifests write them.

    Returns:
        URIs with their digests, sorted, each file once: as ``known`` names it, else relative to
        the base where it lies below that, however the folder was written.

    Raises:
        DataError: If a folder cannot be listed or holds too many files.
    """
    found: dict[str, ArtefactFile] = {}
    deep = {folder.rstrip("/") or folder for folder in below}
    names = {_place(base / uri): same_name(uri) for uri in known if "://" not in uri}
    for folder in sorted(deep | set(folders)):
        files = (
            _remote(folder, lister, folder in deep)
            if is_remote(folder)
            else _local(folder, base, cache, folder in deep, names)
        )
        found |= {file.uri: file for file in files}
        if len(found) > _MOST_FILES:
            raise DataError(
                f"the artefacts' folders hold more than {_MOST_FILES} files",
                remedy="keep models in a folder of their own",
            )
    return tuple(found[uri] for uri in sorted(found))


def _local(
    folder: str, base: Path, cache: Path, deep: bool, names: Mapping[Path, str]
) -> list[ArtefactFile]:
    place = base / folder
    try:
        listed = (path for each in _walk(place, deep) for path in each)
        paths = list(islice(listed, _MOST_FILES + 1))
        return [
            ArtefactFile(
                names.get(_place(path)) or _name(_place(path), base), file_digest(path, cache)
            )
            for path in paths
        ]
    except OSError as error:
        raise DataError(
            f"the folder of the artefacts cannot be read ({type(error).__name__})",
            where=folder,
            remedy="check 'artefact.uri' in the model's manifest, and read access",
        ) from error


def _place(path: Path) -> Path:
    """Where a file lies, whatever way leads there; a link is a file of its own."""
    return Path(os.path.realpath(path.parent)) / path.name


def _name(place: Path, base: Path) -> str:
    """A file's name from the base on, as a manifest would write it; absolute if it is elsewhere."""
    root = Path(os.path.realpath(base))
    inside = place.is_relative_to(root)
    return (place.relative_to(root) if inside else place).as_posix()


def _walk(place: Path, deep: bool) -> Iterator[list[Path]]:
    """Stored models folder by folder; links to folders are not followed."""
    entries = sorted(place.iterdir())
    yield [path for path in entries if _is_model(path.name) and path.is_file()]
    if deep:
        for path in entries:
            if path.is_dir() and not path.is_symlink():
                yield from _walk(path, deep)


def _remote(prefix: str, lister: S3Lister | None, deep: bool) -> list[ArtefactFile]:
    if lister is None:
        raise DataError("there is no access to artefacts in S3", where=prefix)
    return [
        ArtefactFile(uri, checksum or None)
        for uri, _, checksum in lister(f"{prefix}/**" if deep else f"{prefix}/*")
        if _is_model(PurePosixPath(uri).name)
    ]


def _is_model(name: str) -> bool:
    return not name.startswith(".") and PurePosixPath(name.lower()).suffix in MODEL_SUFFIXES
