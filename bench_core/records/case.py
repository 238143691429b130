"""The case of a record: problem, split, strategy, and how often it is fitted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from bench_core.records.scalars import STRICT, Count, KernelChoice, Penalty, Positive


@dataclass(frozen=True, config=STRICT)
class ProblemRecord:
    """The problem: name, sizes of the whole and of its two parts.

    Parameters
    ----------
    scale : fraction of the named problem's size; None for folders and arrays.
    fingerprint : digest of what the data were made from; equal means equal data.
    """

    name: str
    subject: str | None
    scale: Annotated[float, Field(gt=0, le=1)] | None
    seed: Count
    t: Count | None
    p: Count | None
    s: Count | None
    t_train: Count | None
    t_test: Count | None
    dtype: Literal["float64", "float32"]
    fingerprint: str | None


@dataclass(frozen=True, config=STRICT)
class SplitRecord:
    """The split in training and held-out samples.

    kind : "auto" only where the case ended before the kind was known. reason : why this kind was
    chosen; None where it was asked for.
    """

    kind: Literal["auto", "random", "run"]
    seed: Count
    warning: str | None
    reason: str | None = None


@dataclass(frozen=True, config=STRICT)
class Until:
    """When to stop repeating a fit, where the number of repeats is not fixed.

    Fits of the case's own size warm up first, until their times settle.

    Parameters
    ----------
    precision : half-width of the median's 95 % interval, relative to it, that is narrow enough.
    budget_s : seconds of fits, warm-up included, after which none is begun.
    at_most : repeats.

    Examples
    --------
    >>> Until().precision
    0.05
    """

    precision: Annotated[float, Field(gt=0)] = 0.05
    budget_s: Annotated[float, Field(gt=0)] = 20.0
    at_most: Positive = 30


@dataclass(frozen=True, config=STRICT)
class CaseRecord:
    """Specification of the fit. ``alphas`` is None where the case ended before they were known.

    Parameters
    ----------
    repeats : asked for; with ``until`` the fewest before its precision counts.
    until : None where the number of repeats was fixed, and in older records.
    hardware_threads : whether threads were allowed to share physical cores.
    cluster : "local", or what the configuration of another cluster calls it.
    """

    suite: str
    problem: ProblemRecord
    split: SplitRecord
    strategy: str
    options: dict[str, Any]
    nodes: Positive
    threads: Positive
    repeats: Positive
    kernels: KernelChoice
    alphas: tuple[Penalty, ...] | None
    fit_intercept: bool
    blas: str | None
    null: Literal["auto", "fit", "sample", "skip"]
    hardware_threads: bool = False
    until: Until | None = None
    cluster: str = "local"
