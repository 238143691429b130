"""Finished batches of a fit, in memory or on disk, so that none is done twice.

On disk a ledger is a folder: ``identity.json`` says of which fit, ``coef.npy`` takes the
coefficients of all targets, and ``batch-NAME.npz`` is there, whole, for every batch whose
coefficients are. Nothing in it is pickled.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench_core.cluster.arrays import RowFile
from bench_core.disk import full_disk
from bench_core.errors import InputError, counted
from bench_core.files import read_json, replace_file, write_json
from bench_core.npy import HEADER_BYTES

Arrays = tuple[NDArray[Any], ...]

FORMAT = "ridgebench-unfinished-fit/1"
COEF = "coef.npy"


class Ledger:
    """Results of finished batches, by name.

    Parameters
    ----------
    folder : where they are kept; None for memory.
    claim : called with the bytes of the file of coefficients before it is created, to give back
        space that is held for it.

    Attributes
    ----------
    resumed : number of batches that an earlier process had finished and this one has used.

    Examples
    --------
    >>> ledger = Ledger()
    >>> ledger.keep("0", (np.arange(3.0), 7.0))
    >>> [part.tolist() for part in ledger.find("0")], ledger.find("1")
    ([[0.0, 1.0, 2.0], 7.0], None)
    """

    def __init__(
        self, folder: Path | None = None, claim: Callable[[int], None] | None = None
    ) -> None:
        self.folder = folder
        self._claim = claim
        self.resumed = 0
        self._found: dict[str, Arrays] = {}
        if folder is not None:
            for path in sorted(folder.glob("batch-*.npz")):
                self._found[path.stem.removeprefix("batch-")] = _read(path)
        self._before = set(self._found)

    def find(self, name: str) -> Arrays | None:
        """Return the result of a batch, None where it is not finished."""
        if name in self._before and name in self._found:
            self._before.remove(name)
            self.resumed += 1
        return self._found.get(name)

    def keep(self, name: str, result: Sequence[ArrayLike]) -> None:
        """Keep the result of a batch, after its coefficients have reached the disk.

        Raises `ResourceError` where the disk is full.
        """
        arrays = tuple(np.asarray(part) for part in result)
        self._before.discard(name)
        if self.folder is not None:
            if (coef := self.folder / COEF).exists():
                _flush(coef)
            path = self.folder / f"batch-{name}.npz"
            replace_file(path, lambda part: _write(part, arrays, path))
        self._found[name] = arrays

    def rows(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> RowFile | None:
        """Return the file of coefficients with what is in it, None for a ledger in memory."""
        if self.folder is None:
            return None
        path = self.folder / COEF
        if self._claim is not None and not path.exists():
            self._claim(shape[0] * shape[1] * dtype.itemsize + HEADER_BYTES)
        return RowFile.reopen(path, shape, dtype)


def count_finished(folder: Path) -> int:
    """Return the number of finished batches in a folder; 0 where there is none."""
    return len(list(folder.glob("batch-*.npz")))


def remove_empty(folder: Path) -> bool:
    """Remove a ledger's folder that a killed process left without a finished batch.

    Returns whether it is gone. One that is in use, or that holds anything else, stays.
    """
    lock = folder / "lock"
    names = {path.name for path in folder.iterdir()}
    if not lock.is_file() or not names <= {"lock", "identity.json", COEF}:
        return False
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


class LedgerFolder:
    """Context that owns the folder of a ledger: one fit at a time, and only its own batches.

    When it ends, the folder stays where batches in it are finished and `discard` was not called.

    Parameters
    ----------
    identity : everything that decides the fit's numbers, as JSON values.
    resume : use batches that are there.

    Raises
    ------
    InputError : another process writes there; or finished batches are there and are not to be
        used, or are those of another fit: the message names what differs.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp(), "sub-01.unfinished")
    >>> with LedgerFolder(place, {"strategy": "bmor"}, resume=False):
    ...     Ledger(place).keep("0", (np.arange(3.0),))
    >>> with LedgerFolder(place, {"strategy": "bmor"}, resume=True) as kept:
    ...     kept.discard()
    >>> kept.found, place.exists()
    (1, False)
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
        self.folder = folder
        self.found = 0
        self._identity = {"format": FORMAT, **identity}
        self._resume = resume
        self._lock: IO[str] | None = None
        self._discarded = False

    @property
    def finished(self) -> int:
        """Number of finished batches now."""
        return count_finished(self.folder)

    def discard(self) -> None:
        """Remove the folder when the context ends: its batches are in the result."""
        self._discarded = True

    def __enter__(self) -> LedgerFolder:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("a")
        try:
            self._claim()
        except BaseException:
            self._lock.close()
            raise
        return self

    def _claim(self) -> None:
        assert self._lock is not None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{self.folder} is being written by another fit: wait until it ends, or choose "
                "another result folder"
            ) from None
        path = self.folder / "identity.json"
        self.found = self.finished
        if self.found and not self._resume:
            raise InputError(
                f"{self.folder} holds {counted(self.found, 'finished batch')} of an interrupted "
                "fit: --resume goes on with them; to begin anew, remove that folder"
            )
        if self.found:
            self._compare(read_json(path))
            return
        for each in self.folder.iterdir():
            if each.name != "lock":
                each.unlink()
        write_json(path, self._identity)

    def _compare(self, before: Mapping[str, Any]) -> None:
        """Raise `InputError` where the batches are those of another fit."""
        names = sorted({*before, *self._identity})
        differ = [name for name in names if before.get(name) != self._identity.get(name)]
        if differ:
            listed = "; ".join(
                f"{name}: {_short(before.get(name))} then, {_short(self._identity.get(name))} now"
                for name in differ
            )
            raise InputError(
                f"{self.folder} holds finished batches of another fit ({listed}): ask for the "
                "same, or remove that folder to begin anew"
            )

    def __exit__(self, *_: object) -> None:
        assert self._lock is not None
        if self._discarded or not self.finished:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return tuple(stored[f"arr_{number}"] for number in range(len(stored.files)))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is damaged ({error}): remove it to do its batch again") from None


def _write(part: Path, arrays: Arrays, path: Path) -> None:
    with full_disk(path, sum(array.nbytes for array in arrays)), part.open("wb") as file:
        np.savez(file, *arrays)
        file.flush()
        os.fsync(file.fileno())


def _flush(path: Path) -> None:
    with suppress(OSError):  # a file system that cannot; its data are there all the same
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
