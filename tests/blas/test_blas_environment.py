"""Threads and kernels: the variables have the effect in a fresh process that they promise."""

import json
import os
import subprocess
import sys

import pytest

from bench_core.blas import Library, declared, kernel_advice, kernel_environment, thread_environment
from bench_core.blas.detection import detect
from bench_core.blas.environment import threading_variables
from bench_core.blas.libraries import LIBRARIES
from bench_core.errors import InputError
from bench_core.machine import Cpu, cpu

AVX2 = ("sse2", "avx", "avx2", "fma")
AVX512 = (*AVX2, "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl")


def report_with(variables):
    program = (
        "import json; from bench_core.blas import detect; print(json.dumps(detect().to_dict()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("threads", [1, 2])
def test_every_library_gets_that_many_threads(threads):
    found = report_with(thread_environment(threads))
    assert found["numpy"]["threads"] == found["scipy"]["threads"] == threads


def test_every_library_is_covered():
    variables = thread_environment(3)
    for name in LIBRARIES.names():
        for variable in LIBRARIES.get(name).thread_variables:
            assert variables[variable] == "3"
    assert variables["OMP_NUM_THREADS"] == "3"
    with pytest.raises(InputError, match="0 threads"):
        thread_environment(0)


def test_the_declaration_and_the_variables_that_matter(monkeypatch):
    monkeypatch.delenv("RIDGEBENCH_BLAS", raising=False)
    assert declared() is None
    monkeypatch.setenv("RIDGEBENCH_BLAS", "mkl")
    assert declared() == "mkl"
    monkeypatch.setenv("MKL_NUM_THREADS", "5")
    monkeypatch.setenv("SOMETHING_ELSE", "5")
    assert threading_variables()["MKL_NUM_THREADS"] == "5"
    assert "SOMETHING_ELSE" not in threading_variables()


def openblas(architecture):
    """Describe this environment's OpenBLAS as if it had dispatched to ``architecture``."""
    found = detect().numpy
    if found.name != "openblas":
        pytest.skip(f"numpy runs on {found.name}, and this is about OpenBLAS")
    return Library("openblas", found.version, architecture, "pthreads", 1, found.file, "ilp64")


def test_lesser_kernels_than_the_processor_has():
    processor = Cpu("Example", "GenuineIntel", AVX512)
    advice = kernel_advice(openblas("Haswell"), processor)
    assert advice.environment == {"OPENBLAS_CORETYPE": "SKYLAKEX"}
    assert "OPENBLAS_CORETYPE=SKYLAKEX" in advice.reason
    assert (advice.current, advice.best) == ("Haswell", "SKYLAKEX")


def test_nothing_is_advised_where_dispatch_is_as_good():
    assert kernel_advice(openblas("SkylakeX"), Cpu("E", "GenuineIntel", AVX512)).environment == {}
    assert kernel_advice(openblas("Haswell"), Cpu("E", "GenuineIntel", AVX2)).environment == {}
    # Never kernels that the processor lacks, nor ones that the build does not hold.
    old = kernel_advice(openblas("Prescott"), Cpu("E", "GenuineIntel", AVX2))
    assert old.environment == {"OPENBLAS_CORETYPE": "HASWELL"}
    assert kernel_advice(openblas("Prescott"), Cpu("E", "Other", ())).environment == {}


def test_libraries_without_a_choice():
    mkl = Library("mkl", "2026", "avx2", "intel", 1, "/nowhere/libmkl_rt.so.3", "ilp64")
    assert kernel_advice(mkl, Cpu("E", "GenuineIntel", AVX512)).environment == {}
    unknown = Library("unknown", None, None, None, None, None, None)
    assert kernel_advice(unknown).environment == {}


def test_the_best_kernels_really_run():
    """Forced down to AVX2 kernels, the advice brings a fresh process up again."""
    if detect().numpy.name != "openblas" or "avx512" not in cpu().levels():
        pytest.skip("needs OpenBLAS and a processor with AVX-512")
    low = report_with({"OPENBLAS_CORETYPE": "HASWELL"})
    assert low["numpy"]["architecture"] == "Haswell"
    advice = kernel_advice(openblas("Haswell"))
    high = report_with(advice.environment)
    assert high["numpy"]["architecture"].upper() == advice.best


def test_choices():
    assert kernel_environment("default") == {}
    with pytest.raises(InputError, match="'fastest'"):
        kernel_environment("fastest")
