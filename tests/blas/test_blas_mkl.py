"""oneMKL itself: the one library here that returns complex numbers in another way."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from blas_environments import Environment, bundled

COMPLEX = {"cdotc", "cdotu", "cladiv", "zdotc", "zdotu", "zladiv"}
CHECK = """
import numpy as np
from scipy.linalg import blas
from bench_core.blas import require
print(require("mkl").numpy.version)
generator = np.random.default_rng(0)
for dtype, letter, tolerance in (("F", "c", 1e-5), ("D", "z", 1e-13)):
    x, y = (generator.normal(size=(2, 100, 2)) @ [1, 1j]).astype(dtype)
    plain = sum(a * b for a, b in zip(x.tolist(), y.tolist()))
    conjugated = sum(a.conjugate() * b for a, b in zip(x.tolist(), y.tolist()))
    for got, expected in (
        (getattr(blas, letter + "dotu")(x, y), plain),
        (getattr(blas, letter + "dotc")(x, y), conjugated),
        (np.dot(x, y), plain),
        (np.vdot(x, y), conjugated),
    ):
        assert abs(got - expected) < tolerance * 100, (dtype, got, expected)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    made = Environment(tmp_path_factory.mktemp("mkl") / "venv")
    own = Path(sys.prefix, "lib")
    if list(own.glob("libmkl_rt.so.*")):
        for file in own.glob("lib*.so*"):
            (made.prefix / "lib" / file.name).symlink_to(file)
        return made
    install = ["-m", "pip", "--python", made.prefix / "bin/python", "install", "-q", "mkl"]
    done = subprocess.run([sys.executable, *install], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"oneMKL cannot be installed here: {done.stderr.strip()[-200:]}")
    return made


@pytest.mark.slow
def test_bundled_to_mkl_and_back(environment):
    pristine = environment.modules()
    declared = {"RIDGEBENCH_BLAS": "mkl"}
    done = environment.ridgebench("blas", "provision", variables=declared)
    assert "now run on oneMKL" in done.stdout
    environment.python("-c", CHECK)

    proof = "import json; from bench_core.blas import proof; print(json.dumps(proof()))"
    found = json.loads(environment.python("-c", proof).stdout)
    assert found["exceptions"]["numpy"] == {}
    [(kept, symbols)] = found["exceptions"]["scipy"].items()
    assert Path(kept).name == bundled("scipy").name
    assert {symbol.removeprefix("scipy_").removesuffix("_") for symbol in symbols} == COMPLEX
    for package in ("numpy", "scipy"):
        assert {entry["name"] for entry in found["calls"][package][:1]} == {"mkl"}

    # scipy would read 32-bit integers as 64-bit ones: refused, not wrong.
    wrong = environment.python("-c", CHECK, variables={"MKL_INTERFACE_LAYER": "ILP64"}, check=False)
    assert "BlasMismatchError" in wrong.stderr

    assert "already" in environment.ridgebench("blas", "provision", variables=declared).stdout
    openblas = {"RIDGEBENCH_BLAS": "openblas"}
    assert "OpenBLAS" in environment.ridgebench("blas", "provision", variables=openblas).stdout
    assert environment.modules() == pristine
