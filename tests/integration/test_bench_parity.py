"""The pipeline publishes the numbers that a user's plain script prints, on the same two files."""

from __future__ import annotations

import copy

import pytest

from bench import data, floor, peers, shipped
from bench.one_model import compare


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("bench")
    data.write(found, 3000, chunk=2000)
    return found


@pytest.fixture(scope="module")
def plain(folder):
    return peers.run(folder)


def test_cold_and_warm_runs_publish_what_the_plain_script_prints(folder, plain, tmp_path):
    cold = shipped.run(folder, tmp_path)
    warm = shipped.run(folder, tmp_path)

    assert compare(cold, plain) == []
    assert warm == cold


def test_the_outputs_cover_what_the_benchmark_claims(plain):
    assert len(plain["suite"]) == 45
    assert set(plain["drift"]) == set(data.COMPARED)
    assert any(drifted for _, _, drifted in plain["drift"].values())
    assert not all(drifted for _, _, drifted in plain["drift"].values())
    assert any(not met for met, _ in plain["suite"].values())
    assert len(plain["rates"]) == 6


def test_a_wrong_missing_or_additional_output_is_noticed(plain):
    ours = copy.deepcopy(plain)
    ours["drift"] = {
        column: ["wasserstein" if "Wasserstein" in method else "jensenshannon", value, drifted]
        for column, (method, value, drifted) in plain["drift"].items()
    }
    assert compare(ours, plain) == []

    ours["drift"]["age"][1] += 2e-9
    ours["suite"].pop("expect_column_values_to_be_unique id")
    ours["rates"]["gender selection_rate"]["groups"]["f"] = None
    found = compare(ours, plain)
    assert len(found) == 3
    assert any("/drift/age[1]" in one for one in found)


def test_the_floor_reads_both_files(folder):
    assert floor.run(folder) == {}
    (folder / "night.parquet").rename(folder / "night.gone")
    try:
        with pytest.raises(Exception, match="No files found"):
            floor.run(folder)
    finally:
        (folder / "night.gone").rename(folder / "night.parquet")
