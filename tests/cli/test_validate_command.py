"""`ridgebench validate`: what is compared, where it is written, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench_core.cli import cli
from bench_core.records import codec
from bench_core.records.model import read_models
from bench_core.scaling.calibration import CalibratedBlas, read_calibration

RESULTS = Path(__file__).parents[2] / "results"


def run(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(cli, ["validate", *arguments])
    refused = "" if found.exception is None else str(found.exception)
    return found.exit_code, found.stdout or refused


@pytest.fixture
def calibration(tmp_path) -> Path:
    made = read_calibration("xeon-6130-mkl")
    return codec.write(replace(made, blas=CalibratedBlas("mkl", None, None)), tmp_path / "mkl.json")


def test_recorded_fits_are_compared_and_kept(calibration, tmp_path):
    asked = ("--calibration", str(calibration), "--results", str(RESULTS))
    machine = ("--machine", "reference-2core")
    status, text = run(*asked, *machine, "--out", str(tmp_path / "out"), "--json")
    assert status == 0
    found = json.loads(text)
    (kept,) = read_models(tmp_path / "out")
    assert codec.to_dict(kept) == found
    assert found["all_fits"]["fits"] == len(found["fits"]) > 20
    assert [one["strategy"] for one in found["curves"]] == ["mor", "bmor", "bmor-shared"]
    assert all(one["points"][-1]["nodes"] == 1024 for one in found["curves"])
    status, text = run(*asked, "--out", str(tmp_path / "out"))
    assert status == 0
    assert f"{found['all_fits']['median']:.1%}" in text


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(("--machine", "nowhere"), "nowhere"), (("--calibration", "nowhere"), "nowhere")],
)
def test_wrong_requests_name_what_is_wrong(calibration, tmp_path, arguments, named):
    asked = ("--calibration", str(calibration), "--results", str(RESULTS))
    status, text = run(*asked, "--out", str(tmp_path), *arguments)
    assert status != 0
    assert named in text
