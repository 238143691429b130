"""Problems by name."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench_core.data.generator import synthetic, synthetic_runs
from bench_core.data.problem import Problem
from bench_core.data.shapes import HAXBY, HAXBY_RUNS, shape
from bench_core.errors import InputError
from bench_core.progress import Progress, silent


def make(
    name: str,
    *,
    scale: float = 1.0,
    subject: str = "sub-01",
    seed: int = 0,
    dtype: str = "float64",
    folder: str | Path | None = None,
    progress: Progress = silent,
) -> Problem:
    """Return problem ``name`` of `shapes.shape`: synthetic, except for ``haxby2001``.

    With ``folder`` it is written there block by block and returned memory-mapped, whatever its
    size; otherwise it is made in memory. Name, subject, seed and size determine every number.
    ``progress`` is called with the bytes written.

    Raises `UnknownNameError` for a name or subject, `InputError` for a scale, seed or dtype, and
    `ResourceError` for too little memory or disk.

    Examples
    --------
    >>> problem = make("parcels", scale=1 / 256)
    >>> problem.t, problem.p, problem.s
    (270, 64, 1)
    """
    size = shape(name, scale=scale, subject=subject)
    if dtype not in ("float32", "float64"):
        raise InputError(f"dtype {dtype!r} is not one of 'float32', 'float64'")
    if name != HAXBY:
        return synthetic(
            size.t,
            size.p,
            size.s,
            seed=seed,
            dtype=dtype,
            folder=folder,
            name=name,
            salt=zlib.crc32(f"{name}/{subject}".encode()),
            meta={"subject": subject, "scale": size.scale},
            progress=progress,
        )
    from bench_core.data.haxby import haxby2001

    problem = haxby2001(dtype=dtype)
    if folder is None:
        return problem
    problem.save(folder)
    return Problem.open(folder)


def problem_runs(name: str, *, scale: float = 1.0, subject: str = "sub-01") -> NDArray[np.int32]:
    """Return the run of every sample (t,) of problem ``name``, which is not made for that.

    Raises as `shape` does.

    Examples
    --------
    >>> len(np.unique(problem_runs("haxby2001")))
    12
    """
    size = shape(name, scale=scale, subject=subject)
    if name != HAXBY:
        return synthetic_runs(size.t)
    return np.repeat(np.arange(1, HAXBY_RUNS + 1, dtype=np.int32), size.t // HAXBY_RUNS)
