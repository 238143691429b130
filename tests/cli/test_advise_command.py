"""`ridgebench advise`: sizes, calibrations and output."""

from __future__ import annotations

import json
import shlex

import pytest
from click.testing import CliRunner

from bench_core.cli import cli
from bench_core.cli.commands.fit import command as fit_command


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


def test_options_of_the_penalty_are_those_of_fit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = ("--calibration", "xeon-6130-mkl", "--strategies", "multitarget,mor,bmor-shared")
    asked = ("--alpha-per-target", "--cv", "gcv", "--alphas", "1e-2:1e4:7", "--extend-alphas", "2")
    status, text = run("--t", "900", "--p", "500", "--s", "2000", *table, *asked, "--json")
    assert status == 0
    found = json.loads(text)
    options = {"alpha_per_target": True, "cv": "gcv", "extend_alphas": 2}
    assert options.items() <= found["penalty"].items()
    assert found["penalty"]["alphas"] == [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0]
    assert {one["strategy"] for one in found["predicted"]} == {"multitarget", "bmor-shared"}
    assert all(options.items() <= one["options"].items() for one in found["predicted"])
    ((name, reason),) = {(one["strategy"], one["reason"]) for one in found["refused"]}
    assert name == "mor"
    assert "alpha_per_target" in reason
    # The command is one that `fit` takes.
    words = shlex.split(found["command"])
    context = fit_command.make_context("fit", words[2:])
    assert context.params["cv"] == "gcv"
    assert list(context.params["alphas"]) == found["penalty"]["alphas"]
    assert (context.params["alpha_per_target"], context.params["extend_alphas"]) == (True, 2)


def test_curves_leave_out_what_cannot_and_say_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    size = ("--t", "900", "--p", "500", "--s", "2000", "--calibration", "xeon-6130-mkl")
    done = CliRunner().invoke(cli, ["advise", *size, "--curve", "--json", "--alpha-per-target"])
    assert {one["strategy"] for one in json.loads(done.stdout)} == {"bmor-shared"}
    assert "mor has no alpha_per_target" in done.stderr


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
