"""The three verifiers that share no code: what each finds wrong with a local copy."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

from nachweis.settings import PACKAGE_ROOT
from nachweis.storage.folder_store import FolderStore
from nachweis.storage.verify import verify_store
from tests import second_verifier

SINGLE_FILE = PACKAGE_ROOT / "plugins" / "nachweis" / "storage" / "offline" / "verify.py"
Found = set[tuple[str, str]]


@cache
def single_file() -> ModuleType:
    """The verifier of the packs, as a module."""
    spec = importlib.util.spec_from_file_location("verify", SINGLE_FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def problems(folder: Path, trusted: str) -> dict[str, Found]:
    """Codes and keys, by verifier.

    Args:
        folder: Copy of records, anchor and narratives.
        trusted: Fingerprint that the auditor pinned.
    """
    copy = FolderStore(folder)
    report = verify_store(copy, {trusted}, anchor=copy, narratives=copy)
    offline = single_file()
    verifier = offline.Verifier(offline.Box(str(folder)), trusted)
    verifier.run()
    return {
        "product": {(one.code.value, one.key) for one in report.problems},
        "single file": {(one["code"], one["key"]) for one in verifier.problems},
        "second": second_verifier.problems(folder, trusted),
    }
