"""Strict YAML: JSON's types, no aliases, no duplicate keys, and a line for every field.

YAML 1.1 reads ``NO`` as false and ``1:30`` as ninety; manifests are read by the core rules of
YAML 1.2 instead, so that country codes and versions stay what people wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

LARGEST_FILE = 1_000_000
DEEPEST = 40

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class YamlProblem:
    """Something wrong with a file's form."""

    line: int
    what: str
    remedy: str


@dataclass(slots=True)
class YamlDocument:
    """A parsed file.

    Attributes:
        data: The content.
        lines: Field path to line number, starting at 1.
        problems: What is wrong with its form.
    """

    data: Any = None
    lines: dict[FieldPath, int] = field(default_factory=dict)
    problems: list[YamlProblem] = field(default_factory=list)

    def line(self, path: FieldPath) -> int:
        """Line of a field or of its nearest parent."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 1


def read_yaml(path: Path) -> YamlDocument:
    """Read one YAML file strictly; never raises for its content.

    Args:
        path: The file.

    Returns:
        The document with its problems.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        return YamlDocument(problems=[YamlProblem(1, what, "check the file's permissions")])
    return parse_yaml(raw)


def parse_yaml(raw: bytes) -> YamlDocument:
    """The same for what a file held; see :func:`read_yaml`."""
    document = YamlDocument()
    if len(raw) > LARGEST_FILE:
        document.problems.append(
            YamlProblem(1, f"larger than {LARGEST_FILE} bytes", "split it into several files")
        )
        return document
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        document.problems.append(YamlProblem(1, "not UTF-8", "save it as UTF-8"))
        return document
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if _deeper_than(DEEPEST, text, loader):
            document.problems.append(
                YamlProblem(1, f"nested deeper than {DEEPEST} levels", "flatten it")
            )
            return document
        node = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        what = error.problem or "not valid YAML"
        document.problems.append(
            YamlProblem(line, f"not valid YAML: {what}", "correct the syntax on this line")
        )
        return document
    except (yaml.YAMLError, RecursionError):
        document.problems.append(YamlProblem(1, "not valid YAML", "correct its characters"))
        return document
    if node is None:
        document.problems.append(YamlProblem(1, "the file is empty", "fill it in or delete it"))
        return document
    document.data = _Builder(document).build(node, ())
    return document


def _deeper_than(levels: int, text: str, loader: Any) -> bool:
    """Whether collections nest deeper, found without recursion: composing recurses in C."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > levels:
                return True
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return False


class _Builder:
    def __init__(self, document: YamlDocument) -> None:
        self.document = document
        self.seen: set[int] = set()

    def problem(self, node: yaml.Node, what: str, remedy: str) -> None:
        self.document.problems.append(YamlProblem(node.start_mark.line + 1, what, remedy))

    def build(self, node: yaml.Node, path: FieldPath) -> Any:
        self.document.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self.seen:
            self.problem(node, "an alias (*name) is used", "write the value out")
            return None
        self.seen.add(id(node))
        if len(path) > DEEPEST:
            self.problem(node, f"nested deeper than {DEEPEST} levels", "flatten it")
            return None
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        return None

    def mapping(self, node: yaml.MappingNode, path: FieldPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.problem(key_node, "a key is not a text", "use a plain name as the key")
                continue
            key = str(key_node.value)
            if key in result:
                self.problem(key_node, f"the key {key!r} stands here twice", "remove one of them")
                continue
            self.document.lines[(*path, key)] = key_node.start_mark.line + 1
            result[key] = self.build(value_node, (*path, key))
        return result

    def scalar(self, node: yaml.ScalarNode) -> Any:
        text = str(node.value)
        tag = node.tag or ""
        if tag.startswith(("!", "tag:yaml.org,2002:python")):
            self.problem(node, "a YAML tag is used", "remove the tag")
            return None
        if node.style:
            return text
        if text in _NULLS:
            return None
        if text in _BOOLS:
            return _BOOLS[text]
        if _INT.fullmatch(text) and len(text) < 30:
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        return text
