"""The bucket of the site holds exactly the rendered files, and only what changed is sent again."""

from __future__ import annotations

from pathlib import Path

import pytest

from nachweis.pipeline.site_upload import Uploaded, mirror
from nachweis.settings import Settings
from nachweis.storage.s3 import open_store

pytestmark = pytest.mark.store


def test_the_bucket_holds_exactly_the_files_of_the_site(
    store_settings: Settings, tmp_path: Path
) -> None:
    store = open_store(store_settings, "site")
    pages = {
        "index.html": b"<!doctype html><p>Register",
        "de/nights/2026-10-20.html": "<p>Prüfung".encode(),
        "assets/site.css": b"p{margin:0}",
    }
    for name, content in pages.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    assert mirror(tmp_path, store) == Uploaded(3, 0, 0)
    assert {found.key: store.get(found.key) for found in store.list("")} == pages
    assert mirror(tmp_path, store) == Uploaded(0, 3, 0), "nothing changed, nothing is sent"

    (tmp_path / "index.html").write_bytes(b"<!doctype html><p>Register, newer")
    (tmp_path / "assets" / "site.css").unlink()
    assert mirror(tmp_path, store) == Uploaded(1, 1, 1)
    assert sorted(found.key for found in store.list("")) == sorted({*pages} - {"assets/site.css"})
    assert store.get("index.html").endswith(b"newer")
