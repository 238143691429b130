"""Splits into training and test samples: at random, as in the thesis, or by whole runs.

Where neither is asked for, `choose_split` takes whole runs if there are enough of them.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench_core.checks import check_memory
from bench_core.data.neighbours import measure_resemblance
from bench_core.data.problem import Problem
from bench_core.errors import InputError, counted

SplitKind = Literal["random", "run"]

FEWEST_TRAINING_RUNS = 2
"""Runs that a split by run has to leave to train: folds by run need as many."""

LARGEST_TEST_PART = 0.5
"""Part of the samples that the held-out runs may have at most: runs differ in length."""


@dataclass(frozen=True)
class SplitChoice:
    """The kind of split that was chosen, and why.

    Examples
    --------
    >>> choose_split(np.repeat([1, 2, 3], 40))
    SplitChoice(kind='run', reason='1 of 3 runs is held out')
    >>> choose_split(np.ones(120)).kind
    'random'
    """

    kind: SplitKind
    reason: str


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the training and of the test samples, each in ascending order.

    ``kind`` is "random" or "run". ``warning`` is the reason for which held-out accuracy is too
    high under this split, None if there is none. ``reason`` is why this kind was chosen, None where
    it was asked for.

    Examples
    --------
    >>> problem = Problem.from_arrays(np.eye(6), np.ones((6, 1)), [1, 1, 2, 2, 3, 3])
    >>> split = run_split(problem, test_runs=[3])
    >>> split.train, split.test
    (array([0, 1, 2, 3]), array([4, 5]))
    """

    train: NDArray[np.intp]
    test: NDArray[np.intp]
    kind: str
    seed: int | None = None
    warning: str | None = None
    reason: str | None = None

    def apply(self, problem: Problem, folder: str | Path | None = None) -> tuple[Problem, Problem]:
        """Return the training and the test problem.

        In memory, or, when ``folder`` is given, written block-wise to ``folder/train`` and
        ``folder/test`` and opened memory-mapped. Raises `ResourceError` when memory does not
        suffice.
        """
        if folder is None:
            check_memory(problem.nbytes, f"splitting {problem.name} in memory")
            return problem.select_rows(self.train), problem.select_rows(self.test)
        parts = []
        for part, rows in (("train", self.train), ("test", self.test)):
            problem.save_rows(Path(folder) / part, rows)
            parts.append(Problem.open(Path(folder) / part))
        return parts[0], parts[1]


def random_split(problem: Problem, *, test_fraction: float = 0.1, seed: int = 0) -> Split:
    """Draw ⌈t · test_fraction⌉ test samples at random; the thesis's split is 90/10.

    Raises `InputError` when fewer than two samples would be left on either side.
    """
    t = problem.t
    tests = _count(t, test_fraction)
    if tests < 2 or t - tests < 2:
        raise InputError(
            f"test_fraction {test_fraction!r} of {t} samples leaves {t - tests} to train and "
            f"{tests} to test: at least 2 are needed on either side"
        )
    order = np.random.default_rng(seed).permutation(t)
    return Split(
        train=np.sort(order[tests:]),
        test=np.sort(order[:tests]),
        kind="random",
        seed=seed,
        warning=_leak(problem),
    )


def run_split(
    problem: Problem,
    *,
    test_runs: Collection[int] | None = None,
    test_fraction: float = 0.1,
) -> Split:
    """Hold out whole runs: ``test_runs``, or the last ⌈runs · test_fraction⌉.

    Raises `InputError` for runs the problem does not have, or when none would be left on one side.
    """
    known = _in_order(problem.runs)
    if test_runs is None:
        chosen = known[len(known) - _count(len(known), test_fraction) :]
    else:
        chosen = list(test_runs)
        strange = sorted(set(chosen) - set(known))
        if strange:
            raise InputError(f"{problem.name} has no run {strange[0]}: its runs are {known}")
    held = np.isin(problem.runs, chosen)
    if held.all() or not held.any():
        raise InputError(
            f"holding out runs {chosen} of {known} leaves nothing to "
            f"{'train' if held.all() else 'test'}: both sides need at least one run"
        )
    return Split(train=np.flatnonzero(~held), test=np.flatnonzero(held), kind="run")


def choose_split(runs: NDArray[Any], *, test_fraction: float = 0.1) -> SplitChoice:
    """Return by run where the samples have runs and each part keeps enough, else at random.

    Enough are 1 run to test and 2 to train, and at most half of the samples to test.

    Parameters
    ----------
    runs : of every sample (t,).
    """
    known = _in_order(runs)
    if len(known) < 2:
        return SplitChoice("random", "all samples are of one run")
    tests = _count(len(known), test_fraction)
    held = f"{tests} of {counted(len(known), 'run')} {'is' if tests == 1 else 'are'} held out"
    if len(known) - tests < FEWEST_TRAINING_RUNS:
        return SplitChoice("random", f"by run {held}: fewer than 2 runs would be left to train")
    part = float(np.isin(runs, known[-tests:]).mean())
    if part > LARGEST_TEST_PART:
        return SplitChoice("random", f"by run {held}, which have {part:.0%} of the samples")
    return SplitChoice("run", held)


def auto_split(problem: Problem, *, test_fraction: float = 0.1, seed: int = 0) -> Split:
    """Split as `choose_split` says; ``seed`` is that of a random split."""
    choice = choose_split(problem.runs, test_fraction=test_fraction)
    if choice.kind == "run":
        split = run_split(problem, test_fraction=test_fraction)
    else:
        split = random_split(problem, test_fraction=test_fraction, seed=seed)
    return replace(split, reason=choice.reason)


def _in_order(runs: NDArray[Any]) -> list[int]:
    """Return the numbers of the runs in the order in which they begin."""
    _, first = np.unique(runs, return_index=True)
    return [int(runs[row]) for row in np.sort(first)]


def _count(total: int, fraction: float) -> int:
    if not 0 < fraction < 1:
        raise InputError(f"test_fraction {fraction!r} is not between 0 and 1: the thesis uses 0.1")
    return math.ceil(total * fraction - 1e-9)


def _leak(problem: Problem) -> str | None:
    """Return the warning where rows resemble their neighbours, by what X and Y show."""
    found = measure_resemblance(problem.X, problem.Y, problem.runs)
    if not found.leaks:
        return None
    single = len(np.unique(problem.runs)) < 2
    remedy = "say which run every sample is of (--runs) and split" if single else "split"
    return (
        "random split of rows that resemble their neighbours: lag-1 autocorrelation within runs "
        f"is {found.x:.2f} in X and {found.y:.2f} in Y (medians over columns), so test samples "
        f"have near copies among the training samples and accuracy is too good; {remedy} by run "
        "(--split run)"
    )
