"""Seconds of a fit by phase, as the record keeps them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from bench_core.phases import PHASES, Phase
from bench_core.records.scalars import STRICT, Seconds

PHASE_NAMES: dict[Phase, str] = dict(zip(PHASES, PHASES, strict=True)) | {
    "gram": "Gram or covariance",
    "sklearn": "scikit-learn",
}
"""Phases as people read them."""


@dataclass(frozen=True, config=STRICT)
class PhaseSeconds:
    """Seconds of every phase of a fit, of one process or along the critical path.

    Parameters
    ----------
    process : "main", "node 0", …, or "critical path".
    reading : passes over X and Y that read and check values, and the wait for blocks of targets.
    centring : means of columns, and what is centred by them.
    gram : X Xᵀ or Xᵀ X.
    factorisation : eigendecomposition or singular value decomposition, also of folds.
    scores : products with targets, and scores of every penalty from them.
    solution : what the chosen penalty is solved with, coefficients and intercepts.
    predictions : held-out rows predicted within the fit.
    sklearn : inside scikit-learn, which divides no further.
    transfers : to and from other processes, devices and files, and Dask's time to start a task.
    waiting : for other processes.
    other : everything else.

    Examples
    --------
    >>> PhaseSeconds("main", gram=1.0, factorisation=3.0).total
    4.0
    """

    process: str
    reading: Seconds = 0.0
    centring: Seconds = 0.0
    gram: Seconds = 0.0
    factorisation: Seconds = 0.0
    scores: Seconds = 0.0
    solution: Seconds = 0.0
    predictions: Seconds = 0.0
    sklearn: Seconds = 0.0
    transfers: Seconds = 0.0
    waiting: Seconds = 0.0
    other: Seconds = 0.0

    @property
    def seconds(self) -> dict[Phase, float]:
        """Seconds by phase, in the order of `bench_core.phases.PHASES`."""
        return {name: getattr(self, name) for name in PHASES}

    @property
    def total(self) -> float:
        """Seconds of all phases: the fit."""
        return sum(self.seconds.values())


@dataclass(frozen=True, config=STRICT)
class ModelledPhases:
    """Critical path with the time inside scikit-learn divided by the cost model: not measured.

    Parameters
    ----------
    critical : the measured path, in which ``sklearn`` is 0 and its seconds are in other phases.
    added : of these, the seconds that come from the division.
    calibration : the speeds that the model divided by: a measured calibration, or a nominal node.

    Examples
    --------
    >>> added = PhaseSeconds("critical path", factorisation=3.0, scores=1.0)
    >>> ModelledPhases(added, added, "a nominal node").critical.total
    4.0
    """

    critical: PhaseSeconds
    added: PhaseSeconds
    calibration: str


@dataclass(frozen=True, config=STRICT)
class PhasesRecord:
    """Phases of one of the timed fits, the one of median time.

    Parameters
    ----------
    fit_s : its time, one of ``times.fit_s``; every sum of phases is this, but for what it takes to
        call the fit.
    critical : along the path that decided how long the fit took; its own phases in one process.
    processes : of the main process and of every node, in order.
    modelled : None where scikit-learn took no time, or its work is not known; in older records.

    Examples
    --------
    >>> seconds = PhaseSeconds("main", gram=1.0, factorisation=3.0)
    >>> PhasesRecord(4.1, seconds, (seconds,)).deviation < 0.03
    True
    """

    fit_s: Seconds
    critical: PhaseSeconds
    processes: Annotated[tuple[PhaseSeconds, ...], Field(min_length=1)]
    modelled: ModelledPhases | None = None

    @property
    def deviation(self) -> float:
        """Largest difference of a sum of phases from the fit, relative to the fit."""
        sums = (one.total for one in (self.critical, *self.processes))
        return max(abs(total - self.fit_s) for total in sums) / self.fit_s if self.fit_s else 0.0
