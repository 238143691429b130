"""How near fits come to what the machine can do: rates over gemm, memory over the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from bench_core.records import EnvironmentRun, KernelsRecord, Record
from bench_core.report.blocks import (
    Block,
    Cell,
    Figure,
    Heading,
    Table,
    Text,
    bytes_cell,
    number,
    rows_of,
    seconds_cell,
)
from bench_core.report.figures import kernels_figure
from bench_core.report.fit_cells import FIT_HEADINGS, fit_cells
from bench_core.report.rows import environment_label
from bench_core.report.sections import Section
from bench_core.report.site_data import SiteData

_BYTES = {"float64": 8, "float32": 4}


def gemm_rate(kernels: Sequence[KernelsRecord], dtype: str, threads: int) -> float | None:
    """Return the GFLOP/s of the largest gemm of a precision on so many threads; None if unknown."""
    found = [
        (one.case.size, one.rates[dtype]["gemm"].gflops)
        for one in kernels
        if one.status == "ok"
        and one.rates is not None
        and one.case.threads == threads
        and "gemm" in one.rates.get(dtype, {})
    ]
    return max(found)[1] if found else None


def data_bytes(record: Record) -> int | None:
    """Return the bytes of X and Y in the fit's precision, None where their sizes are unknown."""
    problem = record.case.problem
    if problem.t is None or problem.p is None or problem.s is None:
        return None
    return problem.t * (problem.p + problem.s) * _BYTES[problem.dtype]


def _build(data: SiteData) -> Sequence[Block]:
    blocks: list[Block] = []
    svg = kernels_figure(data.runs)
    if svg is not None:
        caption = (
            "What each BLAS reaches on the operations that a ridge is made of, in one process."
        )
        blocks.append(Figure("kernels", "Kernels", svg, caption, data=_kernels(data.runs)))
    rows = [cells for run in data.runs for cells in _fits(data, run)]
    if rows:
        blocks += [
            Heading("Fits against the limits", "limits"),
            Text(
                "Rate: the operations that the result needs over the time, against the gemm of as "
                "many threads in the same environment (of torch's library where it multiplied; "
                "nodes together count as their threads); there is none where the plan does not "
                "count the operations, as scikit-learn's does not. Memory: the peak of all "
                "processes over the bytes of X and Y.",
                "faint",
            ),
            Table("limits-table", _HEADINGS, rows_of(rows)),
        ]
    return blocks


_HEADINGS = (
    *FIT_HEADINGS,
    "time",
    "GFLOP/s",
    "over gemm",
    "peak memory",
    "X and Y",
    "over X and Y",
)


def _fits(data: SiteData, run: EnvironmentRun) -> list[list[str | Cell]]:
    """Return the cells of the valid fits of a run of which a limit is known."""
    label, kernels = environment_label(run), run.kernels

    @cache
    def gemm(dtype: str, cores: int) -> float | None:
        return gemm_rate(kernels, dtype, cores)

    found = [_fit(data, run.machine, label, one, gemm) for one in run.fits]
    return [cells for cells in found if cells]


def _fit(
    data: SiteData,
    machine: str,
    label: str,
    record: Record,
    gemm_of: Callable[[str, int], float | None],
) -> list[str | Cell]:
    """Return the cells of a valid fit, nothing where neither limit is known."""
    if record.status != "ok" or record.times is None:
        return []
    case = record.case
    flops = None if record.plan is None else record.plan.useful_flops
    rate = None if flops is None else flops / record.times.median_s / 1e9
    torch = None if record.blas is None else record.blas.in_torch
    cores = case.threads * case.nodes
    gemm = torch.gflops if torch is not None else gemm_of(case.problem.dtype, cores)
    size = data_bytes(record)
    peak = None if record.memory is None else record.memory.peak_bytes
    if (rate is None or not gemm) and (size is None or peak is None):
        return []
    return [
        *fit_cells(machine, label, record),
        seconds_cell(record.times.median_s, data.records.link(record.id)),
        number(rate, ".3g"),
        number(rate / gemm if rate is not None and gemm else None, ".2f"),
        bytes_cell(peak),
        bytes_cell(size),
        number(peak / size if peak is not None and size else None, ".2f"),
    ]


def _kernels(runs: Sequence[EnvironmentRun]) -> Table:
    rows: list[list[str | Cell]] = [
        [
            run.machine,
            label,
            precision,
            kernel,
            number(record.case.size, "d"),
            number(record.case.threads, "d"),
            seconds_cell(rate.seconds),
            number(rate.gflops, ".3g"),
            number(rate.fraction_of_gemm, ".2f"),
        ]
        for run in runs
        for label in [environment_label(run)]
        for record in run.kernels
        if record.status == "ok" and record.rates is not None
        for precision, rates in record.rates.items()
        for kernel, rate in rates.items()
    ]
    headings = ("machine", "BLAS", "precision", "kernel", "n", "threads", "time", "GFLOP/s")
    return Table("kernels", (*headings, "of gemm"), rows_of(rows), folded="Its data as a table")


SECTION = Section("Limits", 70, _build)
