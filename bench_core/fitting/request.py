"""Request of one fit, and the checks that need no data."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench_core import strategies
from bench_core.accuracy.result import SHUFFLED
from bench_core.checks import check_alphas
from bench_core.cluster.settings import LOCAL, ClusterSettings
from bench_core.data import THESIS_ALPHAS, Problem, Split, auto_split, random_split, run_split
from bench_core.data import shape as named_shape
from bench_core.disk import readable_path
from bench_core.errors import InputError
from bench_core.fitting.sources import ProblemSource
from bench_core.runner.planning import check_options, with_spaces
from bench_core.runner.spec import SPLITS, FitSpec, ProblemShape


@dataclass(frozen=True)
class FitRequest:
    """One fit: strategy, problem, split, resources, and where the results go.

    split : "random", "run", or "auto": by run where there are enough runs, else at random.
    test_fraction : of samples (split "random") or of runs ("run"). test_runs : the runs to hold
    out instead, which "auto" takes for by run. coef : whether coefficients are written.
    memory_limit : bytes, for strategies that plan within one. keep_problem : whether the problem is
    kept beside the results. retries : times that batches are done again whose node was lost.
    resume : go on with the batches that an interrupted fit has left. cluster : where the nodes are.
    allow_mixed : accept nodes that differ. shuffled : fit to shuffled samples too, for r by chance.
    """

    strategy: str
    source: ProblemSource
    out: Path
    split: str = "auto"
    test_fraction: float = 0.1
    test_runs: Collection[int] | None = None
    seed: int = 0
    nodes: int = 1
    threads: int = 1
    hardware_threads: bool = False
    kernels: str = "default"
    blas: str | None = None
    alphas: tuple[float, ...] = THESIS_ALPHAS
    fit_intercept: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    coef: bool = True
    memory_limit: int | None = None
    keep_problem: bool = False
    figures: bool = True
    retries: int = 2
    resume: bool = False
    cluster: ClusterSettings = LOCAL
    allow_mixed: bool = False
    shuffled: bool = False

    def check(self) -> None:
        """Raise the error of anything that no fit can use."""
        strategy = strategies.get(self.strategy)
        check_options(strategy, self.options)
        check_alphas(self.alphas)
        if self.split not in SPLITS:
            raise InputError(f"split {self.split!r}: give one of {', '.join(SPLITS)}")
        if self.test_runs is not None and self.split == "random":
            raise InputError(
                f"test runs {sorted(self.test_runs)} cannot be held out by --split random: leave "
                "one of the two out"
            )
        source = self.source
        for place in (self.out.absolute(), source.problem, source.x, source.y, source.runs):
            if place is not None:
                readable_path(place)
        if self.out.exists():
            raise InputError(f"{self.out} exists already: choose another folder or remove it")
        if "coef" in self.options:
            raise InputError(
                "option coef: coefficients go to the result folder; use --no-coef to leave them out"
            )
        if self.memory_limit is not None and "memory_limit" in self.options:
            raise InputError("memory_limit is given twice: use --memory-limit alone")
        if self.memory_limit is not None and "memory_limit" not in strategy.supports:
            able = [name for name in strategies.names() if "memory_limit" in _supports(name)]
            raise InputError(
                f"{self.strategy} cannot plan within a memory limit: {', '.join(able)} can"
            )
        try:
            json.dumps(self.options, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"options {self.options!r} are no JSON values: {error}") from None

    def with_spaces(self, problem: Problem) -> FitRequest:
        """Return the request with the feature spaces of the problem, where none are given."""
        spaces = problem.feature_spaces
        return replace(self, options=with_spaces(self.strategy, self.options, spaces))

    def split_rows(self, problem: Problem) -> Split:
        """Return the rows to train and to test with."""
        if self.split == "random":
            return random_split(problem, test_fraction=self.test_fraction, seed=self.seed)
        if self.split == "auto" and self.test_runs is None:
            return auto_split(problem, test_fraction=self.test_fraction, seed=self.seed)
        split = run_split(problem, test_runs=self.test_runs, test_fraction=self.test_fraction)
        return (
            replace(split, reason="runs to hold out are named") if self.split == "auto" else split
        )

    def fit_options(self, coef: str | None) -> dict[str, Any]:
        """Return the strategy's options, with the file for coefficients if it can write one.

        ``coef`` is a path, or None for no coefficients.
        """
        supports = strategies.get(self.strategy).supports
        options = dict(self.options)
        if self.memory_limit is not None:
            options["memory_limit"] = self.memory_limit
        if "coef" in supports:
            options["coef"] = coef
        return options

    def shape(self, problem: Problem) -> ProblemShape:
        """Return the sizes of the opened problem."""
        source = self.source
        return ProblemShape(
            name=problem.name,
            t=problem.t,
            p=problem.p,
            s=problem.s,
            dtype=str(problem.dtype),
            subject=source.subject if source.named else None,
            scale=source.scale if source.named else None,
        )

    def output_bytes(self, shape: ProblemShape, tests: int) -> dict[str, int]:
        """Return the bytes of every array that the fit writes, for ``tests`` held-out samples."""
        item = np.dtype(shape.dtype).itemsize
        sizes = {"prediction": tests * shape.s * item, "coef": shape.s * shape.p * item}
        small = ("penalty", "r", "intercept", *([SHUFFLED] if self.shuffled else []))
        sizes |= dict.fromkeys(small, shape.s * 8)
        if not self.coef:
            del sizes["coef"]
        return sizes

    def expected_shape(self) -> ProblemShape | None:
        """Return the sizes of a named problem before it is made, None for any other source."""
        source = self.source
        if not source.named or source.problem is None:
            return None
        found = named_shape(source.problem, scale=source.scale, subject=source.subject)
        return ProblemShape(
            found.name, found.t, found.p, found.s, source.dtype, found.subject, found.scale
        )

    def training_samples(self, shape: ProblemShape) -> int:
        """Return about how many samples will train, before the split is known."""
        return max(1, round(shape.t * (1 - self.test_fraction)))

    def spec(self, shape: ProblemShape, split: Split | None = None) -> FitSpec:
        """Return the specification of the fit; paths of coefficients are called "file".

        split : the division in training and test samples, once it is known.
        """
        source = self.source
        return FitSpec(
            suite="fit",
            problem=source.problem or shape.name,
            strategy=self.strategy,
            scale=source.scale if source.named else 1.0,
            subject=source.subject,
            options=self.fit_options("file" if self.coef else None),
            nodes=self.nodes,
            threads=self.threads,
            hardware_threads=self.hardware_threads,
            cluster=self.cluster.label,
            dtype=shape.dtype,
            split=self.split if split is None else split.kind,
            split_reason=None if split is None else split.reason,
            seed=self.seed,
            kernels=self.kernels,
            blas=self.blas,
            alphas=self.alphas,
            fit_intercept=self.fit_intercept,
            null="fit" if self.shuffled else "skip",
        )


def _supports(name: str) -> frozenset[str]:
    supports: frozenset[str] = strategies.get(name).supports
    return supports
