"""Read what people declared: manifests, suites, controls; every problem with file and line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from nachweis.domain.control import (
    AttackTechnique,
    Control,
    ControlCatalogue,
    InjectionPattern,
    LegalDate,
)
from nachweis.domain.errors import ManifestError, suggestion
from nachweis.domain.manifest import (
    Activity,
    Attestation,
    DataSet,
    Event,
    Model,
    Organisation,
    Policy,
    Suite,
    Waiver,
    World,
)
from nachweis.pipeline.yaml_files import FieldPath, YamlDocument, read_yaml
from nachweis.settings import Settings

FOLDERS: Mapping[str, tuple[str, type[BaseModel]]] = {
    "activities": ("manifests/activities", Activity),
    "models": ("manifests/models", Model),
    "data_sets": ("manifests/datasets", DataSet),
    "attestations": ("manifests/attestations", Attestation),
    "waivers": ("manifests/waivers", Waiver),
    "events": ("manifests/events", Event),
    "suites": ("expectations", Suite),
}
"""Field of ``World`` to folder and model; one file holds one manifest named like its id."""


_SINGLE: Mapping[str, type[BaseModel]] = {"organisation": Organisation, "policy": Policy}


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to correct.

    Attributes:
        file: File as a path relative to its world folder.
        line: Line, starting at 1.
        field: Dotted path of the field, empty for the whole file.
        what: What is wrong.
        remedy: What to do.
        valid: Allowed values, where the problem is about an unknown one.
        warning: Whether the night can run and documents are merely stamped.
    """

    file: str
    line: int
    field: str
    what: str
    remedy: str = ""
    valid: tuple[str, ...] = ()
    warning: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" + (f" {self.field}" if self.field else "")
        text = f"{place}: {self.what}"
        if self.remedy:
            text += f". {self.remedy[0].upper()}{self.remedy[1:]}"
        if self.valid:
            text += f" (allowed: {', '.join(self.valid)})"
        return text


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a manifest was read from."""

    folder: Path
    file: str
    document: YamlDocument

    def problem(
        self,
        path: FieldPath,
        what: str,
        remedy: str = "",
        valid: Iterable[str] = (),
        *,
        warning: bool = False,
    ) -> Problem:
        """A problem at a field of this file."""
        dotted = ".".join(str(part) for part in path)
        return Problem(
            self.file, self.document.line(path), dotted, what, remedy, tuple(valid), warning
        )


@dataclass(slots=True)
class Loaded:
    """Everything that could be read, and everything that could not.

    Attributes:
        world: Valid manifests.
        bases: Data-set id to the folder its relative location starts at.
        origins: (kind, id) to where it was read.
        problems: What is wrong with the others; cross references are the linter's work.
    """

    world: World
    bases: dict[str, Path]
    origins: dict[tuple[str, str], Origin]
    problems: list[Problem] = field(default_factory=list)


def load_world(settings: Settings) -> Loaded:
    """Read all world folders; unchanged files are read once per process.

    Args:
        settings: Where manifests, suites and controls are.

    Returns:
        The valid manifests and the problems of the others. A broken manifest never hides the
        others.

    Raises:
        ManifestError: If there is no usable organisation.yaml; nothing can run without it.
    """
    asked = (tuple(settings.world_folders), settings.controls.resolve(), _stamps(settings))
    if asked not in _READ:
        _READ.clear()
        _READ[asked] = _read(settings)
    return _READ[asked]


_READ: dict[tuple[Any, ...], Loaded] = {}
"""The world read last; a task reads it many times, and its files rarely change meanwhile."""


def _stamps(settings: Settings) -> tuple[tuple[str, int, int, int], ...]:
    """Name, size, time and inode of every file that makes up the world."""
    folders = [settings.controls, *(f / "manifests" for f in settings.world_folders)]
    folders += [folder / sub for folder in settings.world_folders for sub, _ in FOLDERS.values()]
    found = []
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not path.exists():
                continue  # a dangling link, such as an editor's lock file
            facts = path.stat()
            found.append((str(path), facts.st_size, facts.st_mtime_ns, facts.st_ino))
    return tuple(found)


def _read(settings: Settings) -> Loaded:
    reading = _Reading()
    single, problems = reading.single, reading.problems
    bases: dict[str, Path] = {}

    for folder in settings.world_folders:
        for name, one in _SINGLE.items():
            path = folder / "manifests" / f"{name}.yaml"
            if path.is_file():
                reading.add_single(name, one, path, folder)
        for kind, (sub, model) in FOLDERS.items():
            for path in _yaml_files(folder / sub, problems, folder):
                manifest = reading.add(kind, model, path, folder)
                if manifest is not None and kind == "data_sets":
                    bases[manifest.id] = folder

    if "organisation" not in single:
        said = next((p for p in problems if p.file.endswith("organisation.yaml")), None)
        raise ManifestError(
            str(said) if said else "there is no manifests/organisation.yaml",
            where=", ".join(str(folder) for folder in settings.world_folders),
            remedy="name the folders of your world in NACHWEIS_WORLD, joined like PATH, or write "
            "one: `nachweis init` makes a draft",
        )
    world = World(
        organisation=single["organisation"],
        policy=single.get("policy", Policy()),
        controls=load_controls(settings.controls),
        **reading.found,
    )
    return Loaded(world, bases, reading.origins, sorted(problems))


def _yaml_files(folder: Path, problems: list[Problem], base: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = []
    for path in sorted(folder.iterdir()):
        if path.suffix == ".yml":
            problems.append(
                Problem(str(path.relative_to(base)), 1, "", "ends in .yml", "name it .yaml instead")
            )
        elif path.suffix == ".yaml" and path.is_file():
            files.append(path)
    return files


@dataclass(slots=True)
class _Reading:
    """What was found so far, file by file."""

    single: dict[str, Any] = field(default_factory=dict)
    found: dict[str, dict[str, Any]] = field(default_factory=lambda: {kind: {} for kind in FOLDERS})
    origins: dict[tuple[str, str], Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add_single(self, name: str, model: type[BaseModel], path: Path, folder: Path) -> None:
        """Read a manifest of which a world has one."""
        manifest, origin = self._parse(model, path, folder)
        if (name, "") in self.origins:
            first = self.origins[(name, "")]
            what = f"{name}.yaml is also in {first.folder.name}/"
            self.problems.append(origin.problem((), what, "keep one of them"))
            return
        self.origins[(name, "")] = origin
        if manifest is not None:
            self.single[name] = manifest

    def add(self, kind: str, model: type[BaseModel], path: Path, folder: Path) -> Any:
        """Read one of many manifests; None if it is not valid."""
        manifest, origin = self._parse(model, path, folder)
        if manifest is None:
            self.origins.setdefault((kind, path.stem), origin)
            return None
        if manifest.id != path.stem:
            self.problems.append(
                origin.problem(
                    ("id",),
                    f"the id {manifest.id!r} is not the file's name",
                    f"name the file {manifest.id}.yaml or change the id",
                )
            )
            return None
        if manifest.id in self.found[kind]:
            first = self.origins[(kind, manifest.id)]
            self.problems.append(
                origin.problem(
                    ("id",),
                    f"{manifest.id!r} is also in {first.folder.name}/{first.file}",
                    "give one of them another id",
                )
            )
            return None
        self.found[kind][manifest.id] = manifest
        self.origins[(kind, manifest.id)] = origin
        return manifest

    def _parse(self, model: type[BaseModel], path: Path, folder: Path) -> tuple[Any, Origin]:
        document = read_yaml(path)
        origin = Origin(folder, str(path.relative_to(folder)), document)
        if document.problems:
            self.problems.extend(
                Problem(origin.file, p.line, "", p.what, p.remedy) for p in document.problems
            )
            return None, origin
        if not isinstance(document.data, dict):
            self.problems.append(origin.problem((), "holds no mapping", "begin with 'id: ...'"))
            return None, origin
        try:
            return model.model_validate(document.data), origin
        except ValidationError as error:
            self.problems.extend(_explain(origin, model, error))
            return None, origin


def _explain(origin: Origin, model: type[BaseModel], error: ValidationError) -> list[Problem]:
    """Turn pydantic's errors into sentences without the offending value."""
    problems = []
    for item in error.errors(include_input=False, include_url=False):
        path = tuple(item["loc"])
        kind, context = item["type"], item.get("ctx", {})
        name = str(path[-1]) if path else ""
        remedy = ""
        valid: tuple[str, ...] = ()
        if kind == "extra_forbidden":
            known = _fields_at(model, path[:-1])
            what = f"unknown field {name!r}"
            remedy, valid = suggestion(name, known) or "remove it", tuple(sorted(known))
        elif kind == "missing":
            what, remedy = f"the field {name!r} is missing", "add it"
        elif kind in {"literal_error", "enum"}:
            what = "not an allowed value"
            expected = str(context.get("expected", ""))
            valid = tuple(
                part.strip(" '") for part in expected.replace(" or ", ",").split(",") if part
            )
        elif kind == "string_pattern_mismatch":
            what = "has characters or a form that are not allowed"
            remedy = f"it must match {context.get('pattern')}"
        else:
            what = str(item["msg"]).removeprefix("Value error, ")
        problems.append(origin.problem(path, what, remedy, valid))
    return problems


def _fields_at(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """Names of the fields that a place in a manifest may have, read from the JSON Schema."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})

    def resolve(node: dict[str, Any]) -> list[dict[str, Any]]:
        if "$ref" in node:
            return resolve(definitions[node["$ref"].rsplit("/", 1)[-1]])
        return [part for option in node.get("anyOf", []) for part in resolve(option)] or [node]

    nodes = resolve(schema)
    for part in path:
        following: list[dict[str, Any]] = []
        for node in nodes:
            if isinstance(part, int) and "items" in node:
                following += resolve(node["items"])
            elif isinstance(part, str) and part in node.get("properties", {}):
                following += resolve(node["properties"][part])
            elif isinstance(node.get("additionalProperties"), dict):
                following += resolve(node["additionalProperties"])
        nodes = following
    return sorted({name for node in nodes for name in node.get("properties", {})})


def load_controls(folder: Path) -> ControlCatalogue:
    """Read the catalogue of controls, legal dates, authorities and labels.

    Args:
        folder: Folder ``controls/``.

    Returns:
        The catalogue; empty parts where files are absent.

    Raises:
        ManifestError: If a file is malformed; the catalogue ships with the product.
    """
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    stamps = tuple(
        (path.name, stat.st_mtime_ns, stat.st_size) for path in files for stat in [path.stat()]
    )
    return _controls(folder, stamps)


@lru_cache(maxsize=4)
def _controls(folder: Path, stamps: tuple[tuple[str, int, int], ...]) -> ControlCatalogue:
    """The catalogue; the stamps of its files tell a changed one apart."""
    content: dict[str, Any] = {
        "controls": [],
        "dates": [],
        "authorities": {},
        "techniques": [],
        "injection_patterns": [],
        "regions": {},
        "eea": {},
        "duties": [],
        "dpia": {},
    }
    for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else []:
        document = read_yaml(path)
        if document.problems or not isinstance(document.data, dict):
            said = document.problems[0] if document.problems else None
            raise ManifestError(
                said.what if said else "holds no mapping",
                where=f"controls/{path.name}:{said.line if said else 1}",
            )
        for key, value in document.data.items():
            if key not in content:
                raise ManifestError(
                    f"unknown part {key!r}", where=f"controls/{path.name}", valid=sorted(content)
                )
            content[key] = (
                content[key] + value if isinstance(value, list) else {**content[key], **value}
            )
    labels: dict[str, dict[str, str]] = {}
    for label_file in sorted(folder.glob("labels*.csv")):
        with label_file.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                key = row.pop("key")
                labels[key] = {language: text for language, text in row.items() if text}
    for country, bodies in content["authorities"].items():
        for kind, body in bodies.items():
            # Documents that are rendered from a record alone name the authority by its label.
            labels[f"authority.{country}.{kind}"] = dict(body["name"])
    try:
        return ControlCatalogue(
            controls={item["id"]: Control.model_validate(item) for item in content["controls"]},
            dates={item["id"]: LegalDate.model_validate(item) for item in content["dates"]},
            authorities=content["authorities"],
            labels=labels,
            techniques={
                item["id"]: AttackTechnique.model_validate(item) for item in content["techniques"]
            },
            injection_patterns={
                item["id"]: InjectionPattern.model_validate(item)
                for item in content["injection_patterns"]
            },
            **{part: content[part] for part in ("regions", "eea", "duties", "dpia")},
        )
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ManifestError(f"{place}: {first['msg']}", where="controls/") from error


def schemas() -> dict[str, str]:
    """JSON Schemas of all manifests by file name, as stored in ``manifests/schema/``."""
    models = dict(_SINGLE)
    singular = {"activities": "activity", "data_sets": "dataset"}
    for kind, (_, model) in FOLDERS.items():
        models[singular.get(kind, kind.removesuffix("s"))] = model
    return {
        f"{name}.schema.json": json.dumps(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                **model.model_json_schema(by_alias=True),
            },
            indent=2,
            ensure_ascii=False,
            sort_keys=True,
        )
        + "\n"
        for name, model in sorted(models.items())
    }
