"""The list of known-bad builds: what it says, where it fits, and who obeys it."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench_core import machine
from bench_core.blas import BlasReport, Library, detect, kernel_advice, kernels
from bench_core.blas.known_bad import (
    KnownBadBuildError,
    bad_builds,
    known_bad,
    refuse_known_bad,
)
from bench_core.blas.libraries import LIBRARIES
from bench_core.blas.observed import observe
from bench_core.cli import cli
from bench_core.doctor import known_bad_warnings, quota_warnings, variable_warnings
from bench_core.machine import Cpu
from bench_core.runner.preflight import preflight
from bench_core.runner.spec import FitSpec, ProblemShape

ROOT = Path(__file__).parents[2]
AVX2 = ("sse2", "avx", "avx2", "fma")
AVX512 = (*AVX2, "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl")
ZEN3, ZEN4 = Cpu("Zen 3", "AuthenticAMD", AVX2), Cpu("Zen 4", "AuthenticAMD", AVX512)
BAD = Library("openblas", "0.3.34.0.0", "Haswell", "pthreads", 1, "/x/libopenblas.so", "lp64")


def test_every_entry_is_complete_and_in_the_document():
    text = (ROOT / "docs" / "blas.md").read_text("utf-8")
    for entry in known_bad():
        assert entry.library in LIBRARIES.names()
        assert entry.versions
        assert entry.kernels
        assert entry.routines
        assert entry.sources
        assert all(name == name.upper() for name in entry.kernels)
        assert entry.dimension in ("inner", "order")
        assert entry.least >= 1
        assert entry.threads >= 1
        for source in entry.sources:
            assert source.startswith("https://") or (ROOT / source).is_file()
        assert all(version in text for version in entry.versions)
        assert entry.sources[0] == "docs/blas.md" or entry.sources[0] in text


@pytest.mark.parametrize(
    ("changes", "processor", "fits"),
    [
        ({}, ZEN4, True),
        ({"architecture": "ZEN"}, ZEN4, True),
        ({"version": "0.3.34"}, ZEN4, True),
        ({"version": "0.3.340"}, ZEN4, False),
        ({"version": "0.3.33"}, ZEN4, False),
        ({"architecture": "SkylakeX"}, ZEN4, False),
        ({"architecture": None}, ZEN4, False),
        ({"name": "mkl"}, ZEN4, False),
        ({}, ZEN3, False),
        ({}, Cpu("Xeon", "GenuineIntel", AVX512), False),
    ],
)
def test_an_entry_fits_release_kernels_and_processor(changes, processor, fits):
    found = bad_builds(dataclasses.replace(BAD, **changes), processor)
    assert bool(found) == fits


def test_a_fit_is_refused_from_the_size_on_at_which_it_dies():
    refuse_known_bad({"numpy": BAD}, ZEN4, inner=256, order=200, threads=1)
    with pytest.raises(KnownBadBuildError, match=r"0\.3\.34.*257.*SkylakeX.*issues/6013"):
        refuse_known_bad({"numpy": BAD}, ZEN4, inner=257, order=200, threads=1)
    wide = dataclasses.replace(BAD, version="0.3.31", architecture="SkylakeX")
    refuse_known_bad({"scipy": wide}, ZEN4, inner=60_000, order=14_336, threads=2)
    refuse_known_bad({"scipy": wide}, ZEN4, inner=60_000, order=16_384, threads=1)
    with pytest.raises(KnownBadBuildError, match="order 16,384"):
        refuse_known_bad({"scipy": wide}, ZEN4, inner=60_000, order=16_384, threads=2)


def test_kernels_that_crash_are_not_advised_and_are_left():
    found = detect().numpy
    if found.name != "openblas":
        pytest.skip(f"numpy runs on {found.name}, and this is about OpenBLAS")
    bad = dataclasses.replace(found, version="0.3.34", architecture="Haswell")
    advice = kernel_advice(bad, ZEN4)
    assert advice.environment == {"OPENBLAS_CORETYPE": "SKYLAKEX"}
    assert "known to fail" in advice.reason
    low = dataclasses.replace(found, version="0.3.5", architecture="Haswell")
    assert kernel_advice(low, ZEN4).environment == {}, "SkylakeX is wrong in 0.3.5"


def test_the_checks_before_a_fit_know_the_list(monkeypatch):
    monkeypatch.setattr(kernels, "expected_report", lambda choice: BlasReport(BAD, BAD))
    monkeypatch.setattr(machine, "cpu", lambda: ZEN4)
    spec = FitSpec("small", "ridgecv")
    shape = ProblemShape("small", 400, 20, 5, "float64")
    assert isinstance(preflight(spec, shape, 360, check_fits=False).error, KnownBadBuildError)
    few = ProblemShape("small", 200, 20, 5, "float64")
    assert preflight(spec, few, 180, check_fits=False).error is None


def test_the_doctor_warns_of_it_and_of_quota_and_variables():
    report = BlasReport(BAD, dataclasses.replace(BAD, version="0.3.33"))
    [entry] = bad_builds(BAD, ZEN4)
    [warning] = known_bad_warnings([("numpy", entry)], report)
    assert warning["code"] == "known-bad"
    assert "0.3.34.0.0" in warning["message"]
    assert entry.sources[0] in warning["remedy"]
    assert quota_warnings(None, 2) == quota_warnings(2.0, 2) == []
    [quota] = quota_warnings(0.5, 2)
    assert quota["code"] == "quota"
    assert "0.5 cores" in quota["message"]
    assert variable_warnings({"OMP_NUM_THREADS": "3", "LD_PRELOAD": "x"}) == []
    [limits] = variable_warnings({"OMP_THREAD_LIMIT": "1"})
    assert "OMP_THREAD_LIMIT=1" in limits["message"]


@pytest.fixture
def startup(tmp_path, monkeypatch):
    """Return a function that makes every new Python process run some code first."""

    def install(code):
        (tmp_path / "sitecustomize.py").write_text(code, encoding="utf-8")
        paths = [str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))

    return install


DIES = """
import os, signal, sys
if set({questions!r}) & set(sys.orig_argv) and "bench_core.blas.observed" in sys.orig_argv:
    os.kill(os.getpid(), signal.SIGSEGV)
"""


@pytest.mark.parametrize("questions", [["detect"], ["detect", "load"]])
def test_the_library_is_named_although_its_call_ends_the_process(startup, questions):
    truth = detect()
    startup(DIES.format(questions=questions))
    observed = observe()
    assert "SIGSEGV" in observed.failure
    for found, true in ((observed.report.numpy, truth.numpy), (observed.report.scipy, truth.scipy)):
        assert found.name == true.name
        assert Path(found.file).samefile(true.file)
        if "load" not in questions:
            assert found.version == true.version
    done = CliRunner().invoke(cli, ["doctor", "--json"], catch_exceptions=False)
    diagnosis = json.loads(done.stdout)
    assert diagnosis["machine"]["cpu"]["model"]
    assert diagnosis["blas"]["numpy"]["name"] == truth.numpy.name
    assert "crash" in {warning["code"] for warning in diagnosis["warnings"]}
    shown = json.loads(CliRunner().invoke(cli, ["blas", "show", "--json"]).stdout)
    assert "SIGSEGV" in shown["failure"]


def test_what_a_library_prints_does_not_end_up_in_json(startup):
    """As oneMKL prints with MKL_VERBOSE: from C, to standard output, at any call."""
    startup("import atexit, os\natexit.register(os.write, 1, b'MKL_VERBOSE DGEMM(N,N,64)\\n')\n")
    for command in (["blas", "show", "--json"], ["doctor", "--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "bench_core.cli", *command],
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout)["blas" if "doctor" in command else "numpy"]
        assert "MKL_VERBOSE" in done.stderr
