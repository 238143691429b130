"""Libraries asked what they are, against builds whose nature is known."""

from pathlib import Path

import pytest
from blas_environments import bundled

from bench_core.blas.libraries import LIBRARIES, all_libraries, identify
from bench_core.blas.probe import UnusableLibraryError, probe

MULTIARCH = Path("/usr/lib/x86_64-linux-gnu")
# Debian's builds, all compiled by gfortran: name, integer width.
SYSTEM = [
    ("openblas-pthread/libopenblas.so.0", "openblas", 32),
    ("openblas64-pthread/libopenblas64.so.0", "openblas", 64),
    ("blis-pthread/libblis.so.4", "blis", 32),
    ("blis64-pthread/libblis64.so.4", "blis", 64),
    ("blas/libblas.so.3", "netlib", 32),
]


@pytest.mark.parametrize(("package", "bits"), [("numpy", 64), ("scipy", 32)])
def test_bundled_libraries(package, bits):
    found = probe(bundled(package))
    assert found.name == "openblas"
    assert set(found.bits.values()) == {bits}
    assert set(found.by_value.values()) == {True}


@pytest.mark.parametrize(("file", "name", "bits"), SYSTEM)
def test_system_libraries(file, name, bits):
    path = MULTIARCH / file
    if not path.exists():
        pytest.skip(f"{path} is not installed")
    found = probe(path)
    assert (found.name, set(found.bits.values())) == (name, {bits})
    assert set(found.by_value.values()) == {True}


def test_mkl():
    path = next(iter(LIBRARIES.get("mkl").candidates()), None)
    if path is None:
        pytest.skip("oneMKL is not installed in this environment")
    found = probe(path)
    assert found.name == "mkl"
    assert set(found.bits.values()) == {32, 64}
    assert set(found.by_value.values()) == {False}


def test_what_is_no_blas_is_refused(tmp_path):
    with pytest.raises(UnusableLibraryError, match="not a file"):
        probe(tmp_path / "libnone.so")
    library = next(Path(bundled("numpy")).parent.glob("libgfortran*"))
    with pytest.raises(UnusableLibraryError, match="not a BLAS"):
        probe(library)


def test_each_library_says_what_is_needed_of_it():
    for library in all_libraries():
        assert library.name in LIBRARIES.names()
        assert library.title
        assert library.install_hint
        if library.name != "flexiblas":
            assert library.conda_spec.startswith("libblas=*=*")
        assert all(path.exists() for path in library.candidates())
    assert identify(Path("libz.so"), {"inflate"}) is None
