"""What the first release wrote stays readable, and goes on: the store in tests/fixtures/store-1.0.

Nobody makes it anew to please a test. Who changes the format keeps this one and adds another.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nachweis import registry
from nachweis.pipeline.backup import restore
from nachweis.pipeline.findings import findings_of
from nachweis.storage import layout
from nachweis.storage.embedded import EmbeddedStore
from nachweis.storage.layout import Kind
from nachweis.storage.signing import pinned
from tests import three_verifiers, upgrade_store
from tests.integration.night_support import FIRST, SECOND, THIRD, Place, command, place

KEPT = {
    *(Kind.LEDGER, Kind.CHECKPOINT, Kind.STATEMENT, Kind.ASSESSMENT, Kind.RUN, Kind.EVIDENCE),
    *(Kind.RECORD, Kind.RECORD_RENDERING, Kind.DOSSIER, Kind.DOSSIER_RENDERING),
    *(Kind.APPROVAL, Kind.INCIDENT, Kind.TEXT),
}
SUITE = "training_data_meets_suite:data_set/training"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return upgrade_store.unpack(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def trusted() -> str:
    """The fingerprint that auditors pinned on the first day, before the keys changed."""
    return pinned(upgrade_store.FOLDER / upgrade_store.PINNED)


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory,
    embedded_store: EmbeddedStore,
    copy: Path,
    trusted: str,
) -> Iterator[Place]:
    """The store restored to fresh buckets of a real server, in the hands of its key in force."""
    folder = tmp_path_factory.mktemp("upgrade")
    every = registry.applicable
    with (
        place(folder, embedded_store) as found,
        pytest.MonkeyPatch.context() as patch,
    ):
        upgrade_store.prepare(found)
        uri = upgrade_store.signer(folder)
        patch.setenv("NACHWEIS_SIGNER", uri)
        patch.setattr(registry, "applicable", lambda world, of: every(world, of)[::24])
        found.settings = found.settings.model_copy(update={"signer": uri})
        assert restore(found.settings, copy, trusted).verification.ok
        yield found


def test_nobody_made_the_kept_store_anew() -> None:
    found = {
        path.name: upgrade_store.digest_of(path)
        for path in upgrade_store.FOLDER.iterdir()
        if path.name != "README.md"
    }
    assert found == upgrade_store.DIGESTS, (
        "the store of the first release changed; put it back: a later format has its own folder"
    )


def test_it_holds_every_kind_of_object_in_format_version_1(copy: Path) -> None:
    kinds = set()
    for path in copy.rglob("*.json*"):
        key = path.relative_to(copy).as_posix()
        kinds.add(layout.locate(key).kind)
        body = path.read_bytes()
        document = json.loads(gzip.decompress(body) if key.endswith(".gz") else body)
        if "payload" not in document and "/record." not in key and "/dossier." not in key:
            assert document["schema_version"] == 1, key
    kinds |= {
        layout.locate(path.relative_to(copy).as_posix()).kind
        for path in copy.rglob("*")
        if path.is_file()
    }
    assert kinds == KEPT


def test_every_verifier_accepts_it(copy: Path, trusted: str, tmp_path: Path) -> None:
    in_force = upgrade_store.signer(tmp_path).removeprefix("file2:")
    assert not any(three_verifiers.problems(copy, trusted).values())
    assert not any(three_verifiers.problems(copy, _fingerprint(in_force)).values())
    assert {
        code for found in three_verifiers.problems(copy, "0" * 64).values() for code, _ in found
    } == {"key_untrusted"}


def test_the_command_and_the_single_file_accept_it(copy: Path) -> None:
    public = upgrade_store.FOLDER / upgrade_store.PINNED
    code, out, err = command("verify", "--copy", str(copy), "--trusted", str(public))
    assert (code, err) == (0, ""), out
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = three_verifiers.single_file().main([str(copy), "--key", str(public)])
    assert code == 0, said.getvalue()


@pytest.mark.store
def test_its_past_opens(here: Place) -> None:
    archive = here.archive
    nights = [item.night for item in archive.attempts]
    assert nights[:3] == [FIRST, FIRST, SECOND]
    for attempt in archive.attempts[:3]:
        statement = archive.statement(attempt)
        for one in statement.assessments.values():
            assert archive.assessment(attempt, one).night == attempt.night
        for version in statement.versions:
            read = archive.record if version.kind == "record" else archive.dossier
            assert read(version.key, version.digest).id == version.id
    kept = archive.statement(archive.attempts[2]).evidence.values()
    assert kept and all(archive.evidence(one).findings for one in kept)
    assert any(key.startswith("evidence/") for key in archive.removed)


@pytest.mark.store
def test_its_findings_versions_and_approvals_are_shown(here: Place) -> None:
    for night in (FIRST, SECOND):
        shown = {one.finding.key: one for one in findings_of(here.settings, night)}
        assert shown[SUITE].finding.is_open and shown[SUITE].finding.remediation
    code, out, err = command("diff", "marketing", "v1", "v2")
    assert (code, err) == (0, "") and "once a month" in out
    code, out, err = command("approvals", "propensity")
    assert (code, err) == (0, "") and "submitted" in out and "agrees" in out
    code, out, _ = command("verify", "--document", "record/marketing")
    assert code == 0


@pytest.mark.store
def test_a_new_night_is_signed_on_top_and_everything_verifies(
    here: Place, trusted: str, tmp_path: Path
) -> None:
    before = here.archive.length
    summary = here.run(THIRD)
    assert (summary.chain_ok, summary.site_problem) == (True, ""), summary.chain_problems
    assert here.archive.length > before
    assert here.archive.newest_night == THIRD
    code, out, _ = command("verify", "--trusted", trusted)
    assert code == 0, out
    site = here.settings.site / "en"
    for night in (FIRST, SECOND, THIRD):
        assert (site / "nights" / f"{night}.html").is_file()
    shown = (site / "activities" / "marketing.html").read_text("utf-8")
    for attempt in here.archive.attempts:
        versions = here.archive.statement(attempt).versions
        (record,) = (one for one in versions if one.kind == "record")
        assert record.digest in shown or f"v{record.version}" in shown, shown
    pack = tmp_path / "pack.zip"
    code, out, err = command(
        *("pack", "marketing", "--from", FIRST, "--to", THIRD, "--out", str(pack))
    )
    assert (code, err) == (0, ""), out
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = three_verifiers.single_file().main([str(pack), "--key", trusted])
    assert code == 0, said.getvalue()


def _fingerprint(private: str) -> str:
    from nachweis.settings import Settings
    from nachweis.storage.signing import open_signer

    return str(open_signer(Settings(signer=f"file2:{private}")).public_key.keyid)
