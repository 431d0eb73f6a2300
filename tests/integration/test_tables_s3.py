"""Data sets in a real S3 server: read, pinned, and clear errors where it refuses."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nachweis.domain.errors import DataError, DataUnavailableError
from nachweis.domain.observation import Overlap, Scalar, Source
from nachweis.domain.s3access import S3Access
from nachweis.engines.tables import Tables
from nachweis.pipeline.observe import observe
from nachweis.settings import Settings
from nachweis.storage.s3 import data_access, list_versions, open_store
from tests.tcp_proxy import running_proxy
from tests.tls import private_authority
from tests.unit.data_worlds import data_set, tables_of

pytestmark = pytest.mark.store
LOG = Source("log")


@pytest.fixture
def put(store_settings: Settings) -> Callable[[str, bytes], str]:
    """Write an object to the data bucket and tell its URI."""
    store = open_store(store_settings, "site")

    def write(key: str, body: bytes) -> str:
        store.put(key, body, content_type="application/octet-stream")
        return f"s3://{store.bucket}/{key}"

    return write


@pytest.fixture
def access(store_settings: Settings) -> S3Access:
    found = data_access(store_settings)
    assert found is not None
    return found


def parquet_bytes(**columns: list) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def test_parquet_csv_and_json_lines_are_read_from_s3(tmp_path: Path, put, access: S3Access):
    uris = {
        "p": put("in/p.parquet", parquet_bytes(id=[1, 2], x=[0.5, None])),
        "c": put("in/c.csv", b"id;x\n1;0.5\n2;\n"),
        "j": put("in/j.jsonl", b'{"id": 1, "x": 0.5}\n{"id": 2, "x": null}\n'),
        "l": put("in/l.csv", "id,x,ort\n1,0.5,Süd\n2,,Ærø\n".encode("latin-1")),
    }
    sets = [
        data_set(id_, location=uri, csv={"encoding": "latin-1"} if id_ == "l" else {})
        for id_, uri in uris.items()
    ]
    with tables_of(tmp_path, *sets, s3=access) as tables:
        for id_ in uris:
            schema = tables.schema(Source(id_))
            assert (schema["id"], schema["x"]) == ("integer", "number")
            assert tables.scalars(Source(id_), None, {"s": lambda t: t.x.sum()}) == {"s": 0.5}
        overlap = Overlap("o", Source("p"), Source("c"), ("id", "id"))
        assert tables.overlap(overlap).keys_matched == 2
        assert access.secret not in " ".join(entry.sql for entry in tables.log.entries)


@pytest.mark.parametrize(
    "pattern", ["log/{date}.parquet", "log/{date}", "log/day={date}/*.parquet"]
)
def test_partitions_folders_and_globs_in_s3(tmp_path: Path, put, access: S3Access, pattern: str):
    for day, number in (("2026-03-01", 1), ("2026-03-02", 2), ("2026-03-04", 3)):
        key = pattern.replace("{date}", day).replace("*", "0")
        key = key if key.endswith(".parquet") else f"{key}/deep/part.parquet"
        uri = put(key, parquet_bytes(id=[number]))
    bucket = uri.removeprefix("s3://").partition("/")[0]
    declared = data_set(
        location=f"s3://{bucket}/{pattern}", columns=[{"name": "id", "type": "integer"}]
    )
    with tables_of(tmp_path, declared, s3=access) as tables:
        assert tables.relation(Source("log", "night")).id.to_pyarrow().to_pylist() == [2]
        assert sorted(tables.relation(LOG).id.to_pyarrow().to_pylist()) == [1, 2]
    with (
        tables_of(tmp_path, declared, s3=access, night="2026-03-03") as tables,
        pytest.raises(DataError, match="there is no file for the night 2026-03-03"),
    ):
        tables.facts(Source("log", "night"))


def test_version_follows_the_objects(tmp_path: Path, put, access, store_settings: Settings):
    uri = put("log.parquet", parquet_bytes(id=[1]))
    declared = data_set(location=uri)

    def version(**kwargs) -> str:
        with tables_of(tmp_path, declared, s3=access, **kwargs) as tables:
            return tables.versions(["log"])["log"]

    lister = list_versions(store_settings)
    first = version(s3_lister=lister)
    assert len(first) == 64
    assert version(s3_lister=lister) == first
    put("log.parquet", parquet_bytes(id=[2]))
    assert version(s3_lister=lister) != first
    assert version() == "unpinned"


def broken(tables: Tables) -> DataError:
    with pytest.raises(DataError) as caught:
        tables.facts(LOG)
    assert caught.value.__cause__ is None
    return caught.value


def test_no_access_wrong_secret_and_unreachable_server_are_told_apart(
    tmp_path: Path, put, access: S3Access
):
    uri = put("log.parquet", parquet_bytes(id=[1]))
    declared = data_set(location=uri)
    with tables_of(tmp_path, declared) as tables:
        assert "no access to S3 is configured" in str(broken(tables))
    wrong = S3Access(access.endpoint, access.region, access.key, "wrong-secret", access.use_ssl)
    with tables_of(tmp_path, declared, s3=wrong) as tables:
        error = broken(tables)
        assert "S3 refused access (HTTP 403)" in str(error)
        assert "wrong-secret" not in f"{error} {error.__context__!r}"
    nowhere = S3Access("http://127.0.0.1:9", access.region, "key", "secret", use_ssl=False)
    with tables_of(tmp_path, declared, s3=nowhere) as tables:
        assert isinstance(broken(tables), DataUnavailableError)
        seen = observe(
            tables,
            {"check": [Scalar("n", LOG, lambda t: t.count())]},
            model=None,
            suites={},
            history=lambda _: [],
        )["check"]
        assert dict(seen.missing())["n"].endswith("the S3 endpoint cannot be reached")
        assert tables.versions(["log"]) == {"log": "unreadable"}


@pytest.mark.parametrize("body", [b"", b"PAR1", b"Anna Svensson is text, and long enough"])
def test_broken_objects_are_clear_errors_without_values(tmp_path: Path, put, access, body: bytes):
    uri = put("log.parquet", body)
    with tables_of(tmp_path, data_set(location=uri), s3=access) as tables:
        error = broken(tables)
    assert "the file" in str(error)
    assert "Anna" not in f"{error} {error.__context__!r}"


def test_a_missing_object_and_bucket_are_clear(tmp_path: Path, put, access: S3Access):
    bucket = put("there.parquet", parquet_bytes(id=[1])).removeprefix("s3://").partition("/")[0]
    for location in (f"s3://{bucket}/gone.parquet", "s3://no-such-bucket-here/log.parquet"):
        with tables_of(tmp_path, data_set(location=location), s3=access) as tables:
            assert str(broken(tables)).startswith("data set log")


def test_windows_hold_in_s3_too(tmp_path: Path, put, access: S3Access):
    moments = [dt.datetime(2026, 3, 2, 1), dt.datetime(2026, 3, 3, 1)]
    uri = put("log.parquet", parquet_bytes(id=[1, 2], at=moments))
    with tables_of(tmp_path, data_set(location=uri, time={"column": "at"}), s3=access) as tables:
        assert tables.facts(Source("log", "night")).rows == 1


def test_a_private_authority_is_trusted_for_reading_as_for_writing(
    tmp_path: Path, put, store_settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    uri = put("log.parquet", parquet_bytes(id=[1, 2]))
    bundle, tls = private_authority(tmp_path)
    port = urlsplit(store_settings.s3_endpoint or "").port
    assert port is not None
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with running_proxy(port, tls) as proxy:
        settings = store_settings.model_copy(update={"s3_endpoint": proxy.endpoint})
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
        lister = list_versions(settings)
        with tables_of(
            tmp_path, data_set(location=uri), s3=data_access(settings), s3_lister=lister
        ) as tables:
            assert tables.facts(LOG).rows == 2
            assert len(tables.versions(["log"])["log"]) == 64
        monkeypatch.delenv("AWS_CA_BUNDLE")
        with tables_of(tmp_path, data_set(location=uri), s3=data_access(settings)) as tables:
            error = broken(tables)
    assert isinstance(error, DataUnavailableError)
    assert "not signed by an authority that is trusted" in str(error)
    assert "AWS_CA_BUNDLE" in str(error)
