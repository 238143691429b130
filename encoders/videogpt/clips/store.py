"""Frames of many runs, small and uncompressed enough to train from: one HDF5 file per run.

A folder holds ``RUN.h5`` files, each written whole or not at all, so that preparing a data set
can be interrupted and continued, and several processes can prepare different runs. A file has

``frames``
    (n, side, side, 3) uint8, in chunks of 16 frames.
``times``
    (n,) seconds on the run's clock (with fMRI events: the scanner's).
``segments``
    (k, 2) first frame and one past the last of each stretch without a gap.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError, unknown

FORMAT = "ridgebench-clips/1"
CHUNK = 16


@dataclass(frozen=True)
class Stretch:
    """Frames without a gap: ``frames`` (n, side, side, 3) uint8 and their ``times`` (n,)."""

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """What is known of one run's file without reading its frames."""

    name: str
    subject: str
    path: Path
    frames: int
    side: int
    segments: NDArray[np.int64]


def write_run(
    folder: Path, name: str, stretches: Iterable[Stretch], *, subject: str, source: str
) -> Path:
    """Write one run, stretch by stretch, and return its file.

    Raises `InputError` if there is not one frame, or a stretch's times do not increase.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.h5"
    partial = folder / f".{name}.{os.getpid()}.partial"
    try:
        with h5py.File(partial, "w") as file:
            _fill(file, stretches, name)
            file.attrs.update({"format": FORMAT, "subject": subject, "source": source})
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _fill(file: h5py.File, stretches: Iterable[Stretch], name: str) -> None:
    frames: Any = None
    times: list[NDArray[np.float64]] = []
    segments: list[tuple[int, int]] = []
    total = 0
    for stretch in stretches:
        count = len(stretch.frames)
        if count != len(stretch.times) or np.any(np.diff(stretch.times) <= 0):
            raise InputError(f"run {name}: frames of a stretch need one increasing time each")
        if not count:
            continue
        if frames is None:
            shape = stretch.frames.shape[1:]
            frames = file.create_dataset(
                "frames", (0, *shape), "u1", maxshape=(None, *shape), chunks=(CHUNK, *shape)
            )
        frames.resize(total + count, axis=0)
        frames[total:] = stretch.frames
        times.append(stretch.times)
        segments.append((total, total + count))
        total += count
    if frames is None:
        raise InputError(f"run {name} has no frames")
    file["times"] = np.concatenate(times)
    file["segments"] = np.array(segments, dtype=np.int64)


class ClipStore:
    """A folder of runs, opened for reading.

    Raises `InputError` if it holds no run, or runs of different sizes.
    """

    def __init__(self, folder: Path, runs: Sequence[str] | None = None) -> None:
        self.folder = folder
        found = {run.name: run for run in _runs(folder)}
        for name in runs or ():
            if name not in found:
                raise unknown("run", name, found)
        self.runs = [found[name] for name in (runs if runs is not None else sorted(found))]
        if not self.runs:
            raise InputError(f"{folder} holds no runs: prepare some first")
        sides = sorted({run.side for run in self.runs})
        if len(sides) > 1:
            raise InputError(f"runs in {folder} have different sizes {sides}: prepare them alike")
        self.side = sides[0]
        self._open: dict[int, h5py.File] = {}

    @property
    def frames(self) -> int:
        """Frames of all runs."""
        return sum(run.frames for run in self.runs)

    def segments(self) -> NDArray[np.int64]:
        """Return (k, 3): run, first frame, one past the last, of every stretch without a gap."""
        return np.concatenate(
            [np.insert(run.segments, 0, number, axis=1) for number, run in enumerate(self.runs)]
        )

    def read(self, run: int, start: int, count: int) -> NDArray[np.uint8]:
        """Return frames (count, side, side, 3) of one run."""
        frames: NDArray[np.uint8] = self._file(run)["frames"][start : start + count]
        return frames

    def times(self, run: int) -> NDArray[np.float64]:
        """Return the times (n,) in seconds of one run's frames."""
        times: NDArray[np.float64] = self._file(run)["times"][:]
        return times

    def windows(self, windows: NDArray[np.int64], count: int) -> NDArray[np.uint8]:
        """Return (n, count, side, side, 3) for ``windows`` (n, 2): run and first frame."""
        return np.stack([self.read(int(run), int(start), count) for run, start in windows])

    def digest(self) -> str:
        """Return a hex digest that changes when a run's file does."""
        found = hashlib.sha256()
        for run in self.runs:
            stat = run.path.stat()
            found.update(f"{run.name} {run.frames} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        return found.hexdigest()

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1].close()

    def _file(self, run: int) -> h5py.File:
        if run not in self._open:
            self._open[run] = h5py.File(self.runs[run].path, "r")
        return self._open[run]


def clip_of(store: ClipStore, start: int, needed: int, wanted: int = 0) -> NDArray[np.uint8]:
    """Return frames of the store's first run from ``start`` on, all of one stretch.

    Up to ``wanted`` of them, as far as the stretch goes. Raises `InputError` if ``needed`` do not
    follow without a gap.
    """
    run = store.runs[0]
    for first, last in run.segments:
        if first <= start and start + needed <= last:
            return store.read(0, start, min(max(wanted, needed), int(last) - start))
    raise InputError(
        f"run {run.name} has no {needed} frames without a gap from frame {start}: it has "
        f"{run.frames} frames in {len(run.segments)} stretches"
    )


def _runs(folder: Path) -> Iterator[Run]:
    for path in sorted(folder.glob("*.h5")):
        try:
            with h5py.File(path, "r") as file:
                if file.attrs.get("format") != FORMAT:
                    raise InputError(f"{path} is no file of clips")
                count, side = file["frames"].shape[:2]
                segments = file["segments"][:]
                subject = str(file.attrs["subject"])
        except OSError as error:
            raise InputError(f"{path} cannot be read as HDF5: {error}") from None
        yield Run(path.stem, subject, path, count, side, segments)
