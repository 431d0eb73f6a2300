"""What checks say in their findings, collected from their source for translators.

A check writes its explanations in English, with numbers and names filled in, and they are signed as
they are. Pages in other languages say the same with :mod:`nachweis.pages.explanations`. For that
the catalogues hold every sentence, and every part of one, with ``{1}``, ``{2}`` in place of what is
filled in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TERMS = (
    "above", "balanced accuracy", "before {1}", "below", "danish cpr", "declared", "drifted",
    "false negative rate", "false positive rate", "fewest values of {1}",
    "files that it names are missing or are not the signed ones", "german tax id", "judging",
    "largest distance of {1}", "log loss", "macro f1", "negative predictive value", "on {1}",
    "payment card", "planning", "positive predictive value", "roc auc",
    "rows in uniform classes of {1}", "there is no such file", "true negative rate",
    "true positive rate", "under {1}", "window current", "window night", "window whole", "within",
    "{1} (widened to reach the declared number of rows)", "{1} and {2}", "{1} compared",
    "{1} hours", "{1} more", "{1} on {2}", "{1} to {2}", "{1}: {2}",
)  # fmt: skip
"""What is filled in. Words that a column may well be called, such as ``phone`` or ``rows``, are not
among them: names stay as they are."""

_SOURCES = (
    "checks/**/*.py",
    "domain/comparisons.py",
    "domain/disclosure.py",
    "domain/persistence.py",
    "engines/artefact_pickles.py",
    "engines/artefacts.py",
    "engines/contribution.py",
    "engines/drift.py",
    "engines/fairness_groups.py",
    "engines/performance*.py",
    "pipeline/decide.py",
    "pipeline/judge.py",
    "pipeline/subjects.py",
)
_SAYS = re.compile(r"(?<![\w'-])[a-z]{2,}\b.*? (?:.* )?[a-z]{2,}\b|[A-Za-z]{3,}.* .*\.$", re.DOTALL)
"""At least two words, or a short sentence; names, formats and units are none."""
_METHOD = re.compile(r"interval|Wilson|resamples|CBPE|Evidently|variances|narrower|left out$")
"""Statistical methods, as engines name them, stay English."""
_NOT_SAID_AS = frozenset(
    {"recipe", "description", "remedy", "unit", "name", "source", "words", "where", "valid"}
)
"""Keywords whose texts are technical or speak to whoever writes a check."""
_OWN_ERRORS = frozenset({"UndefinedError", "_InvalidError", "_UnreadError"})
"""Errors of engines whose texts become reasons."""
_NOT_SAID_TO = frozenset({"Param", "Example", "ExampleTable", "compile", "Threshold"})
"""What is called with texts that no finding says."""


def check_messages(package: Path) -> dict[str, set[str]]:
    """Sentences and parts of sentences that findings are made of.

    Args:
        package: Folder of the package.

    Returns:
        Message to the files that say it.
    """
    found: dict[str, set[str]] = {term: {"terms"} for term in TERMS}
    for pattern in _SOURCES:
        for path in sorted(package.glob(pattern)):
            if path.name.startswith("_example"):
                continue
            tree = _parsed(path)
            for text in (*_constants(tree), *_said(tree, inside=False)):
                if path.parent.name == "engines" and _METHOD.search(text):
                    continue
                found.setdefault(text, set()).add(path.relative_to(package).as_posix())
    for path in sorted(package.glob("engines/*.py")):
        for node in ast.walk(_parsed(path)):
            if isinstance(node, ast.Raise) and _caught(node):
                for text in _said(node, inside=True):
                    found.setdefault(text, set()).add(path.relative_to(package).as_posix())
    return found


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _constants(module: ast.Module) -> Iterator[str]:
    """Texts that a module gives a name."""
    for node in module.body:
        if isinstance(node, ast.Assign) and (text := _text(node.value)) and _SAYS.search(text):
            yield text


def _said(node: ast.AST, *, inside: bool) -> Iterator[str]:
    """Texts in the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Raise) or _is_docstring(node, child):
            continue
        if isinstance(child, ast.keyword) and child.arg in _NOT_SAID_AS:
            continue
        if isinstance(child, ast.Call) and _called(child) in _NOT_SAID_TO:
            continue
        text = _text(child)
        if text is None:
            inner = inside or isinstance(child, ast.FunctionDef)
            yield from _said(child, inside=inner)
            continue
        if inside and _SAYS.search(text) and not text.startswith(("'", "(?")):
            yield text.strip(" ;,")
        if isinstance(child, ast.JoinedStr):
            for part in child.values:
                if isinstance(part, ast.FormattedValue):
                    yield from _said(part, inside=inside)


def _text(node: ast.AST) -> str | None:
    """A text with numbered places; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return None
    said, place = "", 0
    for part in node.values:
        if isinstance(part, ast.Constant):
            said += str(part.value)
        else:
            place += 1
            said += f"{{{place}}}"
    return said


def _is_docstring(node: ast.AST, child: ast.AST) -> bool:
    body = getattr(node, "body", None)
    return (
        isinstance(child, ast.Expr)
        and isinstance(child.value, ast.Constant)
        and isinstance(body, list)
        and body[:1] == [child]
    )


def _caught(node: ast.Raise) -> bool:
    """Whether the text of what is raised is said in a finding."""
    return isinstance(node.exc, ast.Call) and _called(node.exc) in _OWN_ERRORS


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""
