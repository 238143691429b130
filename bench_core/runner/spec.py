"""Specification of one fit: `FitSpec`, its checks, and the key under which its record is kept."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from bench_core.errors import InputError
from bench_core.records.case import Until

DTYPES = ("float64", "float32")
SPLITS = ("auto", "random", "run")
NULLS = ("auto", "fit", "sample", "skip")


@dataclass(frozen=True)
class FitSpec:
    """One fit: a problem, a strategy, and the nodes and threads it gets.

    Parameters
    ----------
    suite : name of the suite that asked. It is not part of the key: suites that ask for the same
        fit share its record.
    problem : name known to `bench_core.data`, or the path of a problem folder.
    scale : fraction of the thesis's sizes, in (0, 1]; ignored by folders and real data.
    subject : "sub-01" … "sub-06".
    strategy : name known to `bench_core.strategies`.
    options : further keyword arguments of the strategy; JSON values only.
    nodes, threads : Dask worker processes, and BLAS threads in each of them.
    dtype : "float64" or "float32".
    split : "random" (seeded, 90/10), "run" (whole runs held out), or "auto": by run where there are
        enough runs, else at random (`bench_core.data.choose_split`).
    split_reason : why "auto" came to this split; None where it was asked for. It is not part of the
        key.
    seed : of the problem, the split, the sample of targets, the null and the bootstrap.
    repeats : timed fits, at most: none is begun after three minutes of them. With ``until`` the
        fewest before its precision counts.
    until : when to stop repeating, after a warm-up by whole fits; None for ``repeats`` fits without
        one.
    kernels : "default" for the library's own dispatch, "best" for the best that the CPU can run,
        or the name of kernels, such as "haswell".
    blas : the library that has to answer ("openblas", "mkl", …), None for no demand.
    alphas : candidate penalties, None for the thesis's.
    fit_intercept : as in scikit-learn.
    cluster : name of the cluster in the record, `bench_core.cluster.ClusterSettings.label`; "local"
        for this machine.
    null : how r is found for shuffled training rows: "fit" (the same strategy, one further fit),
        "sample" (scikit-learn's RidgeCV on the sampled targets), "skip", or "auto": "fit", and
        "sample" where fits take longer than a minute.

    Raises
    ------
    InputError : for a value that no measurement can have; the message names it.

    Examples
    --------
    >>> spec = FitSpec("parcels", "bmor", scale=1 / 16, nodes=2)
    >>> spec.threads, spec.dtype
    (1, 'float64')
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    problem: str
    strategy: str
    suite: str = "measure"
    scale: float = 1.0
    subject: str = "sub-01"
    options: Mapping[str, Any] = field(default_factory=dict)
    nodes: int = 1
    threads: int = 1
    dtype: str = "float64"
    split: str = "auto"
    seed: int = 0
    repeats: int = 1
    kernels: str = "default"
    blas: str | None = None
    alphas: tuple[float, ...] | None = None
    fit_intercept: bool = True
    null: str = "auto"
    hardware_threads: bool = False
    until: Until | None = None
    cluster: str = "local"
    split_reason: str | None = None

    def __post_init__(self) -> None:
        for name in ("nodes", "threads", "repeats"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name} is {value!r}: give a whole number of at least 1")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise InputError(f"seed is {self.seed!r}: give a whole number of at least 0")
        if self.until is not None and self.until.at_most < self.repeats:
            raise InputError(
                f"at most {self.until.at_most} repeats are fewer than the {self.repeats} asked for"
            )
        if not 0 < self.scale <= 1:
            raise InputError(f"scale is {self.scale!r}: give a number above 0 and at most 1")
        for name, allowed in (
            ("dtype", DTYPES),
            ("split", SPLITS),
            ("null", NULLS),
        ):
            if getattr(self, name) not in allowed:
                choices = ", ".join(allowed)
                raise InputError(f"{name} is {getattr(self, name)!r}: choose one of {choices}")
        kernels = str(self.kernels).lower()
        if re.fullmatch("[a-z][a-z0-9_]*", kernels) is None:
            raise InputError(
                f"kernels is {self.kernels!r}: give 'default', 'best', or a name such as 'haswell'"
            )
        object.__setattr__(self, "kernels", kernels)
        if self.alphas is not None:
            alphas = tuple(float(alpha) for alpha in self.alphas)
            wrong = [alpha for alpha in alphas if not (alpha > 0 and math.isfinite(alpha))]
            if wrong or not alphas or len(set(alphas)) < len(alphas):
                what = f"holds {wrong[0]!r}" if wrong else f"is {list(alphas)}"
                raise InputError(f"alphas {what}: give different positive numbers, at least one")
            object.__setattr__(self, "alphas", alphas)
        object.__setattr__(self, "scale", float(self.scale))
        object.__setattr__(self, "options", dict(self.options))
        try:
            json.dumps(self.options, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"options {dict(self.options)!r} are no JSON values: {error}"
            ) from None

    def key(self) -> str:
        """Return 20 hexadecimal digits that are the same for the same fit, on any machine."""
        values = self.to_dict()
        del values["suite"], values["split_reason"]
        if not self.hardware_threads:  # keys are as they were before there was a choice
            del values["hardware_threads"]
        if self.until is None:
            del values["until"]
        if self.cluster == "local":
            del values["cluster"]
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    @property
    def stem(self) -> str:
        """Name of the record's file without suffix: readable words, then the key."""
        problem = self.problem.rstrip("/").rpartition("/")[2]
        return record_stem(self.strategy, problem, self.nodes, self.threads, self.key())

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        values = asdict(self)
        if self.alphas is not None:
            values["alphas"] = list(self.alphas)
        return values

    @property
    def penalties(self) -> tuple[float, ...]:
        """The candidate penalties: those given, else the thesis's."""
        from bench_core.data import THESIS_ALPHAS

        return self.alphas or tuple(map(float, THESIS_ALPHAS))


def record_stem(strategy: str, problem: str, nodes: int, threads: int, key: str) -> str:
    """Return the name of a record's file without suffix.

    >>> record_stem("bmor", "whole brain", 2, 1, "c0ffee")
    'bmor-whole-brain-2x1-c0ffee'
    """
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", f"{strategy}-{problem}").strip("-.")[:60]
    return f"{readable}-{nodes}x{threads}-{key}"


@dataclass(frozen=True)
class ProblemShape:
    """Sizes of a problem, known before it is made.

    Parameters
    ----------
    subject, scale : of a named problem; None for folders and arrays.
    t, p, s : samples (training and held-out), features, targets.
    dtype : of X and Y.
    """

    name: str
    t: int
    p: int
    s: int
    dtype: str
    subject: str | None = None
    scale: float | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of X and Y."""
        return self.t * (self.p + self.s) * (4 if self.dtype == "float32" else 8)

    def training_samples(self, split: str) -> int:
        """Return the samples that the default split trains on; at random, else at most."""
        return self.t - math.ceil(self.t * 0.1 - 1e-9) if split == "random" else self.t
