"""Results of a fit: penalties, held-out accuracy, and agreement with the strategy's definition."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from bench_core.records.scalars import STRICT, Count, Penalty, Positive


@dataclass(frozen=True, config=STRICT)
class PenaltyCounts:
    """Distinct penalties that were chosen, and the number of targets of each.

    Parameters
    ----------
    smallest, largest : number of targets whose penalty is the smallest or the largest candidate: a
        wider grid may be better for them. None in records before version 3.
    tried : candidates that were compared: those asked for, and what extending the grid added. None
        in records before version 3.
    """

    scope: Literal["all", "batch", "target"]
    values: tuple[float, ...]
    counts: tuple[Positive, ...]
    smallest: Count | None = None
    largest: Count | None = None
    tried: tuple[Penalty, ...] | None = None


@dataclass(frozen=True, config=STRICT)
class Accuracy:
    """Pearson r between held-out data and predictions, over targets.

    ``undefined`` counts targets with constant data or predictions; they are in no figure.
    """

    mean: float | None
    median: float | None
    p95: float | None
    max: float | None
    defined: Count
    undefined: Count


@dataclass(frozen=True, config=STRICT)
class NullAccuracy(Accuracy):
    """The same r after training on shuffled rows."""

    method: Literal["fit", "sample"]
    targets: Positive


@dataclass(frozen=True, config=STRICT)
class Agreement:
    """Comparison with scikit-learn's Ridge at the chosen penalties.

    Parameters
    ----------
    worst : largest difference of a prediction, in units of its target's spread; None if infinite.
    targets : number of targets that were compared.
    solver : of scikit-learn's Ridge.
    same_penalty, reference_penalty : comparison with RidgeCV's choice; None if not compared.
    tie : RidgeCV cannot tell the two penalties apart, within the error of either; None if they
        are the same.
    note : why something was not compared, or how near the scores of a tie are.
    """

    tolerance: Annotated[float, Field(ge=0)]
    worst: Annotated[float, Field(ge=0)] | None
    targets: Positive
    solver: Literal["svd", "cholesky"]
    same_penalty: bool | None
    reference_penalty: float | None
    note: str | None
    agrees: bool
    tie: bool | None = None
