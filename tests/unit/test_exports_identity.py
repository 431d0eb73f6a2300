"""The same signed JSON gives the same bytes: elsewhere, in another zone, in another locale."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nachweis.domain.errors import NachweisError
from nachweis.pages.exports import formats
from nachweis.settings import PACKAGE_ROOT
from tests.export_world import bank, demo
from tests.site_world import TEMPLATES

LAYOUTS = ("", "DE", "DK")


def digests(templates: str) -> dict[str, str]:
    """Digest of everything that can be made of the bank data's world."""
    found = {}
    for language in ("de", "da"):
        for source in bank().every(language):
            moved = dataclasses.replace(source, templates=Path(templates))
            for name, made in formats().items():
                if source.kind not in made.kinds:
                    continue
                for layout in LAYOUTS if made.layouts else ("",):
                    wanted = dataclasses.replace(moved, layout=layout)
                    try:
                        content = made.render(wanted)
                    except NachweisError as error:
                        content = error.what.encode()
                    key = f"{source.kind} {name} {layout} {language}"
                    found[key] = hashlib.sha256(content).hexdigest()
    return found


def _start(folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Another process in another folder, with its own copy of the templates."""
    folder.mkdir()
    copy = folder / "moved templates"
    shutil.copytree(TEMPLATES, copy)
    code = (
        "import json, sys; from tests.unit.test_exports_identity import digests; "
        "print(json.dumps(digests(sys.argv[1])))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(copy)],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PACKAGE_ROOT / "plugins"), str(PACKAGE_ROOT)]),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """Digests from two processes that have nothing in common but the signed JSON."""
    base = tmp_path_factory.mktemp("identity")
    running = [
        _start(base / "a", TZ="Pacific/Kiritimati", LC_ALL="C", PYTHONHASHSEED="1"),
        _start(
            base / "some where else", TZ="America/St_Johns", LC_ALL="da_DK.UTF-8",
            LANGUAGE="da", PYTHONHASHSEED="2",
        ),
    ]  # fmt: skip
    found = []
    for process in running:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err[-2000:]
        found.append(json.loads(out))
    return found


def test_bytes_do_not_depend_on_place_zone_locale_or_hash_seed(
    twice: list[dict[str, str]],
) -> None:
    first, second = twice
    assert len(first) > 40
    assert {key for key in first if first[key] != second[key]} == set()


def test_languages_and_layouts_do_make_a_difference(twice: list[dict[str, str]]) -> None:
    here = twice[0]
    for name in ("pdf", "xlsx", "csv", "html"):
        assert here[f"record {name}  de"] != here[f"record {name}  da"]
    for name in ("dpv", "json", "oscal", "openlineage"):
        assert here[f"record {name}  de"] == here[f"record {name}  da"]
    assert len({here[f"register xlsx {layout} de"] for layout in LAYOUTS}) == 3


def test_the_order_of_keys_in_memory_makes_no_difference() -> None:
    def backwards(value: object) -> object:
        if isinstance(value, dict):
            return {key: backwards(value[key]) for key in sorted(value, reverse=True)}
        return [backwards(item) for item in value] if isinstance(value, list) else value

    source = demo().source("dossier", "churn", language="de")
    version = source.only
    turned = dataclasses.replace(version, document=backwards(version.document))
    for name in ("json", "cyclonedx"):
        made = formats()[name]
        assert made.render(source) == made.render(dataclasses.replace(source, versions=(turned,)))
