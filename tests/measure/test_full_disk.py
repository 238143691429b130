"""Disks that fill while a fit is measured: the record that it was for is not lost."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench_core import files
from bench_core.cli.commands.measure import command
from bench_core.errors import ResourceError
from bench_core.measure import FitSpec, RecordNotWrittenError, measure, run
from bench_core.records import Record, codec, read
from bench_core.runner.spec import ProblemShape
from tests.small_disk import fill, small_disk
from tests.valid_record import valid_record


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 4) as disk:
        yield disk


def filling(disk: Path) -> Callable[..., None]:
    """Return a progress that fills the disk when fits begin, and again when they are compared."""

    def progress(what: str, done: int = 0, total: int = 0, /) -> None:
        if what.startswith(("fit", "comparing")):
            fill(disk)

    return progress


def test_a_measurement_outlives_the_disk_of_all_its_files(
    disk: Path, problem_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store, scratch and temporary files are on it."""
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    spec = FitSpec(str(problem_folder), "ridgecv", null="skip", repeats=2, split="random")
    record = measure(spec, store=disk / "store", scratch=disk / "scratch", progress=filling(disk))
    assert (disk / "filler").stat().st_size > 2**20
    assert record.status == "ok", record.reason
    assert record.times is not None
    assert len(record.times.fit_s) == 2
    assert read(Record, disk / "store" / f"{spec.stem}.json") == record
    assert os.listdir(disk / "store") == [f"{spec.stem}.json"]
    # What could not be done for want of space is said.
    assert record.agreement is not None
    assert record.agreement.agrees
    assert record.agreement.same_penalty is None
    assert "free" in str(record.agreement.note)


@pytest.mark.parametrize("full", ["store", "temporary"])
def test_no_space_for_a_record_is_said_before_anything_is_computed(
    disk: Path,
    tmp_path: Path,
    scratch: Path,
    problem_folder: Path,
    full: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = FitSpec(str(problem_folder), "ridgecv", null="skip")
    store = disk if full == "store" else tmp_path / "store"
    seen: list[str] = []
    options: dict[str, Any] = {
        "scratch": scratch,
        "progress": lambda what, *_: seen.append(what),
    }
    fill(disk)
    os.truncate(disk / "filler", (disk / "filler").stat().st_size - 2**13)
    if full == "store":
        with pytest.raises(ResourceError, match=rf"{codec.RESERVED_BYTES} bytes.*free"):
            measure(spec, store=store, **options)
        assert os.listdir(disk) == ["filler"]
    else:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        record = measure(spec, store=store, **options)
        assert record.status == "skipped"
        assert f"{codec.RESERVED_BYTES} bytes" in str(record.reason)
    assert not any(what.startswith("fit") for what in seen)


def test_a_record_that_cannot_be_written_all_the_same_is_printed(
    tmp_path: Path, problem_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    shape = ProblemShape("tiny", 200, 6, 9, "float64")
    record = valid_record(FitSpec(str(problem_folder), "ridgecv"), shape)
    monkeypatch.setattr(run, "_measure_now", lambda *_: record)
    monkeypatch.setattr(files, "write_at", refuse)
    asked = ["ridgecv", str(problem_folder), "--store", str(tmp_path)]
    done = CliRunner().invoke(command, asked)
    error = done.exception
    assert isinstance(error, RecordNotWrittenError)
    assert error.exit_code == 1
    assert error.record is record
    assert codec.from_json(Record, done.stdout, "what was printed") == record
    assert os.listdir(tmp_path) == []
