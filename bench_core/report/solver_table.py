"""The solvers of one problem against each other and against the gemm of the same run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench_core.records import KernelsRecord, Record
from bench_core.records.blas import TorchRecord
from bench_core.report.rows import environment_label, scale_text, strategy_text
from bench_core.report.runs import EnvironmentRun
from bench_core.report.units import seconds_text

SUITE = "solvers"
HEADINGS = (
    "problem and scale",
    "solver",
    "threads",
    "fit",
    "with predictions",
    "over the better `ridgecv`",
    "over `ridgecv`, 1 thread",
    "useful flops over gemm",
    "peak memory",
)


def solver_runs(runs: Iterable[EnvironmentRun]) -> list[EnvironmentRun]:
    """Return the runs of the commit whose table says most: of most problems, and of these the last.

    A run of the profile ``small`` has one problem, one of the profile ``solvers`` has three: the
    first does not take the place of the second.
    """
    found = list(runs)
    fits: dict[str, list[Record]] = {}
    for run in found:
        if own := _solver_fits(run):
            fits.setdefault(run.commit, []).extend(own)

    def worth(commit: str) -> tuple[int, str]:
        own = fits[commit]
        return len({one.case.problem.name for one in own}), max(one.started for one in own)

    best = max(fits, key=worth, default=None)
    return [run for run in found if run.commit == best]


def solver_table(runs: Iterable[EnvironmentRun]) -> str:
    """Return Markdown: a row per solver of the suite ``solvers``, a table per environment.

    A line above each says of which library, machine and commit it is, and when it was measured.

    "over" is how many times as fast: the fit against the quicker of scikit-learn's ways with as
    many threads, and the fit with the predictions of held-out samples against the fit of
    scikit-learn's default on one thread.
    """
    tables = []
    for run in runs:
        fits = _solver_fits(run)
        if not fits:
            continue
        lines = [
            _source(run, fits),
            "",
            "| " + " | ".join(HEADINGS) + " |",
            "|---|---|" + "---:|" * (len(HEADINGS) - 2),
        ]
        lines += [
            "| " + " | ".join(_cells(record, fits, run.kernels)) + " |"
            for record in sorted(fits, key=_order)
        ]
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def _solver_fits(run: EnvironmentRun) -> list[Record]:
    return [one for one in run.fits if one.case.suite == SUITE and one.status == "ok"]


def _source(run: EnvironmentRun, fits: list[Record]) -> str:
    """Return the line above a table: library, machine, commit, first and last fit, in UTC."""
    models = [(one.machine.cpu or {}).get("model") for one in fits]
    model = next(filter(None, models), None)
    first, last = (edge(one.started for one in fits)[:16].replace("T", " ") for edge in (min, max))
    until = last[11:] if last[:10] == first[:10] else last
    machine = run.machine if model is None else f"{run.machine} ({model})"
    return f"{environment_label(run)} on {machine}, commit {run.commit}, {first} to {until}:"


def _order(record: Record) -> tuple[Any, ...]:
    problem = record.case.problem
    own = record.case.strategy == "multitarget"
    return problem.name, problem.scale, own, -_seconds(record)


def _seconds(record: Record, *, predicted: bool = False) -> float:
    """Return the median time of a valid fit, which always has one."""
    assert record.times is not None
    return record.times.median_s + (record.times.predict_s if predicted else 0.0)


def _cells(record: Record, fits: list[Record], kernels: list[KernelsRecord]) -> list[str]:
    problem, threads = record.case.problem, record.case.threads
    seconds, whole = _seconds(record), _seconds(record, predicted=True)
    peers = [
        one
        for one in fits
        if one.case.strategy == "ridgecv" and _torch(one) is None and _same_problem(one, record)
    ]
    better = [_seconds(one) for one in peers if one.case.threads == threads]
    single = [_seconds(one) for one in peers if one.case.threads == 1]
    flops = None if record.plan is None else record.plan.useful_flops
    gemm = [
        one.rates[problem.dtype]["gemm"].gflops
        for one in sorted(kernels, key=lambda one: one.case.size)
        if one.status == "ok" and one.rates is not None and one.case.threads == threads
    ]
    if (torch := _torch(record)) is not None:
        gemm = [torch.gflops]  # of the library that multiplied, not of numpy's
    assert record.memory is not None
    return [
        f"{problem.name} {scale_text(problem.scale)}",
        f"{strategy_text(record.case)}, {problem.dtype}",
        str(threads),
        seconds_text(seconds),
        seconds_text(whole),
        f"{min(better) / seconds:.1f}×" if better else "",
        f"{min(single) / whole:.1f}×" if single else "",
        f"{flops / seconds / 1e9 / gemm[-1]:.2f}" if flops and gemm else "",
        f"{record.memory.peak_bytes / 1024**3:.2f} GiB",
    ]


def _torch(record: Record) -> TorchRecord | None:
    return None if record.blas is None else record.blas.in_torch


def _same_problem(one: Record, other: Record) -> bool:
    names = ("name", "subject", "scale", "seed")
    return all(
        getattr(one.case.problem, name) == getattr(other.case.problem, name) for name in names
    )
