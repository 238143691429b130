"""The solvers of one problem against each other and against the gemm of the same run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench_core.report.rows import environment_label, scale_text, strategy_text
from bench_core.report.runs import Run
from bench_core.report.terminal import seconds_text

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


def solver_table(runs: Iterable[Run]) -> str:
    """Return Markdown: a row per solver of the suite ``solvers``, a table per environment.

    "over" is how many times as fast: the fit against the quicker of scikit-learn's ways with as
    many threads, and the fit with the predictions of held-out samples against the fit of
    scikit-learn's default on one thread.
    """
    tables = []
    for run in runs:
        fits = [one for one in run.fits if one["case"]["suite"] == SUITE and one["status"] == "ok"]
        if not fits:
            continue
        lines = [
            f"{environment_label(run)}:",
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


def _order(record: dict[str, Any]) -> tuple[Any, ...]:
    problem = record["case"]["problem"]
    peer = record["case"]["strategy"] == "multitarget"
    return problem["name"], problem["scale"], peer, -record["times"]["median_s"]


def _cells(
    record: dict[str, Any], fits: list[dict[str, Any]], kernels: list[dict[str, Any]]
) -> list[str]:
    from bench_core.fitting.plans import useful_flops

    case, times = record["case"], record["times"]
    problem, threads = case["problem"], case["threads"]
    seconds, whole = times["median_s"], times["median_s"] + times["predict_s"]
    peers = [one for one in fits if _is_ridgecv(one) and _same_problem(one, record)]
    better = [one["times"]["median_s"] for one in peers if one["case"]["threads"] == threads]
    single = [one["times"]["median_s"] for one in peers if one["case"]["threads"] == 1]
    flops = useful_flops(record)
    gemm = [
        one["rates"][problem["dtype"]]["gemm"]["gflops"]
        for one in sorted(kernels, key=lambda one: one["case"]["size"])
        if one["status"] == "ok" and one["case"]["threads"] == threads
    ]
    return [
        f"{problem['name']} {scale_text(problem['scale'])}",
        f"{strategy_text(case)}, {problem['dtype']}",
        str(threads),
        seconds_text(seconds),
        seconds_text(whole),
        f"{min(better) / seconds:.1f}×" if better else "",
        f"{min(single) / whole:.1f}×" if single else "",
        f"{flops / seconds / 1e9 / gemm[-1]:.2f}" if flops and gemm else "",
        f"{record['memory']['peak_bytes'] / 1024**3:.2f} GiB",
    ]


def _is_ridgecv(record: dict[str, Any]) -> bool:
    return bool(record["case"]["strategy"] == "ridgecv")


def _same_problem(one: dict[str, Any], other: dict[str, Any]) -> bool:
    names = ("name", "subject", "scale", "seed")
    return all(one["case"]["problem"][key] == other["case"]["problem"][key] for key in names)
