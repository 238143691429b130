"""Progress of an asv run: a line for every record the moment it appears.

asv itself speaks only when all parameters of a benchmark are done, which can take long.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from bench_core.report.rows import scale_text, strategy_text
from bench_core.report.terminal import seconds_text


@contextmanager
def watch(pending: Path, console: Console, interval: float = 0.5) -> Iterator[None]:
    """Print a line for each record that appears or changes below ``pending`` meanwhile."""
    stop = threading.Event()
    seen = _stamps(pending)

    def look() -> None:
        while not stop.wait(interval):
            _print_new(pending, seen, console)

    thread = threading.Thread(target=look, name="ridgebench-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        _print_new(pending, seen, console)


def line(record: dict[str, Any]) -> str | None:
    """Return what to say of one record, None for one that was skipped."""
    if record["status"] == "skipped":
        return None
    case = record["case"]
    if record["status"] != "ok":
        return f"{record['status']}: {record['reason']}"
    if record["schema"].startswith("ridgebench-kernels/"):
        rate = record["rates"]["float64"]["gemm"]["gflops"]
        return f"kernels, {case['threads']} threads: gemm {rate:.0f} GFLOP/s in float64"
    problem = case["problem"]
    accuracy = (record.get("accuracy") or {}).get("mean")
    r = "" if accuracy is None else f", mean r {accuracy:.3f}"
    return (
        f"{problem['name']} {scale_text(problem['scale'])} {problem['dtype']}, "
        f"{strategy_text(case)} {case['nodes']} x {case['threads']}: "
        f"{seconds_text(record['times']['median_s'])}{r}"
    )


def _stamps(pending: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in pending.glob("*/*/*.json")}


def _print_new(pending: Path, seen: dict[Path, int], console: Console) -> None:
    for path, stamp in sorted(_stamps(pending).items(), key=lambda one: one[1]):
        if seen.get(path) == stamp:
            continue
        seen[path] = stamp
        text = line(json.loads(path.read_text(encoding="utf-8")))
        if text is not None:
            console.print(f"   [dim]{_short(path.parent.parent.name)}[/]  {text}", highlight=False)


def _short(environment: str) -> str:
    """Return the part of an asv environment's name that tells it from the others here."""
    return environment.partition("RIDGEBENCH_BLAS")[2].replace("-RIDGEBENCH_KERNELS", " ") or (
        environment
    )
