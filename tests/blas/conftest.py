"""An environment to relink and libraries to relink it to, made once for all these tests."""

import pytest
from blas_environments import Environment, bundled, renamed_library

from bench_core.blas.detection import detect


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    if detect().numpy.file != str(bundled("numpy").resolve()):
        pytest.skip("this environment's own numpy is relinked: its wheels cannot be copied")
    return Environment(tmp_path_factory.mktemp("environments") / "venv")


@pytest.fixture(scope="session")
def foreign(tmp_path_factory):
    """Return two strange libraries, for scipy and for numpy: other files, plain names.

    They are copies of the bundled OpenBLAS builds under names without the prefix, which is what
    a system's library looks like: with 32-bit integers ``dgemm_``, with 64-bit ``dgemm_64_``.
    """
    folder = tmp_path_factory.mktemp("libraries")
    return [
        renamed_library(bundled(package), folder / name, lambda n: n.removeprefix("scipy_"))
        for package, name in (("scipy", "libopenblas32.so"), ("numpy", "libopenblas64.so"))
    ]
