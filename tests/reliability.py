"""Writes the generated tables of docs/reliability.md: ``python -m tests.reliability``.

A section stands between two comments that name it; what is written by hand stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from nachweis.settings import PACKAGE_ROOT
from tests import fault_cases
from tests.tamper_cases import CASES, PACK_CASES, SERVER_CASES

PAGE = PACKAGE_ROOT / "docs" / "reliability.md"


def tampering() -> str:
    """One row per way of tampering, each a test in tests/integration/test_tampering.py."""
    rows = [
        "| what somebody did | found as | takes a stolen key | seen in a pack | test |",
        "| --- | --- | --- | --- | --- |",
    ]
    rows += [
        f"| {case.title} | `{case.code}` | {'yes' if case.with_keys else 'no'} | "
        f"{'yes' if case.in_pack else 'no'} | `{case.id}` |"
        for case in CASES
    ]
    return "\n".join(rows)


def tampering_with_a_pack() -> str:
    """One row per way of tampering that concerns a pack alone."""
    rows = ["| what somebody did to a pack | found as | test |", "| --- | --- | --- |"]
    rows += [f"| {case.title} | `{case.code}` | `{case.id}` |" for case in PACK_CASES]
    return "\n".join(rows)


def tampering_on_the_server() -> str:
    """One row per way of tampering with versions of objects."""
    rows = ["| what the store's administrator did | found as | test |", "| --- | --- | --- |"]
    rows += [f"| {case.title} | `{case.code}` | `{case.id}` |" for case in SERVER_CASES]
    return "\n".join(rows)


def faults() -> str:
    """One row per fault, each a test in tests/integration/test_store_faults.py."""
    rows = ["| what goes wrong | what comes of it | test |", "| --- | --- | --- |"]
    rows += [
        f"| {case.title} | {case.outcome} | `{case.id}` |"
        for case in (*fault_cases.CASES, *fault_cases.SERVER_CASES)
    ]
    return "\n".join(rows)


SECTIONS: Mapping[str, Callable[[], str]] = {
    "tampering": tampering,
    "tampering with a pack": tampering_with_a_pack,
    "tampering on the server": tampering_on_the_server,
    "faults": faults,
}


def render(page: str) -> str:
    """The page with its generated sections written anew."""
    for name, table in SECTIONS.items():
        begin, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
        if begin not in page or end not in page:
            raise ValueError(f"{PAGE.name} has no section {name!r}")
        pattern = re.escape(begin) + ".*?" + re.escape(end)
        page = re.sub(
            pattern, lambda _, b=begin, t=table(), e=end: f"{b}\n{t}\n\n{e}", page, flags=re.DOTALL
        )
    return page


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
