"""Environment of a process whose BLAS threads and kernels are chosen, and nobody else's.

A thread count in a library's own variable is not enough. ``OMP_THREAD_LIMIT=1``,
``MKL_DOMAIN_NUM_THREADS``, ``KMP_HW_SUBSET`` and others take threads away behind it, and
``MKL_CBWR`` or ``MKL_ENABLE_INSTRUCTIONS`` change kernels. So every variable of a numerical
library or of a threading runtime is left out, by the beginning of its name, and those that are
wanted are set. What was there is kept for the record.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from bench_core.blas.libraries import all_libraries
from bench_core.errors import InputError

DECLARATION = "RIDGEBENCH_BLAS"

#: Beginnings of the names of variables that are never inherited.
LIBRARY_PREFIXES = (
    *("OMP_", "GOMP_", "KMP_", "LIBOMP_", "OPENMP_", "TBB_"),
    *("MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "BLAS_", "AOCL_", "FLAME_", "VECLIB_", "ATLAS_"),
    *("ARMPL_", "NVPL_", "NVBLAS_", "LBT_", "DNNL_", "ONEDNN_", "XLSMPOPTS"),
    *("NPY_", "NUMEXPR_", "NUMBA_NUM_", "NUMBA_THREADING_", "NUMBA_CPU_", "LOKY_MAX_", "ATEN_"),
    "FLEXIBLAS",
)
#: Of those, the ones that say which library is called, not how: they are the user's to choose.
LIBRARY_CHOICE = ("FLEXIBLAS", "FLEXIBLAS_CONFIG", "FLEXIBLAS_LIBRARY_PATH", "LBT_DEFAULT_LIBS")
#: Set by packages when they are imported, in this process too: nobody's wish.
_SET_BY_PACKAGES = {"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"}
#: Beginnings of other names that can change a time. They are passed on, and recorded.
RELATED_PREFIXES = ("LD_PRELOAD", "LD_AUDIT", "MALLOC_", "GLIBC_TUNABLES", "PYTHONMALLOC")


@dataclass(frozen=True)
class ProcessEnvironment:
    """Environment for a process, and where it differs from the one that it was built from.

    Attributes
    ----------
    variables : all of it.
    chosen : the variables of numerical libraries in it, which were set here.
    overridden : such variables as they were, where they were removed or changed.
    passed : inherited variables that can change a time and were left as they are.

    Examples
    --------
    >>> base = {"HOME": "/home/me", "OMP_THREAD_LIMIT": "1"}
    >>> built = build_environment(2, base=base)
    >>> built.variables["HOME"], built.chosen["OMP_NUM_THREADS"], built.overridden
    ('/home/me', '2', {'OMP_THREAD_LIMIT': '1'})
    """

    variables: dict[str, str]
    chosen: dict[str, str]
    overridden: dict[str, str]
    passed: dict[str, str]


def declared() -> str | None:
    """Return the BLAS that this environment declares (``RIDGEBENCH_BLAS``), or None."""
    return os.environ.get(DECLARATION) or None


def build_environment(
    threads: int,
    kernels: Mapping[str, str] | None = None,
    *,
    blas: str | None = None,
    base: Mapping[str, str] | None = None,
) -> ProcessEnvironment:
    """Return the environment of a process with exactly ``threads`` BLAS threads.

    Parameters
    ----------
    kernels : variables that select kernels, from `kernel_environment`; None: the library's own
        choice.
    blas : name of the library to declare.
    base : environment to take everything else from; None: this process's.

    Raises
    ------
    InputError : less than one thread.
    """
    inherited = dict(os.environ if base is None else base)
    chosen = thread_environment(threads) | dict(kernels or {})
    variables = {name: value for name, value in inherited.items() if not of_library(name)}
    variables |= chosen
    if blas is not None:
        variables[DECLARATION] = blas
    return ProcessEnvironment(
        variables=variables,
        chosen=dict(sorted(chosen.items())),
        overridden={
            name: value
            for name, value in sorted(inherited.items())
            if of_library(name) and name not in _SET_BY_PACKAGES and variables.get(name) != value
        },
        passed={name: value for name, value in sorted(inherited.items()) if _is_passed(name)},
    )


def of_library(name: str) -> bool:
    """Return whether a variable sets up a numerical library or a threading runtime."""
    return name.startswith(LIBRARY_PREFIXES) and name not in LIBRARY_CHOICE


def _is_passed(name: str) -> bool:
    return name in LIBRARY_CHOICE or name.startswith(RELATED_PREFIXES)


def thread_environment(threads: int) -> dict[str, str]:
    """Return the variables that give every known BLAS, and OpenMP, exactly ``threads`` threads.

    They must be set before numpy is imported, and other variables can still take threads away:
    `build_environment` leaves those out. Raises `InputError` for less than one thread.
    """
    if threads < 1:
        raise InputError(f"{threads} threads: give at least 1")
    # OpenMP's own variables: every BLAS built on it obeys them, and so do scikit-learn's kernels.
    variables = {"OMP_NUM_THREADS": str(threads), "OMP_DYNAMIC": "FALSE"}
    for library in all_libraries():
        variables |= dict.fromkeys(library.thread_variables, str(threads))
        variables |= library.fixed_variables
    return variables


def threading_variables() -> dict[str, str]:
    """Return the variables of this process's environment that affect threading or kernels."""
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if (of_library(name) and name not in _SET_BY_PACKAGES) or _is_passed(name)
    }
