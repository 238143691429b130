"""A cell in two processes: as one process, its failure a reason, and resumed after it."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from study_small import small_study

from bench_core.records import codec
from bench_core.study import together, training
from bench_core.study.cells import Cell, cells
from bench_core.study.context import Study
from bench_core.study.settings import StudySettings
from bench_core.study.together import ProcessesFailedError, TrainResult
from bench_core.study.training import TrainedGPT

PLACE = torch.device("cpu")
# Enough steps after the fifth for the signal to come before the last.
STEPS, BETWEEN, KILLED_AT = 40, 4, 5


class Killer:
    """Progress that kills one of the processes after some steps, and keeps what it was told."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.seen: list[tuple[str, int]] = []

    def __call__(self, what: str, done: int = 0, total: int = 0, /) -> None:
        self.seen.append((what, done))
        if self.at is not None and what.startswith("GPT") and done >= self.at:
            self.at = None
            every = [p for p in psutil.Process().children(recursive=True) if works(p)]
            every[-1].kill()

    @property
    def steps(self) -> list[int]:
        return [done for what, done in self.seen if what.startswith("GPT")]


def works(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return "bench_core.study.train_worker" in words and "torch.distributed.run" not in words


Results = tuple[StudySettings, dict[int, Cell], dict[int, TrainedGPT], str, Killer]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """One cell in one process, and in two of which one is killed, then again."""
    folder = tmp_path_factory.mktemp("together") / "example"
    more = {"steps = 8\n": f"steps = {STEPS}\ncheckpoint_every = {BETWEEN}\n"}
    settings = small_study(folder, "processes = [1, 2]\n", more)
    study = Study.open(settings)
    by_count = {cell.processes: cell for cell in cells(settings)}
    vqvae = training.trained_vqvae(study, by_count[1], PLACE, lambda *_: None).model
    found = {1: training.trained_gpt(study, by_count[1], vqvae, PLACE, lambda *_: None)}
    with pytest.raises(ProcessesFailedError) as failed:
        training.trained_gpt(study, by_count[2], vqvae, PLACE, Killer(KILLED_AT))
    again = Killer(None)
    found[2] = training.trained_gpt(study, by_count[2], vqvae, PLACE, again)
    return settings, by_count, found, str(failed.value), again


def losses(found: TrainedGPT) -> list[float]:
    with (found.checkpoint.parent / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(STEPS))
    return [float(row["loss"]) for row in rows]


def test_a_process_that_is_killed_is_the_reason(results: Results) -> None:
    assert "SIGKILL" in results[3]
    assert "2 processes" in results[3]


def test_the_next_session_goes_on_from_the_last_checkpoint(results: Results) -> None:
    again = results[4]
    # Killed shortly after step 5: the first step is the one after a checkpoint.
    assert again.steps == list(range(again.steps[0], STEPS + 1))
    assert again.steps[0] > KILLED_AT - BETWEEN
    assert (again.steps[0] - 1) % BETWEEN == 0
    assert any("continuing after step" in what for what, _ in again.seen)


def test_two_processes_learn_what_one_does(results: Results) -> None:
    _, _, found, _, _ = results
    one, two = losses(found[1]), losses(found[2])
    assert two[:10] == pytest.approx(one[:10], rel=1e-4)
    assert two == pytest.approx(one, rel=1e-2)  # Adam divides rounding by small gradients
    assert one[-1] < one[0]


def test_every_process_has_its_memory_in_the_record(results: Results) -> None:
    _, _, found, _, _ = results
    assert found[1].peaks == ()
    assert len(found[2].peaks) == 2
    assert min(found[2].peaks) > 2**20
    assert found[2].gpu_peaks == ()


def test_what_is_trained_starts_no_process(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, by_count, found, _, _ = results
    monkeypatch.setattr(together, "launch", None)
    study = Study.open(settings)
    vqvae = training.trained_vqvae(study, by_count[2], PLACE, lambda *_: None).model
    again = training.trained_gpt(study, by_count[2], vqvae, PLACE, lambda *_: None)
    assert (again.peaks, again.loss) == (found[2].peaks, found[2].loss)


@pytest.mark.parametrize("error", ["RuntimeError", None])
def test_the_first_reason_is_the_one_that_is_given(tmp_path: Path, error: Any) -> None:
    """What the others say when one is gone follows of it."""
    found = TrainResult("failed", "the worker process ended with status 1: ====", error)
    assert together._reason(found, tmp_path, 2) == found.reason
    codec.write(TrainResult("failed", "the loss is nan", "NonFiniteLossError"), tmp_path / "1.json")
    later = tmp_path / "0.json"
    codec.write(TrainResult("failed", "Connection closed by peer", "RuntimeError"), later)
    os.utime(tmp_path / "1.json", ns=(1, 1))
    assert together._reason(found, tmp_path, 2) == "process 1 of 2: the loss is nan"
