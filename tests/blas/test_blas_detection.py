"""What is detected, against threadpoolctl's independent list of loaded libraries."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg
from threadpoolctl import threadpool_info, threadpool_limits

from bench_core.blas import BlasMismatchError, detect, require
from bench_core.errors import UnknownNameError


def test_the_libraries_are_loaded_and_answer_for_themselves():
    report = detect()
    loaded = {info["filepath"]: info for info in threadpool_info() if info["user_api"] == "blas"}
    for library in (report.numpy, report.scipy):
        info = loaded[library.file]
        assert library.name == info["internal_api"]
        assert library.version == info["version"]
        assert library.threads == info["num_threads"]
    assert set(report.to_dict()) == {"numpy", "scipy"}


def test_integer_width_is_what_numpy_was_built_for():
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    wide = "64" in str(built["name"]) or "USE64BITINT" in str(built["openblas configuration"])
    assert detect().numpy.interface == ("ilp64" if wide else "lp64")
    assert detect().scipy.interface == "lp64"


def test_threads_are_those_of_the_moment():
    with threadpool_limits(1, user_api="blas"):
        assert detect().numpy.threads == detect().scipy.threads == 1


def test_numpy_and_scipy_are_told_apart():
    """scipy's slot is read from scipy's module, not from numpy's."""
    report = detect()
    assert f"{os.sep}numpy.libs{os.sep}" in report.numpy.file
    assert f"{os.sep}scipy.libs{os.sep}" in report.scipy.file
    assert scipy.linalg.blas.dgemm(1.0, np.eye(2), np.eye(2)).sum() == 2


def test_require_names_both_libraries_and_the_remedy():
    name = detect().numpy.name
    assert require(name).numpy.name == name
    other = "mkl" if name != "mkl" else "openblas"
    with pytest.raises(BlasMismatchError, match=rf"{name}.*{other}"):
        require(other)
    with pytest.raises(UnknownNameError, match="'openblas'"):
        require("openblass")


def test_a_variable_that_makes_mkl_wrong_is_refused(monkeypatch):
    monkeypatch.setenv("MKL_INTERFACE_LAYER", "GNU,ILP64")
    with pytest.raises(BlasMismatchError, match="unset"):
        require("mkl")


def test_importing_is_light():
    program = (
        "import sys, bench_core.blas; print(*{'numpy', 'scipy', 'elftools'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
