"""Records as the measurement writes them, with numbers chosen so that every ratio is known."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_LIBRARY = {
    "name": "openblas",
    "version": "0.3.30",
    "architecture": "Haswell",
    "threading_layer": "pthreads",
    "threads": 1,
    "file": "libscipy_openblas.so",
    "interface": "LP64",
}
_RECORD: dict[str, Any] = {
    "schema": "ridgebench-measurement/1",
    "status": "ok",
    "reason": None,
    "started": "2026-01-01T00:00:00+00:00",
    "case": {
        "suite": "nodes_bmor",
        "problem": {
            "name": "whole-brain-bmor",
            "subject": "sub-01",
            "scale": 0.0625,
            "seed": 0,
            "dtype": "float64",
        },
        "split": {"kind": "random", "seed": 0, "warning": None},
        "strategy": "ridgecv",
        "options": {},
        "nodes": 1,
        "threads": 1,
        "kernels": "default",
    },
    "times": {"fit_s": [8.0], "median_s": 8.0, "ci95_s": [7.9, 8.2]},
    "memory": {"peak_bytes": 3 * 1024**3},
    "accuracy": {"mean": 0.25, "max": 0.75},
    "null": {"max": 0.05},
    "agreement": {"worst": 1e-12},
    "blas": {"declared": "openblas", "numpy": _LIBRARY, "scipy": _LIBRARY},
    "machine": {"cpu": {"model": "A test's CPU"}},
}

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def record() -> Make:
    """Return a function that makes a record: case fields by keyword, seconds and status apart."""

    def make(seconds: float = 8.0, status: str = "ok", reason: str | None = None, **case: Any):
        made = copy.deepcopy(_RECORD)
        made["status"], made["reason"] = status, reason
        made["times"]["median_s"] = seconds
        made["times"]["ci95_s"] = [seconds * 0.9, seconds * 1.1]
        problem = case.pop("problem", None)
        made["case"].update(case)
        if problem:
            made["case"]["problem"].update(problem)
        return made

    return make


@pytest.fixture
def leave() -> Callable[[Path, str, str, list[dict[str, Any]]], None]:
    """Return a function that leaves records where the benchmarks do."""

    def write(pending: Path, environment: str, commit: str, records: list[dict[str, Any]]) -> None:
        folder = pending / environment / commit
        folder.mkdir(parents=True, exist_ok=True)
        for number, one in enumerate(records):
            (folder / f"{len(list(folder.iterdir()))}-{number}.json").write_text(json.dumps(one))

    return write
