"""Seeded synthetic problems whose right answer is known.

Base features are independent first-order autoregressions in time, started anew in every run.
X holds their copies delayed by 1–4 samples. In the first quarter of the targets a response is
planted: a haemodynamic weighting over the delays of two of the leading features; autoregressive
noise is added so that response and target correlate by a known r. The other targets are noise.

Feature k has variance 1 / (1 + k/16): ridge regression does not change when X is rotated, so
this stands for any feature set whose principal components fall off that way, as those of deep
networks do, and leaves something to learn where p > t.

All arithmetic is float32, element by element: the same numbers come out in memory and on disk,
whatever the block size, the number of threads and the BLAS; float64 holds the very same values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bench_core.checks import check_memory
from bench_core.data.folder import FolderWriter
from bench_core.data.problem import Problem
from bench_core.data.shapes import DELAYS
from bench_core.errors import InputError
from bench_core.machine import available_cores
from bench_core.progress import Progress, silent

GENERATOR = 1
"""Version of the numbers: increased whenever the same arguments give others than before."""

RUN_LENGTH = 500
FEATURE_AR = 0.8
NOISE_AR = 0.4
SIGNALS = 16
PLANTED_PART = 0.25
PLANTED_R = (0.2, 0.7)
HRF = (0.2, 0.7, 1.0, 0.8)
"""Weights of the delays 1–4: at the 1.49 s of the thesis's scans the response peaks near 4.5 s."""

_BLOCK_BYTES = 16 * 2**20
_F32 = np.float32


@dataclass(frozen=True)
class _Plan:
    """Parameters that are drawn once per problem: the runs and the planted response."""

    entropy: tuple[int, ...]
    bounds: NDArray[np.int64]
    q: int
    s: int
    r: NDArray[np.float32]  # (planted,) expected r
    signals: NDArray[np.intp]  # (2, planted) leading features that a target reads
    gains: NDArray[np.float32]  # (2, planted) their weights, for a response of variance r²

    def stream(self, *key: int) -> np.random.Generator:
        return np.random.Generator(np.random.SFC64([*self.entropy, *key]))


def synthetic(
    t: int,
    p: int,
    s: int,
    *,
    seed: int = 0,
    dtype: str = "float64",
    folder: str | Path | None = None,
    name: str = "synthetic",
    salt: int = 0,
    meta: dict[str, Any] | None = None,
    progress: Progress = silent,
    block_bytes: int = _BLOCK_BYTES,
    threads: int | None = None,
) -> Problem:
    """Return a synthetic problem of t samples, p features (a multiple of 4) and s targets.

    With ``folder`` it is written there block by block and returned memory-mapped: memory stays
    at a few ``block_bytes`` and one run's base features for each of ``threads`` (default: the
    cores available), whatever t and s. ``salt`` gives problems of one seed different numbers.
    ``progress`` is called with the bytes written.

    Raises `InputError` for an impossible size or dtype, `ResourceError` for too little
    memory or disk.
    """
    if t < 2 or s < 1 or p < 1 or p % len(DELAYS):
        raise InputError(
            f"no problem of t = {t}, p = {p}, s = {s}: t must be 2 or more, s 1 or more, "
            f"p a multiple of {len(DELAYS)}"
        )
    if dtype not in ("float32", "float64"):
        raise InputError(f"dtype {dtype!r} is not one of 'float32', 'float64'")
    if seed < 0:
        raise InputError(f"seed {seed} is negative: use 0 or more")
    plan = _plan(t, p // len(DELAYS), s, (seed, salt))
    planted = np.zeros(s, dtype=np.float64)
    planted[: len(plan.r)] = plan.r
    runs = synthetic_runs(t)
    meta = {
        "source": "synthetic",
        "licence": "none needed: generated numbers",
        "generator": GENERATOR,
        "seed": seed,
        "numpy": np.__version__,
        "delays": list(DELAYS),
        "feature_ar": FEATURE_AR,
        "noise_ar": NOISE_AR,
        "planted_targets": len(plan.r),
        **(meta or {}),
    }
    threads = threads or available_cores()
    total = t * (p + s) * np.dtype(dtype).itemsize
    held = total if folder is None else 0
    report = partial(progress, f"making {name}")
    check_memory(
        held + threads * _thread_bytes(plan, block_bytes),
        f"making {name} ({t} samples, {p} features, {s} targets, {dtype}) "
        + ("in memory" if folder is None else "in a folder"),
    )
    if folder is None:
        arrays = {"X": np.empty((t, p), dtype), "Y": np.empty((t, s), dtype)}

        def put(which: str, start: int, block: NDArray[Any]) -> None:
            arrays[which][start : start + len(block)] = block

        _fill(plan, put, block_bytes, threads, np.dtype(dtype), total, report)
        return Problem(arrays["X"], arrays["Y"], runs, name=name, planted=planted, meta=meta)
    files: dict[str, tuple[tuple[int, ...], DTypeLike]] = {
        "X": ((t, p), dtype),
        "Y": ((t, s), dtype),
        "runs": (runs.shape, runs.dtype),
        "planted": (planted.shape, planted.dtype),
    }
    with FolderWriter(Path(folder), files, {"name": name, "meta": meta}) as writer:
        _fill(plan, writer.put, block_bytes, threads, np.dtype(dtype), total, report)
        writer.put("runs", 0, runs)
        writer.put("planted", 0, planted)
        writer.commit()
    return Problem.open(folder)


def run_count(t: int) -> int:
    """Return the number of runs of a synthetic problem of t samples: about 500 samples each."""
    return max(1, min(max(10, round(t / RUN_LENGTH)), t // 5))


def run_bounds(t: int) -> NDArray[np.int64]:
    """Return where the runs of a synthetic problem begin, and the end of the last: (runs + 1,)."""
    count = run_count(t)
    return np.array([i * t // count for i in range(count + 1)])


def synthetic_runs(t: int) -> NDArray[np.int32]:
    """Return the run of every sample (t,) of a synthetic problem, counted from 1."""
    lengths = np.diff(run_bounds(t))
    return np.repeat(np.arange(1, len(lengths) + 1, dtype=np.int32), lengths)


def _plan(t: int, q: int, s: int, entropy: tuple[int, ...]) -> _Plan:
    rng = np.random.default_rng([*entropy, 0])
    planted = int(np.ceil(s * PLANTED_PART))
    signals = min(SIGNALS, q)
    r = rng.uniform(*PLANTED_R, planted)
    first = rng.integers(signals, size=planted)
    second = (first + 1 + rng.integers(max(1, signals - 1), size=planted)) % signals
    angle = rng.uniform(0, np.pi / 2, planted) if signals > 1 else np.zeros(planted)
    return _Plan(
        entropy=entropy,
        bounds=run_bounds(t),
        q=q,
        s=s,
        r=r.astype(_F32),
        signals=np.stack([first, second]),
        gains=np.stack([r * np.cos(angle), r * np.sin(angle)]).astype(_F32),
    )


def _fill(
    plan: _Plan,
    put: Callable[[str, int, NDArray[Any]], None],
    block_bytes: int,
    threads: int,
    dtype: np.dtype[Any],
    total: int,
    progress: Callable[[int, int], None],
) -> None:
    """Generate every run, several at a time, and report bytes as runs are done."""
    runs = range(len(plan.bounds) - 1)
    row_bytes = (len(DELAYS) * plan.q + plan.s) * dtype.itemsize
    done = 0
    with ThreadPoolExecutor(max_workers=threads) as pool:
        try:
            for run in pool.map(lambda run: _fill_run(plan, run, put, block_bytes), runs):
                done += int(plan.bounds[run + 1] - plan.bounds[run]) * row_bytes
                progress(done, total)
        finally:
            # After Ctrl-C or a full disk, the runs that have not begun need not be made.
            pool.shutdown(cancel_futures=True)


def _fill_run(
    plan: _Plan, run: int, put: Callable[[str, int, NDArray[Any]], None], block_bytes: int
) -> int:
    start, n = int(plan.bounds[run]), int(plan.bounds[run + 1] - plan.bounds[run])
    lead = max(DELAYS)
    # The run's stimulus began before its first sample, so no delay reaches beyond its beginning.
    base = next(_autoregression(plan.stream(1, run), n + lead, plan.q, FEATURE_AR, n + lead))
    signals = _signals(base[:, : min(SIGNALS, plan.q)])
    base *= ((1 + np.arange(plan.q) / SIGNALS) ** -0.5).astype(_F32)
    for rows in _blocks(n, len(DELAYS) * plan.q * 4, block_bytes):
        shifted = [base[lead - d + rows.start : lead - d + rows.stop] for d in DELAYS]
        put("X", start + rows.start, np.hstack(shifted))
    del base
    rows_at_once = max(1, block_bytes // (plan.s * 4))
    noise_gain = np.sqrt(1 - plan.r**2)
    done = 0
    for noise in _autoregression(plan.stream(2, run), n, plan.s, NOISE_AR, rows_at_once):
        part = noise[:, : len(plan.r)]
        part *= noise_gain
        here = signals[done : done + len(noise)]
        for signal, gain in zip(plan.signals, plan.gains, strict=True):
            response = here[:, signal]
            response *= gain
            part += response
        put("Y", start + done, noise)
        done += len(noise)
    return run


def _thread_bytes(plan: _Plan, block_bytes: int) -> int:
    """Return the most bytes that one thread of `_fill` holds: a run's base features, and blocks."""
    base = (int(np.diff(plan.bounds).max()) + max(DELAYS)) * plan.q * 4
    row = 4 * max(plan.s, len(DELAYS) * plan.q)
    return 2 * base + 6 * max(block_bytes, row)


def _blocks(n: int, row_bytes: int, block_bytes: int) -> Iterator[slice]:
    rows = max(1, block_bytes // row_bytes)
    for start in range(0, n, rows):
        yield slice(start, min(start + rows, n))


def _autoregression(
    rng: np.random.Generator, n: int, width: int, ar: float, rows: int
) -> Iterator[NDArray[np.float32]]:
    """Yield n stationary samples of ``width`` autoregressions of variance 1, ``rows`` at a time.

    x[i] = ar · x[i−1] + √(1 − ar²) · e[i], with x[0] = e[0].
    """
    keep, fresh = _F32(ar), _F32(np.sqrt(1 - ar**2))
    before: NDArray[np.float32] | None = None
    for start in range(0, n, rows):
        block = rng.standard_normal((min(rows, n - start), width), dtype=_F32)
        for row in block:
            if before is not None:
                row *= fresh
                row += keep * before
            before = row
        assert before is not None
        before = before.copy()  # the block is the caller's to change
        yield block


def _signals(base: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the haemodynamic responses (n, k) to ``base`` (n + 4, k), of variance 1."""
    lead = max(DELAYS)
    n = len(base) - lead
    weights = np.array(HRF)
    lags = np.abs(np.subtract.outer(DELAYS, DELAYS))
    weights /= np.sqrt(weights @ FEATURE_AR**lags @ weights)
    out = np.zeros((n, base.shape[1]), dtype=_F32)
    for weight, delay in zip(weights, DELAYS, strict=True):
        out += _F32(weight) * base[lead - delay : lead - delay + n]
    return out
