"""The commands of docs/own-problem.md, from data to answer and page; measuring is pretended."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from bench_core import strategies
from bench_core.cli import cli
from bench_core.own_problem import budget, environments, measuring, model, summary
from bench_core.own_problem.environments import BlasEnvironment, EnvironmentNotBuiltError
from bench_core.penalties import log_spaced
from bench_core.records import SessionRecord, read_runs
from tests.own_problem.fakes import Clock, FakeRuns, modelled, shipped

PAGE = Path(__file__).parents[2] / "docs" / "own-problem.md"
COMMANDS = [
    line[2:]
    for block in re.findall(r"^```console\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    for line in block.splitlines()
    if line.startswith("$ ")
]


class Bench:
    """`ridgebench bench` in an empty folder, with measurements that take no time."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.clock = folder, Clock()
        self.made: list[FakeRuns] = []
        self.known_blas = ["openblas", "mkl"]
        self.interrupt_after: int | None = None
        monkeypatch.chdir(folder)
        monkeypatch.setattr(measuring, "EnvironmentRuns", self._runs)
        monkeypatch.setattr(environments, "current_blas", lambda: "openblas")
        monkeypatch.setattr(environments, "build_environment", self._build)
        monkeypatch.setattr(model, "find_model", lambda one, **_: shipped(one.blas or "openblas"))
        monkeypatch.setattr("bench_core.machine.available_cores", lambda **_: 2)
        monkeypatch.setattr(budget, "Budget", partial(budget.Budget, clock=self.clock))

    def _build(self, name: str, folder: Path, **_: Any) -> BlasEnvironment:
        if name not in self.known_blas:
            raise EnvironmentNotBuiltError(f"{name}: no registry")
        return BlasEnvironment(name, "python", "built")

    def _runs(self, *arguments: Any) -> FakeRuns:
        seconds = modelled()
        runs = FakeRuns(*arguments, seconds=seconds, clock=self.clock)
        runs.interrupt_after = self.interrupt_after
        self.made.append(runs)
        return runs

    def __call__(self, command: str) -> Result:
        words = shlex.split(command)
        assert words[0] == "ridgebench"
        return CliRunner().invoke(cli, words[1:])


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    found = Bench(tmp_path, monkeypatch)
    rng = np.random.default_rng(0)
    np.save("X.npy", rng.standard_normal((400, 20)))
    np.save("Y.npy", rng.standard_normal((400, 30)))
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_page_begin_with_the_answer(bench: Bench, command: str) -> None:
    done = bench(command)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    if "--plan" in command:
        assert bench.made == [] or all(one.asked == [] for one in bench.made)
        assert not (bench.folder / "results").exists()
        assert "ridgecv 1×1" in done.stdout
        return
    name = "haxby2001" if "haxby2001" in command else "Y"
    (runs,) = bench.made
    first = runs.asked[0][1].partition(" ")[0]
    assert lines[0].startswith(f"{name}: ") or lines[0].startswith(f"{name} at scale 1: ")
    assert first in lines[0]
    shown = next(line for line in lines if line.startswith("  $ "))
    assert shown.startswith(f"  $ ridgebench fit {first} ")
    if name == "Y":
        assert "--x X.npy --y Y.npy" in shown
    assert sum("the model expects" in line for line in lines) == 2
    pages = bench.folder / "pages" / name
    page = (pages / "answer.html").read_text("utf-8")
    card = page.partition('<article class="card">')[2].partition("</article>")[0]
    assert first in card
    assert card.count("the model expects") == 2
    assert "asv's pages</a>" not in page
    assert f"Sweep of {name}" in (pages / "answer-not-measured.html").read_text("utf-8")
    assert not (bench.folder / ".git").exists()


def test_penalties_are_chosen_as_is_asked_and_the_command_says_so(bench: Bench) -> None:
    where = "ridgebench bench --problem haxby2001 --machine here --threads 1 --nodes 1"
    asked = "--alpha-per-target --cv gcv --alphas 1e-3:1e7:15 --extend-alphas 2"
    assert bench(where).exit_code == 0
    done = bench(f"{where} {asked}")
    assert done.exit_code == 0, done.output
    plain, chosen = bench.made
    assert not {one.spec.key() for one in plain.cases} & {one.spec.key() for one in chosen.cases}
    assert all(one.spec.penalties == log_spaced(1e-3, 1e7, 15) for one in chosen.cases)
    options = {"alpha_per_target": True, "cv": "gcv", "extend_alphas": 2}
    assert all(options.items() <= one.spec.options.items() for one in chosen.cases)
    names = {one.spec.strategy for one in chosen.cases}
    own = {name for name in names if strategies.get(name).__module__.startswith("bench_core.")}
    assert own == {"bmor-shared", "multitarget"}  # other tests install some, too
    shown = next(line for line in done.stdout.splitlines() if line.startswith("  $ "))
    for words in ("--alpha-per-target", "--cv gcv", "--alphas 0.001:10000000:15"):
        assert words in shown
    assert "mor has no" in done.stdout  # it is named, with what it lacks
    # Records of other choices lie beside, under a name that says so.
    folders = sorted(path.name for path in (bench.folder / "results").iterdir())
    assert len(folders) == 2
    assert folders[0] == "here"
    assert folders[1].startswith("here--alphas-")
    for run in read_runs(bench.folder / "results", folders[1]):
        for record in run.fits:
            assert options.items() <= record.case.options.items()
            assert record.case.alphas == log_spaced(1e-3, 1e7, 15)


def test_records_and_what_was_left_out_are_collected(bench: Bench) -> None:
    bench("ridgebench bench --problem haxby2001 --machine here --nodes 1,2 --threads 1,2,4")
    runs = read_runs(bench.folder / "results", "here")
    assert {one.environment for one in runs} == {
        BlasEnvironment(name, "", "").name for name in ("openblas", "mkl")
    }
    for run in runs:
        assert run.problems == []
        (session,) = run.sessions
        assert isinstance(session, SessionRecord)
        assert session.problem == "haxby2001"
        reasons = {one.case for one in session.not_measured}
        assert {"1 × 4", "2 × 2"} <= reasons
        assert any(one.predicted_s for one in session.not_measured)
        assert len(session.notes) >= 2
        (blas,) = {one.case.blas for one in run.fits}
        assert run.environment == BlasEnvironment(blas, "", "").name


def test_records_do_not_say_where_a_calibration_lies(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = f"predicted by {bench.folder / 'openblas.json'}"
    made = replace(shipped(), note=note)
    monkeypatch.setattr(model, "find_model", lambda one, **_: made)
    done = bench("ridgebench bench --problem haxby2001 --machine here --threads 1 --nodes 1")
    assert note in done.stderr
    for run in read_runs(bench.folder / "results", "here"):
        (session,) = run.sessions
        assert any("openblas.json" in text for text in session.notes)
        assert not any(str(bench.folder) in text for text in session.notes)


def test_a_blas_that_cannot_be_had_is_named_and_the_rest_measured(bench: Bench) -> None:
    bench.known_blas = []
    done = bench("ridgebench bench --problem haxby2001 --threads 1 --nodes 1")
    assert done.exit_code == 0
    assert "mkl" in done.stderr
    assert "no registry" in done.stderr
    (runs,) = bench.made
    assert {label for label, _ in runs.asked} == {"openblas"}
    page = (bench.folder / "pages" / "haxby2001" / "answer-not-measured.html").read_text("utf-8")
    assert "no registry" in page


def test_what_an_interrupted_sweep_measured_is_collected_and_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_page(*_: object) -> Path:
        raise ImportError("no jinja2", name="jinja2")

    monkeypatch.setattr(summary, "write_own_page", no_page)
    bench.interrupt_after = 3
    command = "ridgebench bench --problem haxby2001 --machine here"
    done = bench(command)
    assert done.exit_code == 130
    kept = sum(len(run.fits) for run in read_runs(bench.folder / "results", "here"))
    assert kept == 3
    bench.interrupt_after = None
    done = bench(command)
    assert done.exit_code == 0
    assert "jinja2" in done.stdout
    assert "report" in done.stdout.partition("jinja2")[2]
    first, second = (one.asked for one in bench.made)
    assert first[0] not in second[:2]
    assert bench(command).exit_code == 0
    assert bench.made[2].asked == []
    assert bench(f"{command} --again").exit_code == 0
    assert set(bench.made[3].asked) == set(first) | set(second)


def test_no_valid_fit_is_no_answer(bench: Bench) -> None:
    bench.interrupt_after = None
    done = bench("ridgebench bench --problem haxby2001 --within 1s")
    assert done.exit_code == 1
    assert bench.made[0].asked == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("--within 5min", "--within"),
        ("--strategies bmor", "--strategies"),
        ("--problem haxby2001 --profile medium", "--profile"),
        ("--problem haxby2001 --aa", "--aa"),
        ("--problem haxby2001 --device torch", "--device"),
        ("--scale 1/2", "--scale"),
        ("--problem haxby2001 -- --bench kernels", "asv"),
        ("--problem haxby2001 --x X.npy --y Y.npy", "haxby2001"),
        ("--problem haxby", "haxby2001"),
        ("--problem ./nowhere", "nowhere"),
        ("--x X.npy", "--y"),
        ("--problem haxby2001 --blas mlk", "mkl"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    bench: Bench, arguments: str, named: str
) -> None:
    done = bench(f"ridgebench bench {arguments}")
    assert done.exit_code != 0
    assert named in done.output + str(done.exception)
    assert bench.made == []


def test_the_environment_of_the_command_is_said(bench: Bench, monkeypatch: Any) -> None:
    """Where another BLAS wins than the one that is here, its command says what it needs."""
    seconds = modelled()
    factors = {"openblas": 2.0, "mkl": 1.0}

    def runs(*arguments: Any) -> FakeRuns:
        return FakeRuns(
            *arguments, seconds=lambda one: factors[one.blas] * seconds(one), clock=bench.clock
        )

    monkeypatch.setattr(measuring, "EnvironmentRuns", runs)
    done = bench("ridgebench bench --problem haxby2001 --threads 1 --nodes 1")
    assert "ridgebench blas use mkl" in done.stdout
    assert "--blas mkl" in done.stdout
