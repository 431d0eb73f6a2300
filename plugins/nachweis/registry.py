"""Discovery of checks: folders are walked, nobody keeps a list, duplicates are refused by name."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType, ModuleType

import nachweis.checks
from nachweis.domain.check import Check
from nachweis.domain.errors import CheckDefinitionError, NachweisError, suggestion
from nachweis.domain.finding import Subject, SubjectKind
from nachweis.domain.manifest import World

FAMILIES = Path(nachweis.checks.__file__).parent
"""Folder of the shipped families; a file dropped there is found."""


def checks(folder: Path = FAMILIES) -> Mapping[str, type[Check]]:
    """Find the checks of a folder of families.

    Files whose name begins with an underscore are support code and are not checks. Imported
    modules stay imported, so a second call is cheap.

    Args:
        folder: Folder with one sub-folder per family and one file per check.

    Returns:
        Check id to class, sorted by family and id.

    Raises:
        CheckDefinitionError: If a file cannot be imported, does not hold exactly one check, or
            claims an id or alias that another file already has.
    """
    return _checks(Path(folder).resolve())


def check(name: str, folder: Path = FAMILIES) -> type[Check]:
    """Look a check up by its id, one of its aliases, or ``family/id``.

    Args:
        name: The id, alias or path.
        folder: Folder of families.

    Returns:
        The class.

    Raises:
        CheckDefinitionError: If no check has this name; the message suggests the closest one.
    """
    known = checks(folder)
    wanted = name.rsplit("/", 1)[-1]
    for found in known.values():
        if wanted == found.id or wanted in found.aliases:
            return found
    raise CheckDefinitionError(
        f"there is no check {name!r}",
        remedy=suggestion(wanted, known) or "see `nachweis check list`",
        valid=sorted(known),
    )


def applicable(world: World, subject: Subject, folder: Path = FAMILIES) -> list[type[Check]]:
    """Checks whose statement is about this subject: of its kind and, within it, its role or kind.

    Whether their needs are met is a later question; see :func:`nachweis.pipeline.judge`.

    Args:
        world: All manifests.
        subject: A data set, model or other subject.
        folder: Folder of families.

    Returns:
        Classes in the order of :func:`checks`.
    """

    def concerns(candidate: type[Check]) -> bool:
        if candidate.subject is not subject.kind:
            return False
        if subject.kind is SubjectKind.DATA_SET:
            return world.data_sets[subject.id].role in candidate.data_set_roles
        if subject.kind is SubjectKind.MODEL:
            return world.models[subject.id].kind in candidate.model_kinds
        return True

    return [candidate for candidate in checks(folder).values() if concerns(candidate)]


def source_file(found: type[Check]) -> Path:
    """The file that defines a check."""
    return Path(inspect.getfile(found.judge))


# --------------------------------------------------------------------------------- discovery


def _checks(folder: Path) -> Mapping[str, type[Check]]:
    if not folder.is_dir():
        raise CheckDefinitionError("not a folder of check families", where=str(folder))
    classes = [_only_check(module) for module in _modules(folder)]
    classes.sort(key=lambda found: (found.family, found.id))
    owners: dict[str, type[Check]] = {}
    for found in classes:
        for name in (found.id, *found.aliases):
            if name in owners:
                raise CheckDefinitionError(
                    f"two checks claim the name {name!r}: "
                    f"{source_file(owners[name])} and {source_file(found)}",
                    remedy="rename one file, or drop the alias",
                )
            owners[name] = found
    return MappingProxyType({found.id: found for found in classes})


def _modules(folder: Path) -> Iterator[ModuleType]:
    prefix = "nachweis.checks" if folder == FAMILIES.resolve() else _own_prefix(folder)
    for path in sorted(folder.glob("[!_.]*/[!_.]*.py")):
        yield _load(f"{prefix}.{path.parent.name}.{path.stem}", path, folder)


def _own_prefix(folder: Path) -> str:
    """A package name of its own, so that two folders may hold files of the same name."""
    return f"nachweis_checks_{sha256(str(folder).encode()).hexdigest()[:12]}"


def _load(name: str, path: Path, folder: Path) -> ModuleType:
    try:
        if folder == FAMILIES.resolve():
            return importlib.import_module(name)
        return _load_file(name, path, folder)
    except NachweisError:
        raise
    except Exception as error:  # a dropped file may fail in any way when imported
        raise CheckDefinitionError(
            f"the file cannot be imported ({type(error).__name__}: {error})", where=str(path)
        ) from error


def _load_file(name: str, path: Path, folder: Path) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    prefix, family, _ = name.split(".")
    _package(prefix, folder)
    _package(f"{prefix}.{family}", folder / family)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no loader for {path.name}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _package(name: str, folder: Path) -> None:
    """Register a folder as a package, so that support files beside a check can be imported."""
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package


def _only_check(module: ModuleType) -> type[Check]:
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Check)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    ]
    if len(own) != 1:
        raise CheckDefinitionError(
            f"the file defines {len(own)} checks ({', '.join(c.__name__ for c in own) or 'none'})",
            where=str(module.__file__),
            remedy="define exactly one subclass of Check per file; support code goes into files "
            "whose name begins with an underscore",
        )
    return own[0]
