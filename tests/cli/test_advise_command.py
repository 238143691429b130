"""`ridgebench advise`: sizes, calibrations and output."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from bench_core.cli import cli


def run(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(cli, ["advise", *arguments])
    # What is refused reaches the user by `bench_core.cli.main`.
    refused = "" if found.exception is None else str(found.exception)
    return found.exit_code, found.stdout or refused


def test_a_problem_by_name_and_by_its_sizes_are_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = ("--calibration", "xeon-6130-mkl", "--strategies", "ridgecv", "--json")
    status, text = run("whole-brain-mor", *table)
    assert status == 0
    named = json.loads(text)
    status, text = run("--t", "900", "--p", "16384", "--s", "2000", *table)
    sized = json.loads(text)
    assert named["predicted"] == sized["predicted"]
    assert named["recommended"]["strategy"] == "ridgecv"
    low, high = named["recommended"]["interval"]
    assert low < named["recommended"]["seconds"] < high
    assert named["command"].startswith("ridgebench fit ridgecv whole-brain-mor")


def test_nothing_fits_in_no_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, text = run(
        "whole-brain-mor", "--calibration", "xeon-6130-mkl", "--memory", "1MB", "--json"
    )
    assert status == 1
    found = json.loads(text)
    assert found["recommended"] is None
    assert all(one["excess_bytes"] > 0 for one in found["predicted"])


def test_a_curve_goes_to_1024_nodes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, text = run(
        "whole-brain-bmor",
        "--calibration",
        "xeon-6130-mkl",
        "--strategies",
        "bmor",
        "--curve",
        "--json",
    )
    assert status == 0
    (curve,) = json.loads(text)
    assert curve["points"][-1]["nodes"] == 1024
    assert curve["stops_at"] < 1024


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("parcels", "--t", "900"), "parcels"),
        (("--t", "900", "--p", "100"), "--s"),
        (("parcels", "--calibration", "nowhere"), "nowhere"),
        (("parcels",), "calibrate"),
    ],
)
def test_wrong_requests_name_what_is_wrong(tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    status, text = run(*arguments)
    assert status != 0
    assert named in text
