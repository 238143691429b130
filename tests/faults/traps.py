"""Faults at known points of a fit, in the node that does the work.

A trap is a file named after a target; its text is the fault. The node that is about to keep what it
made of the batch that begins with this target springs it, once.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from bench_core.strategies import _shared_nodes, bmor, bmor_shared, mor
from tests.small_disk import fill
from tests.waiting import wait_until

FOLDER = "RIDGEBENCH_TEST_TRAPS"
HASTY = "RIDGEBENCH_TEST_HASTY"
"""Variable of processes that wait for a shorter time before a node counts as lost."""
PATIENCE = (
    ("bench_core.cluster.silence", "SILENT_S", 2.0),
    ("bench_core.cluster.kinds.ssh", "_ASK_S", 1.5),
    ("bench_core.cluster.silence", "STOPPED_S", 0.5),
    ("bench_core.cluster.silence", "UNREACHABLE_S", 4.0),
    ("bench_core.cluster.presence", "SCHEDULER_S", 10.0),
    ("bench_core.cluster.adopted", "CLOSE_S", 3.0),
)
"""What `HASTY` makes shorter: module, name, seconds."""
ONE = "one"
"""File that the first node takes away which springs a trap of which one alone is to be sprung."""
ANY = 13
"""The target whose trap any target of mor springs where targets travel by messages."""


def set_trap(folder: Path, target: int, fault: str) -> None:
    """Have the node that fits the batch which begins with ``target`` do ``fault``, once."""
    (folder / str(target)).write_text(fault)


def set_traps(folder: Path, first: int, stop: int, fault: str) -> None:
    """Set traps for targets [first, stop), the one that is reached first does ``fault``."""
    (folder / ONE).touch()
    for target in range(first, stop):
        set_trap(folder, target, f"{ONE} {fault}")


def look_in(folder: str | None) -> None:
    """Look for traps in this folder from now on, in a process that runs already; None: nowhere."""
    if folder is None:
        os.environ.pop(FOLDER, None)
    else:
        os.environ[FOLDER] = folder


def spring(target: int) -> None:
    """Do what the trap of this target says, if it is set."""
    trap = Path(os.environ.get(FOLDER, "/nowhere"), str(target))
    try:
        *alone, fault = trap.read_text().split()
        if alone:
            trap.with_name(ONE).unlink()
        sprung = trap.rename(trap.with_suffix(".sprung"))
    except OSError:
        return
    sprung.with_suffix(".pid").write_text(str(os.getpid()))
    if fault == "hold":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        signal.sigwait({signal.SIGUSR1})  # which nobody sends
    elif fault == "memory":
        eaten = []
        while True:
            eaten.append(np.ones(2**20))
    elif fault == "until":
        assert wait_until(lambda: not sprung.exists(), 600)  # until the test removes it
    elif fault == "fill":
        disk = Path(sprung.with_suffix(".disk").read_text())
        assert wait_until(lambda: list(disk.glob("*.unfinished/batch-*.npz")))
        fill(disk)
    elif fault == "driver":
        os.kill(os.getppid(), signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        signal.sigwait({signal.SIGUSR1})
    else:
        os.kill(os.getpid(), getattr(signal, fault))


class _Rows:
    """The file of coefficients, with a trap before its first row is written."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def write(self, first: int, rows: Any) -> None:
        spring(first)
        self._rows.write(first, rows)


def trapped_batch(*arguments: Any) -> Any:
    *rest, rows = arguments
    return bmor._fit_batch(*rest, _Rows(rows))


def trapped_write(job: Any, columns: slice, rows: Any, alphas: Any, solution: Any) -> Any:
    return _shared_nodes.write_coefficients(job, columns, _Rows(rows), alphas, solution)


class TrappedTarget(mor._TargetRidgeCV):
    def fit(self, data: Any, target: Any) -> Any:
        # By messages the target itself comes, without its number.
        spring(ANY if data.Y is None else int(target[0]))
        return super().fit(data, target)


@contextmanager
def trapped(strategy: str) -> Iterator[None]:
    """Let fits of ``strategy`` spring traps; what the nodes compute is the real code."""
    places: dict[str, tuple[Any, str, Callable[..., Any]]] = {
        "bmor": (bmor, "_fit_batch", trapped_batch),
        "mor": (mor, "_TargetRidgeCV", TrappedTarget),
        "bmor-shared": (bmor_shared.on_node, "write_coefficients", trapped_write),
    }
    module, name, replacement = places[strategy]
    with patch.object(module, name, replacement):
        yield


class _Trapped:
    """A strategy whose fits, but not the warm-up, spring traps."""

    def fit_checked(self, X: Any, Y: Any, alphas: Any) -> None:
        if len(X) <= 64:
            super().fit_checked(X, Y, alphas)  # type: ignore[misc]
            return
        with trapped(self.name.removeprefix("trapped-")):  # type: ignore[attr-defined]
            super().fit_checked(X, Y, alphas)  # type: ignore[misc]


class TrappedBmor(_Trapped, bmor.STRATEGY):
    name = "trapped-bmor"


class TrappedMor(_Trapped, mor.STRATEGY):
    name = "trapped-mor"


class TrappedShared(_Trapped, bmor_shared.STRATEGY):
    name = "trapped-bmor-shared"


# The process that leads the nodes of a fit imports its strategy from here before it starts them.
if os.environ.get(HASTY):
    for _module, _name, _seconds in PATIENCE:
        setattr(importlib.import_module(_module), _name, _seconds)
