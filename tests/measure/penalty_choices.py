"""What ways to choose the penalty cost beside their peers, for docs/ridge.md.

Run as ``python -m tests.measure.penalty_choices`` on a machine that does little else; about a
quarter of an hour. All ways are timed in turns, and a plain matrix product before, between and
after them.
The record goes to docs/penalty-choices.json, and its table to docs/ridge.md; with ``--page`` the
table is made anew from the record that is there.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bench_core import machine
from bench_core.measure import FitSpec, measure
from bench_core.records import provenance
from benchmarks.penalty_choices import WAYS
from tests.pages import DOCS, RecordedTable

PROBLEM, SCALE, THREADS = "whole-brain-bmor", 1 / 8, 2
ROUNDS = 2
ONCE = ("ridgecv, per target",)  # minutes for one fit


def product_rate(n: int = 4096) -> float:
    """Return Gflop/s of an n × n product in float32 on the same threads; the best of three."""
    a = np.ones((n, n), np.float32)
    best = float("inf")
    with threadpool_limits(THREADS):
        for _ in range(3):
            began = time.perf_counter()
            a @ a
            best = min(best, time.perf_counter() - began)
    return 2 * n**3 / best / 1e9


def fit(way: str, store: Path) -> dict[str, Any]:
    """Return the seconds, memory and flops of one fit, and the work of others beside it."""
    strategy, options, dtype, _ = WAYS[way]
    spec = FitSpec(
        PROBLEM,
        strategy,
        options=dict(options),
        scale=SCALE,
        threads=THREADS,
        dtype=dtype,
        null="skip",
        repeats=1,
    )
    record = measure(spec, store=store)
    if record.times is None or record.memory is None:
        raise RuntimeError(f"{way}: {record.status}: {record.reason}")
    use = record.times.runs[0].use
    return {
        "seconds": record.times.fit_s[0],
        "peak_bytes": record.memory.peak_bytes,
        "gflop": None if record.plan is None else record.plan.flops / 1e9,
        "others_cores": None if use is None else use.others_cores,
        "blas": record.blas.numpy.name if record.blas is not None else None,
    }


def table(record: dict[str, Any]) -> str:
    """Return what docs/ridge.md shows of the record: where it is from, and a row for every way."""
    rates = record["product_gflops"]
    others = max(fit["others_cores"] or 0.0 for fits in record["fits"].values() for fit in fits)
    rows = [
        f"{record['problem']} at scale 1/{round(1 / record['scale'])}, {record['threads']} "
        f"threads, {record['cpu']}, commit {record['commit'][:8]}, {record['started'][:10]}; a "
        f"product of order 4,096 in float32 made {min(rates):.0f} to {max(rates):.0f} Gflop/s; "
        f"others used at most {others:.2g} cores during a fit:",
        "",
        "| way | precision | seconds | flops over gemm | peak memory | against | times as fast |",
        "|---|---|---:|---:|---:|---|---:|",
    ]
    times = {way: median(fit["seconds"] for fit in fits) for way, fits in record["fits"].items()}
    for way, seconds in times.items():
        fits, (_, _, dtype, held_against) = record["fits"][way], WAYS[way]
        each = " and ".join(f"{fit['seconds']:.3g}" for fit in fits)
        flops = fits[0]["gflop"]
        rate = "" if flops is None else f"{flops / seconds / median(rates):.2f}"
        memory = f"{max(fit['peak_bytes'] for fit in fits) / 2**30:.2f} GiB"
        peers = [peer for peer in held_against if peer in times]
        ratios = ", ".join(f"{times[peer] / seconds:.1f}×" for peer in peers)
        cells = (way, dtype, each, rate, memory, "; ".join(peers), ratios)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


TABLE = RecordedTable(DOCS / "penalty-choices.json", DOCS / "ridge.md", "penalty choices", table)


def measured() -> dict[str, Any]:
    """Return the record of all ways, measured in turns."""
    fits: dict[str, list[dict[str, Any]]] = {}
    started = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    rates = [product_rate()]
    for number in range(ROUNDS):
        order = list(WAYS) if number % 2 == 0 else list(WAYS)[::-1]
        for way in order:
            if number and way in ONCE:
                continue
            with tempfile.TemporaryDirectory() as store:
                fits.setdefault(way, []).append(fit(way, Path(store)))
            print(way, fits[way][-1], flush=True)
        rates.append(product_rate())
    return {
        "commit": provenance.commit()[0],
        "started": started,
        "cpu": machine.describe()["cpu"]["model"],
        "problem": PROBLEM,
        "scale": SCALE,
        "threads": THREADS,
        "product_gflops": rates,
        "fits": {way: fits[way] for way in WAYS if way in fits},
    }


if __name__ == "__main__":
    TABLE.main(measured)
