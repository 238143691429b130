"""Whole measurements, each in a process of its own: what records say of good fits and bad ones."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import PredefinedSplit

from bench_core import strategies
from bench_core.blas import detect
from bench_core.data import THESIS_ALPHAS, Problem, random_split
from bench_core.errors import InputError, UnknownNameError
from bench_core.machine import available_cores
from bench_core.measure import FitSpec, measure
from bench_core.records import Record, read, read_folder, to_json
from bench_core.runner import launcher, timing
from bench_core.runner.launcher import launch
from bench_core.runner.protocol import WorkerResult
from tests.cores import needs_two_cores
from tests.lifeline import Lifeline

Run = Callable[..., Record]

pytestmark = pytest.mark.usefixtures("oddities")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def run(store: Path, scratch: Path, problem_folder: Path) -> Run:
    """Measure a strategy on the tiny problem, without a null unless asked."""

    def run(strategy: str, *, timeout: float | None = 120, **changes: Any) -> Record:
        changes = {
            "problem": str(problem_folder),
            "null": "skip",
            "split": "random",
            **changes,
        }
        case = FitSpec(strategy=strategy, **changes)
        return measure(case, store=store, scratch=scratch, timeout=timeout)

    return run


@pytest.fixture(scope="module")
def good(run: Run) -> Record:
    return run("ridgecv", repeats=3, null="auto")


def test_a_record_of_a_good_fit_has_the_right_answers(good: Record, problem_folder: Path) -> None:
    problem = Problem.open(problem_folder)
    split = random_split(problem, seed=0)
    train, test = split.apply(problem)
    truth = RidgeCV(THESIS_ALPHAS).fit(train.X, train.Y)
    predicted = truth.predict(test.X)
    r = [np.corrcoef(test.Y[:, j], predicted[:, j])[0, 1] for j in range(8)]
    assert good.status == "ok"
    assert good.reason is None
    assert good.penalty is not None
    assert (good.penalty.values, good.penalty.counts) == ((truth.alpha_,), (9,))
    assert good.accuracy.mean == pytest.approx(np.mean(r), abs=1e-9)
    assert good.accuracy.max == pytest.approx(np.max(r), abs=1e-9)
    assert (good.accuracy.defined, good.accuracy.undefined) == (8, 1)
    assert good.null.method == "fit"
    assert good.null.mean < good.accuracy.mean - 0.3
    agreement = good.agreement
    assert agreement.agrees
    assert agreement.worst < 1e-12
    assert agreement.same_penalty is True
    assert agreement.reference_penalty == truth.alpha_
    assert agreement.targets == 9


def test_a_record_says_how_long_and_how_much(good: Record) -> None:
    times, memory = good.times, good.memory
    assert len(times.fit_s) == 3
    assert times.median_s == sorted(times.fit_s)[1]
    assert times.ci95_s[0] <= times.median_s <= times.ci95_s[1]
    assert times.cluster_start_s is None
    assert memory.interval_ms <= 50
    assert memory.peak_bytes >= memory.baseline_bytes > 20 * 2**20
    assert [one.process for one in memory.per_process] == ["main"]
    assert good.bytes_moved == {"total": 0}
    assert good.seconds > sum(times.fit_s)
    assert good.memory_needed.needed_bytes <= good.memory_needed.available_bytes


def test_a_record_proves_its_blas_and_its_surroundings(good: Record) -> None:
    here = detect().to_dict()
    for caller in ("numpy", "scipy"):
        assert getattr(good.blas, caller).name == here[caller]["name"]
        assert getattr(good.blas, caller).version == here[caller]["version"]
        assert getattr(good.blas, caller).threads == 1
        assert good.blas.proof.calls[caller]
    assert good.versions["numpy"] == np.__version__
    assert good.machine.cores["available"] == available_cores()
    (place,) = good.processor.placement
    assert (place.process, len(place.cpus), place.cores) == ("main", 1, 1)
    assert not good.case.hardware_threads
    assert good.load.before is not None
    assert good.load.after is not None
    problem = good.case.problem
    assert (problem.name, problem.t, problem.p, problem.s) == ("tiny", 200, 6, 9)
    assert (problem.t_train, problem.t_test) == (180, 20)
    assert good.case.alphas == tuple(THESIS_ALPHAS)


def test_a_record_gives_no_place_or_name_of_the_machine_away(
    good: Record, store: Path, scratch: Path
) -> None:
    text = to_json(good)
    for secret in (
        str(Path.home()) + "/",
        tempfile.gettempdir() + "/",
        sys.prefix,
        str(store),
        str(scratch),
        f'"{platform.node()}"',
        str(Path(__file__).parents[2]),
    ):
        assert secret not in text


def test_a_record_in_the_store_is_read_and_the_asking_suite_is_named(
    good: Record, store: Path, problem_folder: Path
) -> None:
    case = FitSpec(str(problem_folder), "ridgecv", suite="other", repeats=3, split="random")
    # A scratch folder that cannot be made: nothing may be measured.
    again = measure(case, store=store, scratch=Path("/dev/null/nowhere"))
    assert again.id == good.id
    assert again.case == replace(good.case, suite="other")
    assert good in read_folder(store).records


@needs_two_cores
def test_nodes_are_measured_together(run: Run) -> None:
    record = run("bmor", nodes=2)
    assert record.status == "ok"
    assert record.penalty.scope == "batch"
    assert record.times.cluster_start_s > 0
    assert record.bytes_moved["total"] > 0
    assert record.bytes_moved["total"] == sum(
        count for name, count in record.bytes_moved.items() if name != "total"
    )
    processes = [one.process for one in record.memory.per_process]
    assert {"main", "node 0", "node 1"} <= set(processes)
    assert len(record.blas.workers) == 2
    places = record.processor.placement
    assert [(one.process, one.cores) for one in places] == [("node 0", 1), ("node 1", 1)]
    assert not {*places[0].cpus} & {*places[1].cpus}
    assert all(one.numpy.threads == 1 for one in record.blas.workers)
    assert record.agreement.same_penalty is None


def test_another_blas_than_declared_gives_no_number(run: Run) -> None:
    other = "mkl" if detect().numpy.name != "mkl" else "openblas"
    record = run("ridgecv", blas=other)
    assert record.status == "invalid"
    assert other in record.reason
    assert record.times is None


def test_predictions_that_are_not_the_definitions_are_invalid(run: Run) -> None:
    record = run("shifted")
    assert record.status == "invalid"
    assert "differ from scikit-learn's Ridge" in record.reason
    assert not record.agreement.agrees
    assert record.agreement.worst > record.agreement.tolerance


def test_another_penalty_than_ridgecvs_is_invalid_where_that_is_claimed(run: Run) -> None:
    record = run("stubborn")
    assert record.status == "invalid"
    assert "chose 1200 where RidgeCV chooses" in record.reason
    assert record.agreement.same_penalty is False
    # Given its penalty the fit is right, so only the choice was wrong.
    assert record.agreement.worst < 1e-12


def test_a_lost_target_is_invalid(run: Run) -> None:
    record = run("short")
    assert record.status == "invalid"
    assert "(20, 8)" in record.reason


def test_threads_beyond_those_given_are_invalid(run: Run) -> None:
    record = run("greedy")
    assert record.status == "invalid"
    assert "3 threads where 1 were asked for" in record.reason


def test_an_exception_is_recorded_and_its_traceback_is_beside_it(
    run: Run, store: Path, problem_folder: Path
) -> None:
    record = run("failing")
    assert record.status == "failed"
    assert record.reason.startswith("ValueError: no luck in <")
    log = store / f"{FitSpec(str(problem_folder), 'failing', null='skip', split='random').stem}.log"
    assert "Traceback" in log.read_text()
    assert "go_wrong" in log.read_text()


def test_a_worker_that_is_killed_is_reported_as_such(run: Run) -> None:
    record = run("crashing")
    assert record.status == "failed"
    assert "SIGKILL" in record.reason
    assert "memory" in record.reason


@pytest.mark.parametrize(("crash", "how"), [(True, "SIGSEGV"), (False, "MemoryError: none left")])
def test_a_fit_is_not_lost_with_its_check(run: Run, crash: bool, how: str) -> None:
    record = run("unchecked", options={"crash": crash})
    assert record.status == "invalid"
    assert how in record.reason
    assert "not compared with scikit-learn's Ridge" in record.reason
    assert record.times.median_s > 0
    assert record.accuracy.mean > 0
    assert record.agreement is None


@dataclass(frozen=True)
class _Note:
    note: str


def test_a_timeout_ends_the_worker_and_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lifeline, log = Lifeline(tmp_path / "pids"), tmp_path / "case.log"

    class Impatient(subprocess.Popen):  # type: ignore[type-arg]
        """A process whose time is over as soon as it and its child run."""

        def wait(self, timeout: float | None = None) -> int:
            if timeout is None:
                return super().wait()
            assert len(lifeline.pids()) == 2
            raise subprocess.TimeoutExpired(self.args, timeout)

    monkeypatch.setattr(launcher.subprocess, "Popen", Impatient)
    found = launch(
        "hanging_worker",
        _Note(str(lifeline)),
        WorkerResult,
        environment=os.environ,
        log=log,
        timeout=5,
    )
    assert (found.status, found.times) == ("failed", None)
    assert "5 s" in str(found.reason)
    assert "it said this" in log.read_text()
    lifeline.wait()


def test_an_interruption_leaves_no_record_and_no_process(
    store: Path, scratch: Path, problem_folder: Path, tmp_path: Path
) -> None:
    lifeline = Lifeline(tmp_path / "pids")
    case = FitSpec(str(problem_folder), "hanging", options={"note": str(lifeline)})

    def interrupt(words: str, done: int = 0, total: int = 0, /) -> None:
        if words.startswith("fit"):
            assert len(lifeline.pids()) == 2
            os.kill(os.getpid(), signal.SIGINT)

    before = set(store.iterdir())
    with pytest.raises(KeyboardInterrupt):
        measure(case, store=store, scratch=scratch, progress=interrupt)
    assert set(store.iterdir()) == before
    lifeline.wait()


def test_more_threads_than_cores_are_refused(run: Run) -> None:
    record = run("bmor", nodes=2, threads=available_cores())
    assert record.status == "skipped"
    assert f"need {2 * available_cores()} cores, {available_cores()} available" in record.reason
    assert record.times is None


def test_too_little_memory_is_refused_with_both_figures(run: Run) -> None:
    record = run("huge")
    assert record.status == "skipped"
    memory = record.memory_needed
    assert memory.needed_bytes >= 2**60 > memory.available_bytes
    assert str(memory.needed_bytes) in record.reason
    assert str(memory.available_bytes) in record.reason


def test_a_strategys_own_reason_is_kept(run: Run) -> None:
    record = run("shy")
    assert (record.status, record.reason) == ("skipped", "does not like 9 targets")


def test_several_nodes_for_a_strategy_of_one_process_are_skipped(run: Run) -> None:
    if available_cores() < 2:
        pytest.skip("two nodes need two cores")
    assert "one process" in run("ridgecv", nodes=2).reason


def test_best_kernels_are_skipped_where_there_are_no_better(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench_core import blas

    advice = blas.KernelAdvice("openblas", "Zen", "Zen", reason="Zen is the best here")
    monkeypatch.setattr(blas, "kernel_advice", lambda: advice)
    record = run("ridgecv", kernels="best")
    assert record.status == "skipped"
    assert "Zen is the best here" in record.reason


@pytest.mark.parametrize(
    ("changes", "near"),
    [
        ({"strategy": "ridgvc"}, "'ridgecv'"),
        ({"strategy": "ridgecv", "problem": "parcel"}, "'parcels'"),
        ({"strategy": "ridgecv", "options": {"gvc_mode": 1}}, "'gcv_mode'"),
    ],
)
def test_unknown_names_are_errors_that_offer_near_ones(
    run: Run, changes: dict[str, Any], near: str
) -> None:
    with pytest.raises(UnknownNameError, match=near):
        run(**changes)


def test_the_worker_leaves_with_its_caller(
    scratch: Path, problem_folder: Path, tmp_path: Path
) -> None:
    lifeline = Lifeline(tmp_path / "pids")
    code = f"""
from pathlib import Path
from bench_core.measure import FitSpec, measure
case = FitSpec({str(problem_folder)!r}, "hanging", options={{"note": {str(lifeline)!r}}})
measure(case, store=Path({str(tmp_path)!r}), scratch=Path({str(scratch)!r}))
"""
    caller = subprocess.Popen([sys.executable, "-c", code])
    assert len(lifeline.pids()) == 2
    caller.kill()
    caller.wait()
    lifeline.wait()
    assert not list(tmp_path.glob("*.json"))


def test_a_damaged_record_is_named_with_its_remedy(store: Path, good: Record) -> None:
    path = store / "damaged.json"
    path.write_text(to_json(good).replace('"status": "ok"', '"status": "fine"'))
    with pytest.raises(InputError, match=r"damaged\.json.*status.*fine"):
        read(Record, path)
    path.unlink()


def test_no_repeat_is_begun_after_long_fits(
    problem_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Problem.open(problem_folder)
    strategy = strategies.get("ridgecv")
    for enough, made in ((0.0, 1), (1e9, 3)):
        monkeypatch.setattr(timing, "ENOUGH_S", enough)
        assert len(timing.timed_fits(strategy, problem, 3)[1]) == made


@pytest.mark.parametrize("strategy", ["himalaya", "multitarget"])
def test_folds_by_run_of_every_target(run: Run, strategy: str, problem_folder: Path) -> None:
    """The runs come from the problem; a warm-up on a corner of it has other rows."""
    if strategy == "himalaya":
        pytest.importorskip("himalaya", reason="himalaya is not installed (extra: peers)")
    options = {"cv": "run", "alpha_per_target": True, "scoring": "neg_mean_squared_error"}
    record = run(strategy, options=options)
    assert record.status == "ok", record.reason
    assert record.penalty is not None
    assert record.penalty.scope == "target"
    if strategy == "himalaya":  # takes another of equal scores where a target is constant
        return
    problem = Problem.open(problem_folder)
    train, _ = random_split(problem, seed=0).apply(problem)

    def errors(alpha: float) -> Any:
        found = []
        for a, b in PredefinedSplit(train.runs).split():
            predicted = Ridge(alpha).fit(train.X[a], train.Y[a]).predict(train.X[b])
            found.append(((train.Y[b] - predicted) ** 2).mean(axis=0))
        return np.mean(found, axis=0)

    best = np.argmin([errors(alpha) for alpha in THESIS_ALPHAS], axis=0)
    values, counts = np.unique(np.array(THESIS_ALPHAS)[best], return_counts=True)
    assert record.penalty.values == tuple(values)
    assert record.penalty.counts == tuple(counts)
