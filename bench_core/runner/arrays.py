"""Training and held-out data as references to files, which any process can open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench_core.cluster import ArrayRef, share_array

if TYPE_CHECKING:
    from bench_core.data import Problem


@dataclass(frozen=True)
class ProblemRef:
    """X (t, p), Y (t, s) and the run of every sample (t,), by file."""

    X: ArrayRef
    Y: ArrayRef
    runs: ArrayRef

    @classmethod
    def share(cls, problem: Problem, scratch: Path) -> ProblemRef:
        """Return references to the arrays of ``problem``.

        Mapped files are not copied. Other arrays are written to ``scratch`` and removed when the
        reference is no longer used: keep it as long as another process may open it.
        """
        return cls(*(share_array(part, scratch) for part in (problem.X, problem.Y, problem.runs)))

    def open(self) -> Problem:
        """Return the problem, its arrays mapped read-only."""
        from bench_core.data import Problem

        return Problem(self.X.open(), self.Y.open(), self.runs.open())

    @property
    def files(self) -> list[Path]:
        """The files that hold X and Y."""
        return sorted({Path(self.X.path), Path(self.Y.path)})


@dataclass(frozen=True)
class FitData:
    """The two parts of a split problem, and how they were split.

    Parameters
    ----------
    warning : why accuracy is too good under this split; None if nothing is known against it.
    fingerprint : digest of what the data were made from; None for a user's arrays.
    """

    train: ProblemRef
    test: ProblemRef
    t_train: int
    t_test: int
    kind: str
    warning: str | None
    fingerprint: str | None = None
