"""Where calls go is found out once for the libraries of an environment, and kept."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench_core.records.blas import BlasCalls, LibraryRecord
from bench_core.runner import blas_proof
from bench_core.runner.blas_proof import locate_calls

LIBRARY = LibraryRecord("openblas", "0.3.30", "Haswell", "pthreads", 1, "/x/libopenblas.so", "lp64")
CALLS = BlasCalls(LIBRARY, LIBRARY)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often all symbols are read; every answer has its number."""
    numbers: list[int] = []

    def proof() -> dict[str, Any]:
        numbers.append(len(numbers))
        return {"calls": {"numpy": [{"symbols": numbers[-1]}]}, "exceptions": {}, "relinked": {}}

    monkeypatch.setattr(blas_proof, "proof", proof)
    return numbers


def test_the_answer_is_kept_as_long_as_libraries_and_modules_are_the_same(
    asked: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "module.so"
    module.touch()

    def modules() -> list[tuple[str, int, int]]:
        return [(str(module), 0, module.stat().st_mtime_ns)]

    monkeypatch.setattr(blas_proof, "_extension_modules", modules)
    first = locate_calls(CALLS, tmp_path / "kept")
    assert locate_calls(CALLS, tmp_path / "kept") == first
    assert asked == [0]
    other = BlasCalls(LIBRARY, replace(LIBRARY, version="0.3.31"))
    assert locate_calls(other, tmp_path / "kept") != first
    os.utime(module, ns=(1, 1))
    assert locate_calls(CALLS, tmp_path / "kept").calls == {"numpy": [{"symbols": 2}]}
    assert asked == [0, 1, 2]


def test_extension_modules_of_both_packages_are_looked_at() -> None:
    found = {Path(path).name.partition(".")[0] for path, _, _ in blas_proof._extension_modules()}
    assert {"_multiarray_umath", "_fblas"} <= found
