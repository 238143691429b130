"""Environment variables that configure a BLAS before it is loaded."""

from __future__ import annotations

import os

from bench_core.blas.libraries import all_libraries
from bench_core.errors import InputError

DECLARATION = "RIDGEBENCH_BLAS"
# OpenMP's own variable is obeyed by every BLAS built on OpenMP, and by scikit-learn's kernels.
_OPENMP = {"OMP_NUM_THREADS", "OMP_DYNAMIC"}


def declared() -> str | None:
    """Return the BLAS that this environment declares (``RIDGEBENCH_BLAS``), or None."""
    return os.environ.get(DECLARATION) or None


def thread_environment(threads: int) -> dict[str, str]:
    """Return the variables that give every known BLAS, and OpenMP, exactly ``threads`` threads.

    They must be set before numpy is imported. Raises `InputError` for less than one thread.
    """
    if threads < 1:
        raise InputError(f"{threads} threads: give at least 1")
    variables = {"OMP_NUM_THREADS": str(threads), "OMP_DYNAMIC": "FALSE"}
    for library in all_libraries():
        variables |= dict.fromkeys(library.thread_variables, str(threads))
        variables |= library.fixed_variables
    return variables


def threading_variables() -> dict[str, str]:
    """Return the variables of this process's environment that affect threading or kernels."""
    names = set(_OPENMP) | _RELATED
    for library in all_libraries():
        names |= {*library.thread_variables, *library.fixed_variables}
        if library.kernel_variable:
            names.add(library.kernel_variable)
    return {name: os.environ[name] for name in sorted(names) if name in os.environ}


_RELATED = {
    "BLIS_ARCH_TYPE",
    "BLIS_IC_NT",
    "BLIS_JC_NT",
    "BLIS_JR_NT",
    "GOTO_NUM_THREADS",
    "GOMP_CPU_AFFINITY",
    "KMP_AFFINITY",
    "KMP_BLOCKTIME",
    "LD_PRELOAD",
    "MKL_CBWR",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_DOMAIN_NUM_THREADS",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_INTERFACE_LAYER",
    "MKL_THREADING_LAYER",
    "NUMEXPR_NUM_THREADS",
    "OMP_PLACES",
    "OMP_PROC_BIND",
    "OMP_THREAD_LIMIT",
    "OMP_WAIT_POLICY",
    "OPENBLAS_DEFAULT_NUM_THREADS",
    "OPENBLAS_MAIN_FREE",
}
