"""A folder that cannot be written is refused before anything is computed."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from bench_core.accuracy import report
from bench_core.errors import InputError


def test_accuracy_looks_before_it_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fit:
        def open_problem(self) -> None:
            raise AssertionError("the problem was read first")

    monkeypatch.setattr(report.FitResult, "open", lambda folder: Fit())

    def refused(path: Path, content: bytes) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "write_bytes", refused)
    with pytest.raises(InputError, match=str(tmp_path)):
        report.accuracy_report(tmp_path)
