"""Fits that faults disturb: as ``ridgebench fit`` does them, and of a strategy on a cluster."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from bench_core import strategies
from bench_core.cluster import Cluster
from bench_core.fitting.request import FitRequest
from bench_core.fitting.sources import ProblemSource
from tests.faults.traps import trapped

ALPHAS = (1.0, 100.0, 10_000.0)
SECOND = 20
"""The target with which the second of two batches begins."""
DISTRIBUTED = ["mor", "bmor", "bmor-shared"]


def request(problem: Path, out: Path, strategy: str = "trapped-bmor", **changes: Any) -> FitRequest:
    """Return a request of a fit on two nodes whose strategy springs traps."""
    values = {"alphas": ALPHAS, "nodes": 2, "split": "run", "figures": False} | changes
    return FitRequest(strategy, ProblemSource(str(problem)), out, **values)


def assert_same(out: Path, expected: Path) -> None:
    """Compare two result folders, bit by bit."""
    for name in ("coef", "intercept", "penalty", "prediction", "r"):
        found, wanted = (np.load(folder / f"{name}.npy") for folder in (out, expected))
        np.testing.assert_array_equal(found, wanted, name)


def fit_on(name: str, cluster: Cluster, arrays: tuple[np.ndarray, np.ndarray]) -> Any:
    """Fit a strategy whose nodes spring traps."""
    if cluster.elsewhere:  # a scheduler does not answer while it imports what it unpickles
        cluster.client.run_on_scheduler(import_module, "tests.faults.traps")
    with trapped(name):
        return strategies.get(name)(ALPHAS, cluster=cluster).fit(*arrays)


def assert_same_model(model: Any, expected: Any) -> None:
    """Compare two models, bit by bit."""
    for part in ("coef_", "intercept_", "alpha_"):
        np.testing.assert_array_equal(getattr(model, part), getattr(expected, part), part)
