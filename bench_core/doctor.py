"""Diagnosis of the machine and environment: everything that determines the speed of a fit."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from bench_core import machine
from bench_core.blas.detection import detect
from bench_core.blas.environment import declared, threading_variables
from bench_core.blas.kernels import KernelAdvice, kernel_advice
from bench_core.blas.libraries import LIBRARIES
from bench_core.blas.proof import state
from bench_core.blas.rate import gemm_rate
from bench_core.blas.report import BlasReport

# Below this number of busy cores, other processes do not affect a timing.
_BUSY_CORES = 0.3


def diagnose(measure: bool = True) -> dict[str, Any]:
    """Return the diagnosis, under stable keys.

    ``machine`` (see `bench_core.machine.describe`), ``blas`` (numpy, scipy), ``declared``,
    ``relinked`` (see `bench_core.blas.proof.state`), ``environment`` (variables that change
    threading or kernels), ``load``, ``kernels`` (library, current, best, environment, reason and
    ``rates`` in GFLOP/s of one thread: "current", and "best" where that differs; null when not
    measured) and ``warnings``, each with ``code``, ``message`` and ``remedy``.
    """
    load = machine.load()
    report = detect()
    advice = kernel_advice()
    rates = None
    if measure:
        rates = {"current": gemm_rate()}
        if advice.environment:
            rates["best"] = gemm_rate(advice.environment)
    described = machine.describe()
    relinked = state()
    return {
        "machine": described,
        "blas": report.to_dict(),
        "declared": declared(),
        "relinked": relinked,
        "environment": threading_variables(),
        "load": load,
        "kernels": asdict(advice) | {"rates": rates},
        "warnings": [
            *kernel_warnings(advice, rates),
            *library_warnings(report, described["cpu"], declared(), relinked["phase"]),
            *core_warnings(report, described["cores"]["available"], load["busy_cores"]),
        ],
    }


def kernel_warnings(advice: KernelAdvice, rates: dict[str, float] | None) -> list[dict[str, str]]:
    """Return the warning about kernels below the processor's instruction set, with the gain."""
    if not advice.environment:
        return []
    (variable, value), *_ = advice.environment.items()
    message = advice.reason.partition(":")[0]
    if rates is not None and "best" in rates:
        gain = rates["best"] / rates["current"]
        message += (
            f"; measured on one thread: {rates['current']:.0f} GFLOP/s as it is, "
            f"{rates['best']:.0f} with {value} ({gain:.2f}×)"
        )
        if gain < 1.05:
            message += ": no gain on this processor"
    return [_warning("kernels", message, f"set {variable}={value} before Python starts")]


def library_warnings(
    report: BlasReport, cpu: dict[str, Any], wanted: str | None, phase: str
) -> list[dict[str, str]]:
    """Return warnings about the libraries: mismatched, mixed, or slow on this processor."""
    found = []
    names = {report.numpy.name, report.scipy.name}
    for name in sorted(names - {"unknown"}):
        conflict = LIBRARIES.get(name).conflict(os.environ)
        if conflict:
            found.append(_warning("wrong-answers", conflict, "unset the variable"))
    if "mkl" in names and cpu["vendor"] != "GenuineIntel":
        runs = next(x.architecture for x in (report.numpy, report.scipy) if x.name == "mkl")
        message = f"oneMKL is not optimised for {cpu['model']} ({cpu['vendor']})"
        message += f": it runs its {runs!r} kernels"
        remedy = "compare it with OpenBLAS here: `ridgebench blas use bundled`"
        found.append(_warning("mkl-foreign-cpu", message, remedy))
    if len(names) > 1:
        message = f"numpy runs on {report.numpy.name} and scipy on {report.scipy.name}"
        found.append(_warning("two-libraries", message, "`ridgebench blas use NAME` sets both"))
    if wanted is not None and names != {wanted}:
        message = f"RIDGEBENCH_BLAS declares {wanted}, but {' and '.join(sorted(names))} is loaded"
        found.append(_warning("declaration", message, "`ridgebench blas provision`"))
    if phase == "changing":
        message = "an earlier `ridgebench blas use` was interrupted"
        found.append(
            _warning("unfinished", message, "run it again, or `ridgebench blas use bundled`")
        )
    return found


def core_warnings(report: BlasReport, available: int, busy: float) -> list[dict[str, str]]:
    """Return warnings about threads and load."""
    found = []
    threads = max(report.numpy.threads or 0, report.scipy.threads or 0)
    if threads > available:
        message = f"BLAS would use {threads} threads on {available} available cores"
        remedy = "set OMP_NUM_THREADS and the library's own variable to the number of cores"
        found.append(_warning("oversubscribed", message, remedy))
    if busy > _BUSY_CORES:
        message = f"other processes keep {busy:.1f} cores busy: timings taken now are unreliable"
        found.append(_warning("busy", message, "measure when the machine is idle"))
    return found


def _warning(code: str, message: str, remedy: str) -> dict[str, str]:
    return {"code": code, "message": message, "remedy": remedy}
