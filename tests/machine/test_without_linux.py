"""What is Linux's own is guarded: fits and nodes run where the calls are absent, as on macOS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench_core.blas import detection
from bench_core.cluster import cores
from bench_core.disk import reserve
from bench_core.errors import RidgebenchError
from bench_core.machine import pinning
from bench_core.runner.protocol import choose_cores

LACKING = ("sched_getaffinity", "sched_setaffinity", "posix_fallocate", "posix_fadvise")

WITHOUT = f"""
import os
for name in {LACKING!r}:
    if hasattr(os, name):
        delattr(os, name)
from pathlib import Path
from bench_core.machine import pinning
pinning.TASKS = Path("/nowhere")
"""

FIT = """
import numpy as np
from bench_core import strategies
from bench_core.cluster import local
rng = np.random.default_rng(0)
X, Y = rng.standard_normal((40, 8)), rng.standard_normal((40, 5))
expected = strategies.get("ridgecv")((1.0, 10.0)).fit(X, Y).predict(X)
assert np.allclose(strategies.get("multitarget")((1.0, 10.0)).fit(X, Y).predict(X), expected)
with local(1, 1) as cluster:
    model = strategies.get("bmor-shared")((1.0, 10.0), cluster=cluster).fit(X, Y)
    assert np.allclose(model.predict(X), expected)
print("fitted")
"""


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LACKING:
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(pinning, "TASKS", Path("/nowhere"))


def test_every_processor_is_usable_and_nothing_is_pinned(without: None) -> None:
    every = list(range(os.cpu_count() or 1))
    assert not pinning.can_pin()
    assert sorted(pinning.usable()) == every
    cores.pin([0])  # does nothing, and raises nothing
    assert cores.affinity() == every
    assert pinning.threads() == []
    assert len(choose_cores(1)) == 1


def test_space_is_still_asked_for(without: None, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        reserve(file.fileno(), 4096, tmp_path / "file")
    assert (tmp_path / "file").stat().st_size == 4096


def test_a_proof_that_cannot_be_had_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(detection, "MAPS", tmp_path / "maps")
    with pytest.raises(RidgebenchError, match="Linux"):
        detection.mappings()


def test_strategies_fit_without_them(tmp_path: Path) -> None:
    # Nodes are processes of their own: what they start with comes from this file.
    (tmp_path / "sitecustomize.py").write_text(WITHOUT.split("from pathlib")[0])
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(tmp_path), str(root)])
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT + FIT],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.stdout.strip() == "fitted", found.stderr
