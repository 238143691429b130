"""What is asked of one fit, and what of it can be refused before anything is read."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core import strategies
from bench_core.checks import check_alphas
from bench_core.data import THESIS_ALPHAS, Problem, Split, random_split, run_split
from bench_core.errors import InputError, ResourceError
from bench_core.fitting.plans import check_options, options_of
from bench_core.fitting.sources import Source


@dataclass(frozen=True)
class Request:
    """One fit: strategy, problem, split, resources, and where the results go.

    test_fraction : of samples (split "random") or of runs ("run"). test_runs : the runs to hold
    out instead. coef : whether coefficients are written. memory_limit : bytes, for strategies that
    plan within one. keep_problem : whether the problem is kept beside the results.
    """

    strategy: str
    source: Source
    out: Path
    split: str = "random"
    test_fraction: float = 0.1
    test_runs: Collection[int] | None = None
    seed: int = 0
    nodes: int = 1
    threads: int = 1
    kernels: str = "default"
    blas: str | None = None
    alphas: tuple[float, ...] = THESIS_ALPHAS
    fit_intercept: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    coef: bool = True
    memory_limit: int | None = None
    keep_problem: bool = False
    figures: bool = True

    def check(self) -> None:
        """Raise the error of anything that no fit can be made of."""
        from bench_core.machine import available_cores

        strategy = strategies.get(self.strategy)
        check_options(strategy, self.options)
        check_alphas(self.alphas)
        if self.split not in ("random", "run"):
            raise InputError(f"split {self.split!r}: give 'random' or 'run'")
        if self.test_runs is not None and self.split != "run":
            raise InputError(f"test runs {sorted(self.test_runs)} need --split run")
        if self.out.exists():
            raise InputError(f"{self.out} exists already: choose another folder or remove it")
        if "coef" in self.options:
            raise InputError("coefficients are written to the result folder: use --no-coef to not")
        if self.memory_limit is not None and "memory_limit" not in options_of(strategy):
            raise InputError(f"{self.strategy} cannot be given a memory limit: multitarget can")
        cores = available_cores()
        if self.nodes * self.threads > cores:
            raise ResourceError(
                f"{self.nodes} nodes × {self.threads} threads need {self.nodes * self.threads} "
                f"cores, {cores} are available: ask for fewer"
            )
        try:
            json.dumps(self.options, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"options {self.options!r} are no JSON values: {error}") from None

    def check_problem(self, problem: Problem) -> None:
        """Raise the strategy's own reason not to fit a problem of this shape."""
        size = problem.t, problem.p, problem.s
        reason = strategies.get(self.strategy).skip(*size, self.nodes, self.threads)
        if reason is not None:
            raise InputError(reason)

    def draw(self, problem: Problem) -> Split:
        """Return the rows to train and to test with."""
        if self.split == "random":
            return random_split(problem, test_fraction=self.test_fraction, seed=self.seed)
        return run_split(problem, test_runs=self.test_runs, test_fraction=self.test_fraction)

    def fit_options(self, coef: str | None) -> dict[str, Any]:
        """Return the strategy's options, with where it is to leave coefficients if it can.

        ``coef`` is a path, or None for nowhere.
        """
        known = options_of(strategies.get(self.strategy))
        options = dict(self.options)
        if self.memory_limit is not None:
            options["memory_limit"] = self.memory_limit
        if "coef" in known:
            options["coef"] = coef
        return options


def contiguous(rows: NDArray[np.intp]) -> slice | None:
    """Return the slice that ascending ``rows`` are, or None if they have gaps."""
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return None
