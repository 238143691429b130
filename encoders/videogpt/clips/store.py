"""The clip store: frames of many runs, resized and uncompressed, in one HDF5 file per run.

A folder holds ``RUN.h5`` files, each written atomically. Preparing a data set can therefore be
interrupted and continued, and several processes can prepare different runs. A file has

``frames``
    (n, side, side, 3) uint8, in chunks of 16 frames.
``times``
    (n,) seconds on the run's clock (with fMRI events: the scanner's).
``segments``
    (k, 2) first frame and one past the last of each stretch without a gap.

Its attribute ``digest`` is that of the frames, times and segments, and ``notes`` (JSON) lists
what was irregular when the run was prepared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError, unknown
from bench_core.files import replace_file

FORMAT = "ridgebench-clips/1"
CHUNK = 16


@dataclass(frozen=True)
class Stretch:
    """Frames without a gap: ``frames`` (n, side, side, 3) uint8 and their ``times`` (n,)."""

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]


@dataclass(frozen=True)
class ClipRun:
    """Description of one run's file, without its frames.

    ``digest`` is that of the content, None in files that were written without. ``notes`` are
    sentences on what was irregular when it was prepared.
    """

    name: str
    subject: str
    path: Path
    frames: int
    side: int
    segments: NDArray[np.int64]
    notes: Sequence[str] = ()
    digest: str | None = None


def write_run(
    folder: Path,
    name: str,
    stretches: Iterable[Stretch],
    *,
    subject: str,
    source: str,
    notes: Sequence[str] = (),
) -> Path:
    """Write one run, stretch by stretch, and return its file.

    ``notes`` are read after the last stretch.

    Raises `InputError` for a run without frames and for a stretch whose times do not increase.
    """

    def save(part: Path) -> None:
        with h5py.File(part, "w") as file:
            _fill(file, stretches, name)
            file.attrs.update({"format": FORMAT, "subject": subject, "source": source})
            file.attrs["notes"] = json.dumps(list(notes))

    return replace_file(folder / f"{name}.h5", save)


def _fill(file: h5py.File, stretches: Iterable[Stretch], name: str) -> None:
    frames: Any = None
    digest = _ContentDigest()
    times: list[NDArray[np.float64]] = []
    segments: list[tuple[int, int]] = []
    total = 0
    for stretch in stretches:
        count = len(stretch.frames)
        if count != len(stretch.times) or np.any(np.diff(stretch.times) <= 0):
            raise InputError(
                f"run {name}: {count} frames with {len(stretch.times)} times; give one time per "
                "frame, increasing"
            )
        if not count:
            continue
        if frames is None:
            shape = stretch.frames.shape[1:]
            frames = file.create_dataset(
                "frames", (0, *shape), "u1", maxshape=(None, *shape), chunks=(CHUNK, *shape)
            )
        frames.resize(total + count, axis=0)
        frames[total:] = stretch.frames
        digest.add(stretch.frames, stretch.times)
        times.append(stretch.times)
        segments.append((total, total + count))
        total += count
    if frames is None:
        raise InputError(f"run {name} has no frames: give one or more")
    file["times"] = np.concatenate(times)
    file["segments"] = np.array(segments, dtype=np.int64)
    file.attrs["digest"] = digest.hex()


class _ContentDigest:
    """Digest of stretches of frames and their times, independent of the pieces they come in."""

    def __init__(self) -> None:
        self._frames = hashlib.sha256()
        self._times = hashlib.sha256()

    def add(self, frames: NDArray[np.uint8], times: NDArray[np.float64]) -> None:
        """Add the frames (n, side, side, 3) and times (n,) of one stretch."""
        self._frames.update(np.ascontiguousarray(frames).data)
        self._times.update(f"{frames.shape}".encode())
        self._times.update(np.ascontiguousarray(times, dtype="<f8").data)

    def hex(self) -> str:
        """Return the digest of what was added."""
        return hashlib.sha256(self._frames.digest() + self._times.digest()).hexdigest()


def _digest_of(path: Path) -> str:
    """Return the digest of a file that was written without one, by reading it."""
    with h5py.File(path, "r") as file:
        frames, times, digest = file["frames"], file["times"][:], _ContentDigest()
        for first, last in file["segments"][:]:
            digest.add(frames[first:last], times[first:last])
    return digest.hex()


class ClipStore:
    """A folder of runs, opened for reading; of ``runs`` only, where given.

    Raises `UnknownNameError` for an unknown run, and `InputError` for a folder without runs or with
    runs of different sizes.

    Examples
    --------
    >>> import tempfile
    >>> black = Stretch(np.zeros((20, 8, 8, 3), np.uint8), np.arange(20) / 10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_run(Path(folder), "run-1", [black], subject="sub-01", source="black")
    ...     store = ClipStore(Path(folder))
    ...     store.frames, store.side, store.read(0, 5, 2).shape
    (20, 8, (2, 8, 8, 3))
    """

    def __init__(self, folder: Path, runs: Sequence[str] | None = None) -> None:
        self.folder = folder
        found = {run.name: run for run in _runs(folder)}
        for name in runs or ():
            if name not in found:
                raise unknown("run", name, found)
        self.runs = [found[name] for name in (runs if runs is not None else sorted(found))]
        if not self.runs:
            raise InputError(f"{folder} holds no runs: prepare some with videogpt prepare")
        sides = sorted({run.side for run in self.runs})
        if len(sides) > 1:
            raise InputError(
                f"runs in {folder} have different sizes {sides} px: prepare them at one size"
            )
        self.side = sides[0]
        self._open: dict[int, h5py.File] = {}
        self._digest: str | None = None

    @property
    def frames(self) -> int:
        """Number of frames of all runs."""
        return sum(run.frames for run in self.runs)

    def segments(self) -> NDArray[np.int64]:
        """Return (k, 3): run, first frame and one past the last of each stretch without a gap."""
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
        """Return the frames (n, count, side, side, 3) of ``windows`` (n, 2): run, first frame."""
        return np.stack([self.read(int(run), int(start), count) for run, start in windows])

    def digest(self) -> str:
        """Return a hex digest of the runs' names and content, wherever their files are."""
        if self._digest is None:
            found = hashlib.sha256()
            for run in self.runs:
                found.update(f"{run.name} {run.digest or _digest_of(run.path)}\n".encode())
            self._digest = found.hexdigest()
        return self._digest

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1].close()

    def _file(self, run: int) -> h5py.File:
        if run not in self._open:
            self._open[run] = h5py.File(self.runs[run].path, "r")
        return self._open[run]


def clip_of(store: ClipStore, start: int, needed: int, wanted: int = 0) -> NDArray[np.uint8]:
    """Return ``needed`` to ``wanted`` frames of the store's first run from ``start`` on.

    They are of one stretch, which may end before ``wanted`` frames.

    Raises `InputError` if a gap follows within ``needed`` frames.
    """
    run = store.runs[0]
    for first, last in run.segments:
        if first <= start and start + needed <= last:
            return store.read(0, start, min(max(wanted, needed), int(last) - start))
    raise InputError(
        f"run {run.name} has no {needed} frames without a gap from frame {start} on: choose "
        f"another start ({run.frames} frames in {len(run.segments)} stretches)"
    )


def _runs(folder: Path) -> Iterator[ClipRun]:
    for path in sorted(folder.glob("[!.]*.h5")):
        try:
            with h5py.File(path, "r") as file:
                if file.attrs.get("format") != FORMAT:
                    raise InputError(
                        f"{path} is not a file of clips (format {FORMAT}): move it elsewhere"
                    )
                count, side = file["frames"].shape[:2]
                segments = file["segments"][:]
                subject = str(file.attrs["subject"])
                notes = json.loads(file.attrs.get("notes", "[]"))
                digest = file.attrs.get("digest")
        except OSError as error:
            raise InputError(
                f"{path} cannot be read as HDF5 ({error}): delete it and prepare the run again"
            ) from None
        yield ClipRun(path.stem, subject, path, count, side, segments, notes, digest)
