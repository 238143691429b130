"""Progress of an asv run: a line for every record the moment it appears.

asv itself speaks only when all parameters of a benchmark are done, which can take long. Every
benchmark that reads a record publishes it again, so that only a changed one counts as new.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bench_core.errors import counted
from bench_core.records import AnyRecord, FiguresRecord, KernelsRecord, Record, read_records
from bench_core.records.runs import problem_text
from bench_core.report.encoding import figures_text
from bench_core.report.rows import scale_text, strategy_text
from bench_core.report.units import seconds_text


@contextmanager
def watch(
    pending: Path,
    console: Console,
    interval: float = 0.5,
    keep: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Print a line for each record that appears or changes below ``pending`` meanwhile.

    keep : called after each, to collect it; and at the end, however that comes.
    """
    stop = threading.Event()
    seen = _texts(pending)

    def look() -> None:
        while not stop.wait(interval):
            if _print_new(pending, seen, console):
                keep()

    thread = threading.Thread(target=look, name="ridgebench-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        _print_new(pending, seen, console)
        keep()


def progress_line(record: AnyRecord) -> str | None:
    """Return what to print of one record: its case, and what came of it; None if it was skipped."""
    if record.status == "skipped":
        return None
    case = _case(record)
    if record.status != "ok":
        return ": ".join(filter(None, (case, record.status, record.reason)))
    found = _found(record)
    return None if found is None else f"{case}: {found}"


def _case(record: AnyRecord) -> str:
    """Return what was measured, empty for a record of no single case."""
    if isinstance(record, KernelsRecord):
        return f"kernels, {counted(record.case.threads, 'thread')}"
    if isinstance(record, FiguresRecord):
        return f"{record.case.suite}, {record.case.text}"
    if not isinstance(record, Record):
        return ""
    case = record.case
    problem = case.problem
    return (
        f"{problem_text(problem)} {scale_text(problem.scale)} {problem.dtype}, "
        f"{strategy_text(case)} {case.nodes} x {case.threads}"
    )


def _found(record: AnyRecord) -> str | None:
    """Return what a valid record found, None for a record of no single case."""
    if isinstance(record, KernelsRecord):
        rate = (record.rates or {})["float64"]["gemm"].gflops
        return f"gemm {rate:.0f} GFLOP/s in float64"
    if isinstance(record, FiguresRecord):
        return figures_text(record)
    if not isinstance(record, Record):
        return None
    assert record.times is not None
    mean = None if record.accuracy is None else record.accuracy.mean
    r = "" if mean is None else f", mean r {mean:.3f}"
    return f"{seconds_text(record.times.median_s)}{r}"


def _texts(pending: Path) -> dict[Path, str]:
    """Return the text of every record, oldest first."""
    paths = sorted(pending.glob("*/*/[!.]*.json"), key=lambda path: path.stat().st_mtime_ns)
    return {path: path.read_text(encoding="utf-8") for path in paths}


def _print_new(pending: Path, seen: dict[Path, str], console: Console) -> bool:
    """Print what is new; return whether anything is."""
    new = False
    for path, text in _texts(pending).items():
        if seen.get(path) == text:
            continue
        seen[path], new = text, True
        found = read_records([(path.name, text)])
        lines = [progress_line(record) for record in found.records] + found.problems
        for said in filter(None, lines):
            where = _short(path.parent.parent.name)
            line = Text.assemble("   ", (where, "dim"), f"  {said}")
            console.print(line, soft_wrap=True)
    return new


def _short(environment: str) -> str:
    """Return the part of an asv environment's name that tells it from the others here."""
    tool = environment.partition("-")[0]
    blas, kernels = environment.partition("RIDGEBENCH_BLAS")[2].partition("-RIDGEBENCH_KERNELS")[
        ::2
    ]
    words = [*([] if tool == "virtualenv" else [tool]), blas, kernels.partition("-")[0]]
    return " ".join(word for word in words if word) or environment
