"""Diagnosis of the machine and environment: everything that determines the speed of a fit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bench_core import machine
from bench_core.blas.environment import (
    declared,
    of_library,
    thread_environment,
    threading_variables,
)
from bench_core.blas.kernels import KernelAdvice, kernel_advice, kernel_names
from bench_core.blas.known_bad import KnownBad, bad_entries
from bench_core.blas.libraries import LIBRARIES
from bench_core.blas.observed import observe
from bench_core.blas.proof import state
from bench_core.blas.rate import ProductFailedError, gemm_rate
from bench_core.blas.report import BlasReport
from bench_core.machine.activity import read_activity
from bench_core.machine.quiet import quiet_advice, throttling_advice, timing_settings

# Below this number of busy cores, other processes do not affect a timing.
_BUSY_CORES = 0.3


def diagnose(measure: bool = True) -> dict[str, Any]:
    """Return the diagnosis, under stable keys, whatever the BLAS does when it is called.

    ``machine`` (see `bench_core.machine.describe`), ``blas`` (numpy, scipy), ``declared``,
    ``relinked`` (see `bench_core.blas.proof.state`), ``environment`` (variables that change
    threading or kernels), ``load``, ``steal_cores`` (taken by the hypervisor meanwhile; null where
    the system does not say), ``quiet`` (what a quiet machine would change, what heat and quotas
    have slowed so far included: ``setting``, ``now`` and ``remedy``), ``kernels`` (library,
    current, best, environment, reason and ``rates`` in GFLOP/s of one thread: "current", and
    "best" where that differs; null when not measured, and a rate null where the product failed),
    ``known_bad`` (package and entry of `bench_core.blas.known_bad`) and ``warnings``, each with
    ``code``, ``message`` and ``remedy``.
    """
    before = read_activity()
    load = machine.load()
    after = read_activity()
    steal = None
    if before.steal_s is not None and after.steal_s is not None and after.at > before.at:
        steal = round((after.steal_s - before.steal_s) / (after.at - before.at), 3)
    observed = observe()
    report, processor = observed.report, machine.cpu()
    advices = [kernel_advice(library, processor) for library in (report.numpy, report.scipy)]
    advice = next((each for each in advices if each.environment), advices[0])
    failures = [observed.failure] if observed.failure else []
    rates: dict[str, float | None] | None = None
    if measure and not failures:
        rates = {}
        for name, variables in (("current", {}), ("best", advice.environment)):
            if name == "current" or variables:
                rates[name] = _rate(variables, failures)
    described = machine.describe()
    quiet = [*quiet_advice(timing_settings()), *throttling_advice(after)]
    relinked = state()
    bad = bad_entries(report, processor)
    return {
        "machine": described,
        "blas": report.to_dict(),
        "declared": declared(),
        "relinked": relinked,
        "environment": threading_variables(),
        "load": load,
        "steal_cores": steal,
        "quiet": [asdict(one) for one in quiet],
        "kernels": asdict(advice) | {"rates": rates},
        "known_bad": [{"package": package, **asdict(entry)} for package, entry in bad],
        "warnings": [
            *crash_warnings(failures, report, processor),
            *known_bad_warnings(bad, report),
            *kernel_warnings(advice, rates),
            *library_warnings(report, described["cpu"], declared(), relinked["phase"]),
            *core_warnings(report, described["cores"]["available"], load["busy_cores"]),
            *quota_warnings(described["cgroup"]["cores"], len(described["cores"]["affinity"])),
            *variable_warnings(threading_variables()),
        ],
    }


def _rate(variables: dict[str, str], failures: list[str]) -> float | None:
    """Return the rate of a product, or None, and why among ``failures``."""
    try:
        return gemm_rate(variables)
    except ProductFailedError as error:
        with_them = "".join(f" with {name}={value}" for name, value in variables.items())
        failures.append(f"{error}{with_them}")
        return None


def crash_warnings(
    failures: list[str], report: BlasReport, processor: machine.Cpu
) -> list[dict[str, str]]:
    """Return a warning for every product that ended its process."""
    others = sorted(
        {*kernel_names(report.numpy, processor), *kernel_names(report.scipy, processor)}
    )
    remedy = "`ridgebench blas use NAME` puts another library there"
    if others:
        remedy += f"; `--kernels NAME` takes other kernels: {', '.join(others)}"
    return [_warning("crash", failure, remedy) for failure in failures]


def known_bad_warnings(bad: list[tuple[str, KnownBad]], report: BlasReport) -> list[dict[str, str]]:
    """Return a warning for every entry of the list of bad builds that fits."""
    found = []
    for package, entry in bad:
        library = {"numpy": report.numpy, "scipy": report.scipy}[package]
        message = (
            f"{package}'s {library.name} {library.version} with {library.architecture} kernels is "
            f"known to fail: {entry.describe()} ({entry.seen})"
        )
        remedy = f"{entry.remedy} (`--kernels NAME` chooses kernels); see {entry.sources[0]}"
        found.append(_warning("known-bad", message, remedy))
    return found


def quota_warnings(quota: float | None, cores: int) -> list[dict[str, str]]:
    """Return the warning about a control group's quota of processor time below the cores."""
    if quota is None or quota >= cores:
        return []
    message = (
        f"the control group's quota is {quota:g} cores where {cores} can be used: more threads "
        "than that are stopped, again and again, and times are then worthless"
    )
    remedy = "ask for more cores, or for no more threads than whole cores of the quota"
    return [_warning("quota", message, remedy)]


def variable_warnings(variables: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the warning about variables that a fit's processes do not inherit."""
    usual = thread_environment(1)
    limits = {
        name: value for name, value in variables.items() if of_library(name) and name not in usual
    }
    if not limits:
        return []
    listed = " ".join(f"{name}={value}" for name, value in limits.items())
    message = f"variables that can change threads, kernels or output are set: {listed}"
    remedy = "unset them for your own programs; `measure`, `fit` and `study` leave them out"
    return [_warning("variables", message, remedy)]


def kernel_warnings(
    advice: KernelAdvice, rates: Mapping[str, float | None] | None
) -> list[dict[str, str]]:
    """Return the warning about kernels below the processor's instruction set, with the gain."""
    if not advice.environment:
        return []
    (variable, value), *_ = advice.environment.items()
    message = advice.reason.partition(":")[0]
    current, best = (rates or {}).get("current"), (rates or {}).get("best")
    if current and best:
        gain = best / current
        message += (
            f"; measured on one thread: {current:.0f} GFLOP/s as it is, "
            f"{best:.0f} with {value} ({gain:.2f}×)"
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
    for name in sorted(names & set(LIBRARIES.names())):
        conflict = LIBRARIES.get(name).conflict(os.environ)
        if conflict:
            found.append(_warning("wrong-answers", conflict, "unset the variable"))
    if "mkl" in names and cpu["vendor"] != "GenuineIntel":
        runs = next(x.architecture for x in (report.numpy, report.scipy) if x.name == "mkl")
        message = f"oneMKL is not optimised for {cpu['model']} ({cpu['vendor']})"
        message += f": it runs its {runs!r} kernels"
        remedy = "compare it with OpenBLAS here: `ridgebench blas use bundled`"
        found.append(_warning("mkl-foreign-cpu", message, remedy))
    mixture = report.mixture()
    if mixture is not None:
        message, _, remedy = mixture.partition("; ")
        found.append(_warning("two-libraries", message, remedy))
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
