"""Threads of a matrix product, as they ran; and which libraries are one."""

import _ctypes
import dataclasses
import hashlib
import os
import shutil
import threading
from pathlib import Path

import pytest
import scipy.linalg  # noqa: F401  A limit reaches only libraries that are loaded.
from blas_environments import bundled
from threadpoolctl import threadpool_limits

from bench_core.blas import (
    BlasReport,
    KernelAdvice,
    Library,
    detect,
    thread_environment,
    threads,
)
from bench_core.blas.environment import build_environment
from bench_core.blas.kernels import (
    expected_report,
    in_force,
    kernel_environment,
    kernel_names,
    wrong_kernels,
)
from bench_core.blas.libraries import LIBRARIES, identify
from bench_core.blas.threads import product_threads, thread_seconds
from bench_core.errors import InputError
from bench_core.machine import Cpu

LIMITS = {
    "OMP_THREAD_LIMIT": "1",
    "OMP_MAX_ACTIVE_LEVELS": "0",
    "OMP_PLACES": "{0}",
    "OMP_PROC_BIND": "true",
    "GOMP_CPU_AFFINITY": "0",
    "KMP_ALL_THREADS": "1",
    "KMP_HW_SUBSET": "1c",
    "KMP_DEVICE_THREAD_LIMIT": "1",
    "MKL_DOMAIN_NUM_THREADS": "MKL_DOMAIN_ALL=1",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "MKL_VERBOSE": "1",
    "OPENBLAS_CORETYPE": "PRESCOTT",
    "OPENBLAS_DEFAULT_NUM_THREADS": "1",
    "BLIS_JC_NT": "1",
}


def test_no_limit_is_inherited_and_every_one_is_kept_for_the_record():
    base = {"HOME": "/home/me", "LD_PRELOAD": "libx.so", "OMP_NUM_THREADS": "9", **LIMITS}
    built = build_environment(2, base=base, blas="mkl")
    assert built.chosen == dict(sorted(thread_environment(2).items()))
    assert not set(LIMITS) & set(built.variables)
    assert built.overridden == dict(sorted({**LIMITS, "OMP_NUM_THREADS": "9"}.items()))
    assert built.variables["HOME"] == "/home/me"
    assert built.variables["RIDGEBENCH_BLAS"] == "mkl"
    assert built.passed == {"LD_PRELOAD": "libx.so"}
    kernels = build_environment(2, {"OPENBLAS_CORETYPE": "ZEN"}, base=base)
    assert kernels.variables["OPENBLAS_CORETYPE"] == "ZEN"
    assert kernels.overridden["OPENBLAS_CORETYPE"] == "PRESCOTT"


def test_a_wrapper_s_choice_of_library_is_passed_on():
    base = {"FLEXIBLAS": "openblas", "FLEXIBLAS_VERBOSE": "1"}
    built = build_environment(1, base=base)
    assert built.passed == {"FLEXIBLAS": "openblas"}
    assert built.variables["FLEXIBLAS"] == "openblas"
    assert built.overridden == {"FLEXIBLAS_VERBOSE": "1"}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_product_shows_its_threads(monkeypatch, dtype):
    monkeypatch.setattr("bench_core.blas.threads._SECONDS", (0.2,))
    with threadpool_limits(1, user_api="blas"):
        found = product_threads(2, dtype)
    assert [one.package for one in found] == ["numpy", "scipy"]
    assert [(one.asked, one.used, one.enough) for one in found] == [(2, 1, False)] * 2
    assert all(one.gflops > 0 for one in found)


def test_two_threads_are_seen_at_work():
    if len(os.sched_getaffinity(0)) < 2 or detect().numpy.name == "netlib":
        pytest.skip("needs two cores and a BLAS with threads")
    with threadpool_limits(2, user_api="blas"):
        found = product_threads(2)
    assert [one.used for one in found] == [2, 2]


def test_threads_that_end_with_every_call_are_counted():
    """As BLIS starts them; SHA-256 of large data does not hold Python's lock."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    data = bytes(1 << 22)

    def call():
        other = threading.Thread(target=hashlib.sha256, args=(data,))
        other.start()
        hashlib.sha256(data)
        other.join()

    assert threads._watched("numpy", call, 2, 1.0, 0.5).used == 2
    alone = threads._watched("numpy", lambda: hashlib.sha256(data), 2, 1.0, 0.5)
    assert (alone.used, alone.enough) == (1, False)


def test_time_of_threads_is_that_of_the_process():
    total = sum(thread_seconds().values())
    times = os.times()
    # Threads that have ended are in the process's time alone.
    assert 0 < total <= times.user + times.system + 0.1


def library(name="openblas", version="0.3.30", file="/e/numpy.libs/libx.so", backend=None):
    return Library(name, version, "Haswell", "pthreads", 1, file, "lp64", backend)


@pytest.mark.parametrize(
    ("numpy", "scipy", "two"),
    [
        # Two wheels bundle one library each.
        (library(), library(version="0.3.31", file="/e/scipy.libs/liby.so"), False),
        (library(file="/e/lib/libx.so"), library(file="/e/lib/libx64.so"), False),
        # `pip install --force-reinstall numpy` over a relinked one.
        (library(), library(file="/e/lib/libx.so"), True),
        (library(), library("mkl", "2026", "/e/lib/libmkl_rt.so"), True),
        (
            library("flexiblas", file="/usr/lib/a.so", backend="openblas"),
            library("flexiblas", file="/usr/lib/a.so", backend="netlib"),
            True,
        ),
    ],
)
def test_two_libraries_in_one_environment_are_said(numpy, scipy, two):
    mixture = BlasReport(numpy, scipy).mixture()
    assert (mixture is not None) == two
    if two:
        assert numpy.name in mixture
        assert scipy.name in mixture


def test_a_wrapper_is_named_with_what_it_calls(tmp_path):
    flexiblas = LIBRARIES.get("flexiblas")
    known = identify(Path("libflexiblas.so.3"), {"dgemm_", "flexiblas_current_backend"})
    assert known is flexiblas
    behind = tmp_path / "libsomething.so"
    shutil.copy2(bundled("scipy"), behind)
    info = {"version": "3.4", "current_backend": "OPENBLAS-OPENMP", "num_threads": 2}
    found = flexiblas.runtime("x", [str(behind)], info)
    assert (found.version, found.threads, found.backend) == ("3.4", 2, "openblas")
    assert flexiblas.runtime("x", [], {}).backend == "unknown"
    assert flexiblas.runtime("x", [], {"current_backend": "MYBLAS"}).backend == "myblas"


def test_an_unknown_wrapper_is_not_taken_for_the_reference_blas():
    loads_others = Path(_ctypes.__file__)
    assert identify(loads_others, {"dgemm_"}) is None


def test_kernels_by_name():
    found = detect().numpy
    if found.name != "openblas":
        pytest.skip(f"numpy runs on {found.name}, and this is about OpenBLAS")
    names = kernel_names(found, Cpu("E", "GenuineIntel", ("sse2", "avx", "avx2", "fma")))
    assert "haswell" in names
    assert "skylakex" not in names, "this processor has no AVX-512"
    assert kernel_environment(names[0] if "haswell" not in kernel_names(found) else "Haswell")
    with pytest.raises(InputError, match=r"'haswel'.*haswell"):
        kernel_environment("haswel")
    report = BlasReport(found, found)
    assert wrong_kernels(report, "default") is None
    assert wrong_kernels(report, str(found.architecture).lower()) is None
    assert "prescott" in (wrong_kernels(report, "prescott") or "")


def test_chosen_kernels_are_expected_and_unknown_ones_are_not_guessed(monkeypatch):
    for variable in ("OPENBLAS_CORETYPE", "MKL_ENABLE_INSTRUCTIONS", "BLIS_ARCH_TYPE"):
        monkeypatch.delenv(variable, raising=False)
    assert expected_report("default") == detect()
    assert expected_report("haswell").numpy.architecture == "HASWELL"
    monkeypatch.setenv("OPENBLAS_CORETYPE", "HASWELL")
    assert expected_report("default").numpy.architecture is None
    same = dataclasses.replace(expected_report("default").numpy, architecture=None)
    assert same.file == detect().numpy.file


def test_the_best_kernels_by_the_caller_s_variable_stay_the_best(monkeypatch):
    """Without the variable, which a fit's process does not inherit, others would run."""
    advice = KernelAdvice("openblas", "SkylakeX", "SkylakeX", reason="the best")
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    assert in_force(advice) == {}
    monkeypatch.setenv("OPENBLAS_CORETYPE", "SKYLAKEX")
    assert in_force(advice) == {"OPENBLAS_CORETYPE": "SKYLAKEX"}
    assert in_force(KernelAdvice("unknown", None, None)) == {}
