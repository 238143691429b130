"""`ridgebench problem` from a user's side."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from bench_core.cli.commands.problem import command
from bench_core.data import Problem
from bench_core.errors import InputError


def run(*arguments):
    result = CliRunner().invoke(command, arguments, env={"COLUMNS": "400"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_list_shows_sizes_at_a_scale():
    text = run("list", "--scale", "1/4", "--subject", "sub-06").stdout
    assert "70,383" in text  # ⌊281,532 / 4⌋
    assert "17,300" in text
    assert "haxby2001" in text
    assert "1,452" in text


def test_make_then_show(tmp_path):
    folder = tmp_path / "p"
    made = run(
        *("make", "parcels", "--scale", "1/64", "--dtype", "float32", "--seed", "4"),
        *("--out", str(folder)),
    )
    assert made.exit_code == 0
    problem = Problem.open(folder)
    assert (problem.t, problem.p, problem.s) == (1_081, 256, 6)
    assert problem.meta["seed"] == 4
    text = " ".join(run("show", str(folder), "--check").stdout.split())
    for expected in (
        "1,081 samples × 256 features, float32",
        "10 of 108–109 samples",
        "972 to train, 109 to test",
        "rows that resemble their neighbours",
        "run 10 held out",
        "2 of 6 targets",
        "synthetic",
        "0 of 6 targets constant",
    ):
        assert expected in text


def test_show_real_data(tmp_path):
    run("make", "haxby2001", "--out", str(tmp_path / "h"))
    text = run("show", str(tmp_path / "h")).stdout
    assert "CC BY-SA 3.0" in text
    assert "runs 11–12 held out" in text
    assert "planted" not in text


def test_errors_are_the_user_s_to_mend(tmp_path):
    with pytest.raises(InputError, match=r"no problem\.json"):
        run("show", str(tmp_path))
    assert "not a number" in run("list", "--scale", "big").stderr
    assert run("list", "--scale", "1/0").exit_code == 2


def test_help_imports_nothing_heavy():
    code = (
        "import sys, bench_core.cli.commands.problem\n"
        "print([m for m in ('numpy', 'scipy', 'sklearn', 'dask', 'rich') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
