"""Names and spellings of routines."""

import doctest

import pytest
import scipy.linalg.blas
from hypothesis import given
from hypothesis import strategies as st

from bench_core.blas import routines
from bench_core.blas.routines import BLAS, STYLES, Routine, Style, missing, parse


def test_the_blas_is_that_of_scipy():
    """scipy wraps nearly every routine of the reference BLAS, and a few of LAPACK with them."""
    wrapped = {n for n in dir(scipy.linalg.blas) if n[0] in "sdczi" and not n.startswith("_")}
    symmetric = {f"{letter}{name}" for letter in "cz" for name in ("spmv", "spr", "syr")}
    assert wrapped - symmetric - BLAS == set()
    assert symmetric & BLAS == set()
    unwrapped = {n[1:] for n in BLAS - wrapped}
    assert unwrapped <= {"dsdot", "sdot", "cabs1", "tbmv", "tbsv", "gbmv", "sbmv", "hbmv", "hpmv"}


@given(st.sampled_from(sorted(BLAS | {"dgesdd", "dlapmt", "zladiv", "sgesv"})), st.booleans())
def test_spelling_then_parsing_gives_the_routine(name, cblas):
    for style in STYLES:
        bits = 64 if "64" in style.fortran else 32
        routine = Routine(name, cblas, bits)
        assert parse(style.spell(routine)) == routine


def test_what_is_missing_is_listed_in_the_library_s_spelling():
    wanted = [parse("scipy_dgemm_"), parse("scipy_dgesdd_"), parse("scipy_cblas_dsyrk")]
    assert missing(wanted, Style("{}_64", "cblas_{}_64"), {"dgemm_64"}) == [
        "cblas_dsyrk_64",
        "dgesdd_64",
    ]


def test_complex_functions_are_those_of_fortran_alone():
    assert parse("scipy_zdotu_").complex_function
    assert parse("scipy_zladiv_").complex_function
    assert not parse("scipy_cblas_zdotu_sub64_").complex_function
    assert not parse("scipy_zgemm_").complex_function


def test_a_name_that_is_none():
    with pytest.raises(ValueError, match="PyList_New"):
        parse("PyList_New")


def test_examples_in_docstrings():
    assert doctest.testmod(routines).failed == 0
