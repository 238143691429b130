"""Several processes that train one GPT together, started by torchrun on this machine.

Each runs `bench_core.study.train_worker`. They end with their caller, and all of them where one
fails. What one of them gave as its reason, or the signal that ended it, is the cell's.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench_core.errors import RidgebenchError
from bench_core.leftovers import owned_folder
from bench_core.machine import available_cores
from bench_core.progress import Progress
from bench_core.records import codec
from bench_core.runner.launcher import launch
from bench_core.runner.protocol import State
from bench_core.study.cells import Cell
from bench_core.study.settings import StudySettings
from encoders.videogpt.checkpoint import read
from encoders.videogpt.training.state import NAME

RESULT = "processes.json"
"""File in a training folder with what the processes that trained in it used."""

_LOG = "log"
_SIGNAL = re.compile(r"Root Cause.*?Signal \d+ \((\w+)\)", re.DOTALL)


class ProcessesFailedError(RidgebenchError, RuntimeError):
    """One of several processes that train together failed; the message is its reason."""

    exit_code = 1


@dataclass(frozen=True)
class TrainJob:
    """What each of the processes is told.

    Parameters
    ----------
    vqvae, teacher : checkpoints; no teacher where none teaches.
    folder : to train in.
    threads : torch threads of each.
    failures : folder in which a process that fails leaves its reason.
    """

    settings: StudySettings
    cell: Cell
    vqvae: Path
    folder: Path
    teacher: Path | None
    threads: int
    failures: Path


@dataclass(frozen=True)
class TrainResult:
    """What the first process returns: peak bytes of every one, by its number."""

    status: State
    reason: str | None = None
    error: str | None = None
    peak_memory_bytes: tuple[int, ...] = ()
    peak_gpu_bytes: tuple[int, ...] = ()


def train_together(
    settings: StudySettings,
    cell: Cell,
    vqvae: Path,
    folder: Path,
    teacher: Path | None,
    steps: int,
    notify: Progress,
) -> TrainResult:
    """Train the cell's GPT in its number of processes, up to ``steps``; go on from a checkpoint.

    Nothing is started where all steps are done.

    Raises
    ------
    ProcessesFailedError : one of the processes failed, or was killed.
    """
    done = _done(folder, steps)
    if done is not None:
        return done
    count = cell.processes
    threads = settings.threads or max(1, available_cores() // count)
    with owned_folder(Path(tempfile.gettempdir()), "ridgebench") as place:
        found = launch(
            "bench_core.study.train_worker",
            TrainJob(settings, cell, vqvae, folder, teacher, threads, place),
            TrainResult,
            environment=_environment(threads),
            log=place / _LOG,
            progress=notify,
            through=(
                "-m",
                "torch.distributed.run",
                "--standalone",
                "--local-addr=127.0.0.1",
                f"--nproc-per-node={count}",
            ),
        )
        if found.status != "ok":
            raise ProcessesFailedError(_reason(found, place, count))
    codec.write(found, folder / RESULT)
    return found


def _done(folder: Path, steps: int) -> TrainResult | None:
    """Return what an earlier session used, where it has made all steps."""
    if not (folder / NAME).is_file() or read(folder / NAME).get("step") != steps:
        return None
    if not (folder / RESULT).is_file():
        return TrainResult("ok")
    return codec.read(TrainResult, folder / RESULT)


def _environment(threads: int) -> dict[str, str]:
    """Return this process's environment, with what torchrun and gloo would else guess."""
    own = {"OMP_NUM_THREADS": str(threads)}
    if sys.platform == "linux":  # all processes are on this machine
        own["GLOO_SOCKET_IFNAME"] = os.environ.get("GLOO_SOCKET_IFNAME", "lo")
    return {**os.environ, **own}


def _reason(found: TrainResult, place: Path, count: int) -> str:
    """Return why processes that train together ended: the first cause, not what followed of it."""
    log = place / _LOG
    printed = log.read_text("utf-8", errors="replace") if log.is_file() else ""
    print(printed, file=sys.stderr)  # into the log of the cell
    killed = _SIGNAL.search(printed)
    if killed is not None:
        return f"one of {count} processes that train together was killed by {killed[1]}"
    left = sorted(place.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    if left:
        return f"process {left[0].stem} of {count}: {codec.read(TrainResult, left[0]).reason}"
    return str(found.reason)
