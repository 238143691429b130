"""Fixtures: traps, a problem in which they spring, and strategies that spring them, installed."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench_core import strategies
from bench_core.data import Problem
from bench_core.fitting.run import fit
from tests.faults.fits import ALPHAS, request
from tests.faults.traps import FOLDER
from tests.once import made_once
from tests.strategies.conftest import cluster_of

__all__ = ["cluster_of"]

ROOT = Path(__file__).parents[2]
NAMES = {"trapped-bmor": "TrappedBmor", "trapped-mor": "TrappedMor",
         "trapped-bmor-shared": "TrappedShared"}  # fmt: skip


@pytest.fixture(scope="session")
def arrays() -> tuple[np.ndarray, np.ndarray]:
    """Return X (150, 8) and Y (150, 40) whose targets want different penalties."""
    rng = np.random.default_rng(4)
    X = rng.standard_normal((150, 8)) + 1
    strength = 2.0 ** np.linspace(-6, 1, 40)
    return X, X @ rng.standard_normal((8, 40)) * strength + rng.standard_normal((150, 40))


@pytest.fixture(scope="session")
def problem_folder(tmp_path_factory: pytest.TempPathFactory, arrays) -> Path:
    folder = tmp_path_factory.mktemp("problems") / "small"
    Problem.from_arrays(*arrays, np.repeat(range(3), 50), name="small").save(folder)
    return folder


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture
def traps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which nodes that are started from now on look for traps."""
    folder = tmp_path / "traps"
    folder.mkdir()
    monkeypatch.setenv(FOLDER, str(folder))
    return folder


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the trapped strategies, for this process and those that it starts."""
    site = tmp_path_factory.mktemp("site")
    info = site / "trapped-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trapped\nVersion: 1.0\n")
    points = "\n".join(f"{name} = tests.faults.traps:{kind}" for name, kind in NAMES.items())
    (info / "entry_points.txt").write_text(f"[ridgebench.strategies]\n{points}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        inherited = os.environ.get("PYTHONPATH")
        places = [str(site), str(ROOT), *filter(None, [inherited])]
        patch.setenv("PYTHONPATH", os.pathsep.join(places))
        importlib.invalidate_caches()
        yield


@pytest.fixture(scope="session")
def undisturbed(cluster_of, arrays):
    """Return a function from a strategy's name to its model, fitted on two nodes."""
    found = {}

    def fitted(name):
        if name not in found:
            found[name] = strategies.get(name)(ALPHAS, cluster=cluster_of(2)).fit(*arrays)
        return found[name]

    return fitted


@pytest.fixture(scope="session")
def undisturbed_folder(problem_folder, scratch, installed, tmp_path_factory):
    """Return a function from a strategy's name to the result folder of an undisturbed fit.

    Each is fitted once for all processes of pytest-xdist.
    """

    def fitted(name="bmor"):
        def make(folder: Path) -> None:
            out = folder / "out"
            done = fit(request(problem_folder, out, f"trapped-{name}"), scratch=scratch)
            assert done.record.status == "ok"
            assert done.record.recovery is None
            assert os.listdir(folder) == ["out"]

        return made_once(tmp_path_factory, f"undisturbed-{name}", make) / "out"

    return fitted
