"""One ridge problem: X, Y, the run of every sample and its description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench_core.checks import check_xy, row_blocks, unmasked
from bench_core.data.feature_spaces import FeatureSpaces
from bench_core.data.folder import FolderWriter, read_folder
from bench_core.data.space import TargetSpace
from bench_core.errors import InputError

_COPY_BYTES = 32 * 2**20


@dataclass(frozen=True, eq=False)
class Problem:
    """A many-target regression problem, in memory or memory-mapped.

    Parameters
    ----------
    X : features (t, p), float32 or float64.
    Y : targets (t, s), of the dtype of X.
    runs : the run of every sample (t,), integers.
    name : its name in tables and records.
    target_names : s names, or None.
    planted : for synthetic problems, the Pearson r (s,) of every target with its own noiseless
        response, 0 for targets without one: the r of a fit on unlimited data. None for real data.
    meta : anything else that JSON can hold: source, licence, seed, delays, …
    space : positions of the targets in the brain, None where unknown.
    volumes : for fMRI, the number of every sample's volume in its run (t,), or None.
    feature_spaces : named groups of the columns of X, None where they are not divided.

    Raises
    ------
    InputError : sizes or dtypes that do not fit together. Values are not read here; see
        `bench_core.checks.check_xy`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> problem = Problem.from_arrays(rng.random((6, 2)), rng.random((6, 3)), [1, 1, 1, 2, 2, 2])
    >>> problem.t, problem.p, problem.s
    (6, 2, 3)
    >>> problem.select_rows(np.flatnonzero(problem.runs == 2)).t
    3
    """

    X: NDArray[Any]
    Y: NDArray[Any]
    runs: NDArray[Any]
    name: str = "unnamed"
    target_names: Sequence[str] | None = None
    planted: NDArray[Any] | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    space: TargetSpace | None = None
    volumes: NDArray[Any] | None = None
    feature_spaces: FeatureSpaces | None = None

    def __post_init__(self) -> None:
        check_xy(self.X, self.Y, finite=False)
        if self.X.dtype != self.Y.dtype or self.X.dtype not in (np.float32, np.float64):
            raise InputError(
                f"X is {self.X.dtype} and Y is {self.Y.dtype}: both must be float32 or float64"
            )
        if self.runs.shape != (self.t,) or self.runs.dtype.kind not in "iu":
            raise InputError(
                f"runs must be {self.t} integers, one per sample, "
                f"not {self.runs.dtype} of shape {self.runs.shape}"
            )
        for what, values in (("target names", self.target_names), ("planted r", self.planted)):
            if values is not None and len(values) != self.s:
                raise InputError(f"{len(values)} {what} for {self.s} targets: give one for each")
        if self.space is not None and self.space.s > self.s:
            raise InputError(f"a space of {self.space.s} targets for a problem of {self.s}")
        if self.volumes is not None and self.volumes.shape != (self.t,):
            raise InputError(f"{self.volumes.shape} volume numbers for {self.t} samples")
        if self.feature_spaces is not None:
            self.feature_spaces.check(self.p)

    @classmethod
    def from_arrays(
        cls,
        X: ArrayLike,
        Y: ArrayLike,
        runs: ArrayLike | None = None,
        *,
        name: str = "unnamed",
        target_names: Sequence[str] | None = None,
        meta: Mapping[str, Any] | None = None,
        space: TargetSpace | None = None,
        feature_spaces: FeatureSpaces | None = None,
    ) -> Problem:
        """Return your own data as a problem; without ``runs`` all samples are of run 1.

        Whole numbers become float64, and a float32 beside a float64 becomes float64; other arrays
        are not copied. Raises `InputError` as the class does, and for NaN or infinity.
        """
        X_, Y_ = unmasked("X", X), unmasked("Y", Y)
        check_xy(X_, Y_)
        dtype = np.float32 if X_.dtype == Y_.dtype == np.float32 else np.float64
        runs_ = np.ones(len(X_), dtype=np.int32) if runs is None else np.asarray(runs)
        return cls(
            X_.astype(dtype, copy=False),
            Y_.astype(dtype, copy=False),
            runs_,
            name=name,
            target_names=target_names,
            meta=dict(meta or {}),
            space=space,
            feature_spaces=feature_spaces,
        )

    @property
    def t(self) -> int:
        """Samples."""
        return int(self.X.shape[0])

    @property
    def p(self) -> int:
        """Features."""
        return int(self.X.shape[1])

    @property
    def s(self) -> int:
        """Targets."""
        return int(self.Y.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of X and Y."""
        return self.X.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of X and Y together."""
        return int(self.X.nbytes + self.Y.nbytes)

    def save(self, folder: str | Path) -> None:
        """Write the problem to a new ``folder``, block-wise; the folder appears whole or not."""
        self.save_rows(folder, None)

    def save_rows(self, folder: str | Path, rows: NDArray[np.intp] | None) -> None:
        """Write the problem of the given ``rows`` (all for None), in their order, as `save`."""
        t = self.t if rows is None else len(rows)
        small = self._small(rows)
        arrays = {
            "X": ((t, self.p), self.dtype),
            "Y": ((t, self.s), self.dtype),
            **{name: (array.shape, array.dtype) for name, array in small.items()},
        }
        description: dict[str, Any] = {"name": self.name, "meta": self.meta}
        if self.space is not None:
            description["space"] = self.space.description()
        if self.feature_spaces is not None:
            description["feature_spaces"] = self.feature_spaces.to_json()
        with FolderWriter(Path(folder), arrays, description) as writer:
            for name, array in (("X", self.X), ("Y", self.Y)):
                row_bytes = array.shape[1] * array.itemsize
                for block in row_blocks(t, row_bytes, _COPY_BYTES):
                    chosen = block if rows is None else rows[block]
                    writer.put(name, block.start, array[chosen])
            for name, array in small.items():
                writer.put(name, 0, array)
            writer.commit()

    def select_rows(self, rows: NDArray[np.intp]) -> Problem:
        """Return the problem of the given ``rows``, in their order, in memory."""
        return Problem(
            np.asarray(self.X[rows]),
            np.asarray(self.Y[rows]),
            np.asarray(self.runs[rows]),
            name=self.name,
            target_names=self.target_names,
            planted=self.planted,
            meta=self.meta,
            space=self.space,
            volumes=None if self.volumes is None else self.volumes[rows],
            feature_spaces=self.feature_spaces,
        )

    @classmethod
    def open(cls, folder: str | Path) -> Problem:
        """Return the problem saved in ``folder``, X and Y memory-mapped and read-only.

        Raises `InputError` when a file is missing, damaged or cut short.
        """
        description, arrays = read_folder(Path(folder))
        absent = {"X", "Y", "runs"} - arrays.keys()
        if absent:
            raise InputError(f"{folder} describes no {', '.join(sorted(absent))}: make it again")
        names = arrays.get("target_names")
        space = description.get("space")
        feature_spaces = description.get("feature_spaces")
        return cls(
            arrays["X"],
            arrays["Y"],
            np.array(arrays["runs"]),
            name=str(description.get("name", Path(folder).name)),
            target_names=None if names is None else names.tolist(),
            planted=None if "planted" not in arrays else np.array(arrays["planted"]),
            meta=dict(description.get("meta", {})),
            space=None if space is None else TargetSpace.stored(space, arrays),
            volumes=None if "volumes" not in arrays else np.array(arrays["volumes"]),
            feature_spaces=None if feature_spaces is None else FeatureSpaces.of(feature_spaces),
        )

    def _small(self, rows: NDArray[np.intp] | None) -> dict[str, NDArray[Any]]:
        found = {"runs": self.runs if rows is None else self.runs[rows]}
        if self.planted is not None:
            found["planted"] = self.planted
        if self.volumes is not None:
            found["volumes"] = self.volumes if rows is None else self.volumes[rows]
        if self.space is not None:
            found |= self.space.arrays()
        if self.target_names is not None:
            found["target_names"] = np.array(list(self.target_names), dtype=np.str_)
        return found
