"""A store that fails: a sentence with place and remedy, exit code 2, and nothing half-published."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nachweis.storage import s3_client
from nachweis.storage.embedded import EmbeddedStore
from tests.integration.night_support import FIRST, SECOND, THIRD, Place, command, place
from tests.time_authority import answering, time_authority

pytestmark = pytest.mark.store


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("faults"), embedded_store) as found:
        yield found


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("S3_ENDPOINT", None, "does not answer"),
        ("S3_SECRET_KEY", "wrong", "credentials"),
        ("BUCKET_RECORDS", "nachweis-records-nowhere", "does not exist"),
    ],
)
def test_a_store_that_refuses_is_named_and_nothing_is_written(
    here: Place,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str | None,
    said: str,
) -> None:
    monkeypatch.setattr(s3_client.Patience, "pause", lambda *_: None)
    before = here.keys()
    with monkeypatch.context() as patch:
        address = f"http://127.0.0.1:{closed_port()}"
        patch.setenv(f"NACHWEIS_{variable}", value or address)
        code, out, err = command("run", "--night", FIRST)
    assert code == 2
    assert out == ""
    sentence = next(line for line in err.splitlines() if line.startswith("error: "))
    assert said in sentence
    assert "What to do: " in err
    assert "Traceback" not in err
    assert here.settings.s3_secret_key is not None
    assert here.settings.s3_secret_key.get_secret_value() not in err
    assert here.keys() == before


def test_a_full_disk_costs_the_site_and_not_the_signed_night(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.verify()  # creates the signing key while there is room
    write_bytes, write_text = Path.write_bytes, Path.write_text

    def full(path: Path, *content: Any, **more: Any) -> int:
        if path.is_relative_to(here.settings.state):
            raise OSError(errno.ENOSPC, "No space left on device")
        return (write_bytes if isinstance(content[0], bytes) else write_text)(
            path, *content, **more
        )

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        patch.setattr(Path, "write_text", full)
        code, out, _ = command("run", "--night", FIRST)
    assert code == 0
    assert "NOT UP TO DATE" in out
    assert "No space left on device" in out
    assert "nachweis site render" in out
    assert "the chain verifies" in out
    assert here.signed(FIRST).sequence == 2

    code, out, _ = command("site", "render")
    assert code == 0
    assert (here.settings.site / "index.html").is_file()
    assert here.run(FIRST).repeated


def test_an_anchor_that_fails_is_told_and_the_night_stays_signed(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.run(FIRST)
    monkeypatch.setenv("NACHWEIS_BUCKET_ANCHOR", "nachweis-anchor-nowhere")
    code, out, _ = command("run", "--night", SECOND)
    assert code == 0
    assert "DOES NOT VERIFY" in out
    assert "no checkpoint was copied to the anchor" in out
    monkeypatch.undo()
    assert here.signed(SECOND).night == SECOND
    assert here.verify().ok


def test_a_night_is_stamped_by_the_authority_or_says_that_it_is_not(
    here: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with answering(time_authority(tmp_path / "authority", "Root")) as authority:
        monkeypatch.setenv("NACHWEIS_TIMESTAMP_CERTIFICATES", str(authority.root))
        monkeypatch.setenv("NACHWEIS_TIMESTAMP_URL", authority.url)
        code, out, _ = command("run", "--night", THIRD)
    assert code == 0
    assert "the chain verifies" in out
    assert "Stamped" not in out
    length = here.archive.length
    code, out, _ = command("verify")
    assert code == 0
    assert f"Stamped    up to entry {length}, at 20" in out

    change = here.manifest("manifests/activities/marketing.yaml")
    change["purposes"][0]["text"] = {"en": "Choosing whom to write to, once a month"}
    here.write("manifests/activities/marketing.yaml", change)
    code, out, _ = command("run", "--night", THIRD)  # nobody answers any more
    assert code == 0
    assert "the chain verifies" in out
    assert "Stamped    NO: no time stamp was obtained: the authority does not answer" in out
