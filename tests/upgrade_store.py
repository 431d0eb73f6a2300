"""The store that the first release wrote, kept as a file: made once, read by every later change.

Made by ``python -m tests.upgrade_store NEW-FOLDER``; see tests/fixtures/store-1.0/README.md.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from nachweis.pipeline.backup import backup
from nachweis.settings import PACKAGE_ROOT, Settings
from nachweis.storage import embedded
from tests.evidence_world import _build
from tests.integration.night_support import Place, command, place

FOLDER = PACKAGE_ROOT / "tests" / "fixtures" / "store-1.0"
STORE, KEY, PINNED = "store.zip", "signer.pem", "pinned.pub"
DIGESTS = {
    STORE: "75c0163d6439162fbbae0f67a9c89ce79c8dc604ad8321b864dd22fe2409e4ca",
    KEY: "d8400100beef4f972a3122e934afbd9d229e51106628c904f23d3cec84c2a883",
    PINNED: "9b4d4eab18a2d465c9b7181b35de1186101951539edcbbb594aafea1970ad9ac",
}
"""SHA-256 of each file. Never change them: another format gets another folder beside this one."""

LANGUAGES = ("en",)
ROLES = [
    {"id": "owner", "title": {"en": "Head of marketing"}},
    {"id": "engineer", "title": {"en": "Engineering"}, "kind": "engineer"},
    {"id": "dpo", "title": {"en": "Data protection officer"}, "kind": "dpo"},
]


def prepare(here: Place) -> None:
    """The tiny world as the store's organisation declared it."""
    here.change("manifests/organisation.yaml", roles=ROLES, languages=list(LANGUAGES))
    here.change("manifests/activities/marketing.yaml", author="engineer")


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def unpack(folder: Path) -> Path:
    """The store as a local copy."""
    with zipfile.ZipFile(FOLDER / STORE) as archive:
        archive.extractall(folder)
    return folder


def signer(folder: Path) -> str:
    """URI of the key in force, whose private part everybody may know."""
    path = folder / KEY
    shutil.copyfile(FOLDER / KEY, path)
    path.chmod(0o600)
    return f"file2:{path}"


def make(target: Path) -> None:
    """Sign nights with today's code, on a real S3 server, and keep what they leave.

    Args:
        target: New folder.
    """
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        server = Settings(state=Path(name) / "server")
        embedded.start(server)
        try:
            store = embedded.status(server)
            assert store is not None
            with place(Path(name) / "place", store) as here:
                prepare(here)
                world = _build(here, LANGUAGES)
                patch.setenv("NACHWEIS_SIGNER", str(world.new.signer))
                for said in (
                    ("submit", "propensity", "--role", "engineer", "--actor", "An engineer"),
                    ("advise", "propensity", "agree", "--role", "dpo", "--actor", "An adviser"),
                ):
                    code, _, error = command(*said)
                    assert code == 0, error
                copied = backup(world.new, Path(name) / "copy", world.first_key)
                assert copied.verification.ok, copied.verification.report.problems
                (target / STORE).write_bytes(_packed(Path(name) / "copy"))
                shutil.copyfile(str(world.new.signer).removeprefix("file2:"), target / KEY)
                own = world.old.state / "keys" / "ledger.pub"
                shutil.copyfile(own, target / PINNED)
        finally:
            embedded.stop(server)
    for file in sorted(target.iterdir()):
        print(f"{digest_of(file)}  {file.name}  {file.stat().st_size} bytes")


def _packed(folder: Path) -> bytes:
    """A ZIP file whose bytes depend on names and contents alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                item = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
                item.compress_type, item.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(item, path.read_bytes())
    return buffer.getvalue()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
