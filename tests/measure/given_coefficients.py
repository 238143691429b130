"""What coefficients cost in new memory and in memory that is there already, for docs/ridge.md.

Run as ``python -m tests.measure.given_coefficients`` on a machine that does little else; under two
minutes. Every fit has a process of its own, as new memory is only new once: one fit is made before
it, as small as possible, then the timed one, with ``out=`` or without. The array for ``out=`` is
written before the time begins. Ways are timed in turns. The table has the processor time of all
threads: other work changes it less than the seconds on the clock, which the record has too. The
record goes to docs/given-coefficients.json, its table to docs/ridge.md; with ``--page`` the table
is made anew from the record that is there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from statistics import median
from typing import Any

from bench_core import machine
from bench_core.records import provenance
from tests.pages import DOCS, RecordedTable

T, P, S = 400, 1024, 131_072
"""Samples, features and targets: coefficients of 1 GiB in float64, half of it in float32."""

ROUNDS = 3
THREADS = 2

FIT = """
import json, resource, sys, time
import numpy as np
from threadpoolctl import threadpool_limits
from bench_core.ridge import MultiTargetRidgeCV

t, p, s, threads = map(int, sys.argv[1:5])
dtype, given = sys.argv[5], sys.argv[6] == "given"
rng = np.random.default_rng(0)
X = rng.standard_normal((t, p), dtype=dtype)
Y = rng.standard_normal((t, s), dtype=dtype)
out = np.full((s, p), 1.0, dtype) if given else None
alphas = [1.0, 100.0, 10_000.0]
with threadpool_limits(threads, user_api="blas"):
    MultiTargetRidgeCV(alphas).fit(X[:40, :8], Y[:40, :5])
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    model = MultiTargetRidgeCV(alphas).fit(X, Y, out=out)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
assert not given or np.shares_memory(model.coef_, out)
print(json.dumps({
    "seconds": seconds,
    "minor_faults": after.ru_minflt - before.ru_minflt,
    "major_faults": after.ru_majflt - before.ru_majflt,
    "system_s": after.ru_stime - before.ru_stime,
    "user_s": after.ru_utime - before.ru_utime,
    "coef_bytes": model.coef_.nbytes,
    "huge_pages": open("/sys/kernel/mm/transparent_hugepage/enabled").read().strip(),
}))
"""


def fit(
    dtype: str,
    *,
    given: bool,
    shape: tuple[int, int, int] = (T, P, S),
    variables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the seconds and page faults of one fit in a fresh process."""
    words = [*map(str, shape), str(THREADS), dtype, "given" if given else "new"]
    command = [sys.executable, "-W", "ignore", "-c", FIT, *words]
    environment = {**os.environ, **(variables or {})}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def table(record: dict[str, Any]) -> str:
    """Return what docs/ridge.md shows of the record: where it is from, and a row for every way."""
    rows = [
        f"{record['t']} × {record['p']:,} × {record['s']:,}, {record['threads']} threads, "
        f"{record['cpu']}, transparent huge pages: {record['huge_pages']}, commit "
        f"{record['commit'][:8]}, {record['started'][:10]}, other work on up to "
        f"{max(record['busy_cores']):.1f} cores; medians of {record['rounds']} fits, each in a "
        "process of its own:",
        "",
        "| precision | coefficients | written to | processor time | of it in the kernel "
        "| page faults |",
        "|---|---:|---|---:|---:|---:|",
    ]
    words = {"new": "new memory", "given": "`out=`"}
    for dtype, ways in record["fits"].items():
        for way, text in words.items():
            size = ways[way][0]["coef_bytes"] / 2**30
            user, system, faults = (
                median(one[name] for one in ways[way])
                for name in ("user_s", "system_s", "minor_faults")
            )
            cells = (dtype, f"{size:.2g} GiB", text, f"{user + system:.2f} s", f"{system:.2f} s")
            rows.append(f"| {' | '.join(cells)} | {faults:,.0f} |")
    return "\n".join(rows)


TABLE = RecordedTable(
    DOCS / "given-coefficients.json", DOCS / "ridge.md", "given coefficients", table
)


def measured() -> dict[str, Any]:
    """Return the record of all ways, measured in turns."""
    fits: dict[str, dict[str, list[dict[str, Any]]]] = {}
    started = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    busy = []
    for number in range(ROUNDS):
        for dtype in ("float64", "float32"):
            ways = ("new", "given") if number % 2 == 0 else ("given", "new")
            for way in ways:
                busy.append(machine.load()["busy_cores"])
                found = fit(dtype, given=way == "given")
                fits.setdefault(dtype, {}).setdefault(way, []).append(found)
                print(dtype, way, found, flush=True)
    huge = {one.pop("huge_pages") for ways in fits.values() for way in ways.values() for one in way}
    (setting,) = huge
    return {
        "commit": provenance.commit()[0],
        "started": started,
        "cpu": machine.describe()["cpu"]["model"],
        "huge_pages": setting.partition("[")[2].partition("]")[0],
        "busy_cores": busy,
        "t": T,
        "p": P,
        "s": S,
        "threads": THREADS,
        "rounds": ROUNDS,
        "fits": fits,
    }


if __name__ == "__main__":
    TABLE.main(measured)
