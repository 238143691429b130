"""Saved result of a fit: held-out predictions, penalties, and the problem they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.checks import row_blocks
from bench_core.data.folder import FolderWriter, read_folder
from bench_core.data.problem import Problem
from bench_core.errors import InputError

SCHEMA = "ridgebench-fit/1"
DESCRIPTION = "fit.json"
SHUFFLED = "r_shuffled"
"""Name of the array of r (s,) after training on shuffled rows, beside that of ``r``."""


@dataclass(frozen=True, eq=False)
class FitResult:
    """One fit of one problem.

    Parameters
    ----------
    problem : the problem's folder.
    strategy : name of the strategy that fitted it.
    train, test : row numbers of the problem.
    prediction : (t_test, s) for the rows in ``test``; may be memory-mapped.
    penalty : (s,) the λ that every target was fitted with.
    fit_intercept : as scikit-learn's.
    meta : anything else that JSON can hold: the split's kind and seed, times, versions, …
    arrays : anything else to keep, such as ``coef`` and ``intercept``.

    Raises `InputError` when sizes do not fit together.

    Examples
    --------
    >>> rows = np.arange(4)
    >>> prediction, penalty = np.zeros((2, 3)), np.full(3, 10.0)
    >>> result = FitResult(Path("p"), "ridge", rows[:2], rows[2:], prediction, penalty)
    >>> result.prediction.shape, result.penalty
    ((2, 3), array([10., 10., 10.]))
    """

    problem: Path
    strategy: str
    train: NDArray[np.intp]
    test: NDArray[np.intp]
    prediction: NDArray[Any]
    penalty: NDArray[np.float64]
    fit_intercept: bool = True
    meta: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        s = len(self.penalty)
        if self.prediction.shape != (len(self.test), s):
            raise InputError(
                f"a prediction of shape {self.prediction.shape} for {len(self.test)} samples and "
                f"{s} penalties: it must be ({len(self.test)}, {s})"
            )

    def save(self, folder: str | Path) -> None:
        """Write the result to a new ``folder``, which appears whole or not at all."""
        arrays = {
            "train": self.train,
            "test": self.test,
            "prediction": self.prediction,
            "penalty": self.penalty,
            **self.arrays,
        }
        description = {
            "problem": str(Path(self.problem).resolve()),
            "strategy": self.strategy,
            "fit_intercept": self.fit_intercept,
            "meta": dict(self.meta),
        }
        specs = {name: (array.shape, array.dtype) for name, array in arrays.items()}
        with _Writer(Path(folder), specs, description) as writer:
            for name, array in arrays.items():
                row_bytes = int(np.prod(array.shape[1:])) * array.itemsize
                for block in row_blocks(len(array), row_bytes):
                    writer.put(name, block.start, array[block])
            writer.commit()

    @classmethod
    def open(cls, folder: str | Path) -> FitResult:
        """Return the result saved in ``folder``, its arrays memory-mapped.

        Raises `InputError` when a file is missing, damaged or cut short.
        """
        folder = Path(folder)
        about, arrays = read_folder(
            folder,
            schema=SCHEMA,
            description_file=DESCRIPTION,
            remedy="give the folder that a fit was saved in",
        )
        try:
            return cls(
                Path(about["problem"]),
                about["strategy"],
                np.array(arrays.pop("train")),
                np.array(arrays.pop("test")),
                arrays.pop("prediction"),
                np.array(arrays.pop("penalty")),
                about["fit_intercept"],
                about["meta"],
                arrays,
            )
        except KeyError as error:
            raise InputError(f"{folder} lacks {error}: fit again") from error

    def open_problem(self) -> Problem:
        """Return the problem that was fitted.

        Raises `InputError` when its size has changed since.
        """
        return self.checked(Problem.open(self.problem), str(self.problem))

    def checked(self, problem: Problem, where: str) -> Problem:
        """Return ``problem``, which is at ``where``, if it has the size that was fitted.

        Raises `InputError` otherwise.
        """
        last = max(self.train.max(initial=-1), self.test.max(initial=-1))
        if problem.s != len(self.penalty) or last >= problem.t:
            raise InputError(
                f"{where} has {problem.t} samples and {problem.s} targets, the fit used row "
                f"{last} and {len(self.penalty)} targets: the problem has changed, fit it again"
            )
        return problem


class _Writer(FolderWriter):
    schema = SCHEMA
    description_file = DESCRIPTION
