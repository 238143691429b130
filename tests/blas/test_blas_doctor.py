"""The doctor's warnings, and what its commands print."""

import dataclasses
import json

import pytest
from click.testing import CliRunner

from bench_core import doctor
from bench_core.blas import BlasReport, KernelAdvice, Library, detect
from bench_core.cli import cli
from bench_core.cli.commands.doctor import processor_ranges

OPENBLAS = Library("openblas", "0.3.30", "Haswell", "pthreads", 2, "/x/libopenblas.so", "lp64")
MKL = Library("mkl", "2026.2", "def", "intel", 2, "/x/libmkl_rt.so.3", "lp64")
ADVICE = KernelAdvice(
    "openblas", "Haswell", "SKYLAKEX", {"OPENBLAS_CORETYPE": "SKYLAKEX"}, "OpenBLAS runs Haswell"
)


def codes(warnings):
    assert all(set(warning) == {"code", "message", "remedy"} for warning in warnings)
    return [warning["code"] for warning in warnings]


def test_kernels_with_the_measured_gain():
    [warning] = doctor.kernel_warnings(ADVICE, {"current": 50.0, "best": 90.0})
    assert "50 GFLOP/s as it is, 90 with SKYLAKEX (1.80×)" in warning["message"]
    assert "OPENBLAS_CORETYPE=SKYLAKEX" in warning["remedy"]
    [even] = doctor.kernel_warnings(ADVICE, {"current": 50.0, "best": 50.0})
    assert "no gain" in even["message"]
    [unmeasured] = doctor.kernel_warnings(ADVICE, None)
    assert "measured" not in unmeasured["message"]
    assert doctor.kernel_warnings(KernelAdvice("openblas", "SkylakeX", "SkylakeX"), None) == []


def test_mkl_on_another_maker_s_processor():
    report = BlasReport(MKL, MKL)
    amd = {"model": "AMD EPYC", "vendor": "AuthenticAMD"}
    [warning] = doctor.library_warnings(report, amd, None, "relinked")
    assert warning["code"] == "mkl-foreign-cpu"
    assert "AMD EPYC" in warning["message"]
    intel = {"model": "Xeon", "vendor": "GenuineIntel"}
    assert doctor.library_warnings(report, intel, "mkl", "relinked") == []


def test_the_wrong_library_two_of_them_or_half_a_change(monkeypatch):
    cpu = {"model": "Xeon", "vendor": "GenuineIntel"}
    both = BlasReport(OPENBLAS, OPENBLAS)
    assert codes(doctor.library_warnings(both, cpu, "mkl", "bundled")) == ["declaration"]
    assert codes(doctor.library_warnings(both, cpu, "openblas", "changing")) == ["unfinished"]
    mixed = BlasReport(OPENBLAS, MKL)
    assert codes(doctor.library_warnings(mixed, cpu, None, "relinked")) == ["two-libraries"]
    monkeypatch.setenv("MKL_INTERFACE_LAYER", "ILP64")
    found = doctor.library_warnings(BlasReport(MKL, MKL), cpu, None, "relinked")
    assert codes(found) == ["wrong-answers"]


@pytest.mark.parametrize(
    ("available", "busy", "expected"),
    [(2, 0.0, []), (1, 0.0, ["oversubscribed"]), (4, 1.5, ["busy"])],
)
def test_cores(available, busy, expected):
    report = BlasReport(dataclasses.replace(OPENBLAS, threads=1), OPENBLAS)
    assert codes(doctor.core_warnings(report, available, busy)) == expected


def test_the_diagnosis_as_json_and_as_text():
    done = CliRunner().invoke(cli, ["doctor", "--json", "--no-measure"], catch_exceptions=False)
    found = json.loads(done.stdout)
    assert set(found) == {
        *("machine", "blas", "declared", "relinked", "environment", "load", "kernels", "warnings"),
        *("known_bad", "quiet", "steal_cores"),
    }
    assert found["blas"]["numpy"]["name"] == detect().numpy.name
    assert found["kernels"]["rates"] is None
    text = CliRunner().invoke(cli, ["doctor"], catch_exceptions=False).stdout
    assert found["machine"]["cpu"]["model"] in text
    assert "GFLOP/s" in text


def test_show_says_the_same_to_people_and_programs():
    found = json.loads(CliRunner().invoke(cli, ["blas", "show", "--json"]).stdout)
    here = detect().to_dict()["numpy"]
    assert found["numpy"] == here | {"threads": found["numpy"]["threads"]}  # fewer in these tests
    assert found["relinked"]["phase"] in ("bundled", "relinked")
    text = CliRunner().invoke(cli, ["blas", "show", "--proof"], catch_exceptions=False).stdout
    assert found["numpy"]["version"] in text
    assert found["scipy"]["file"] in text
    assert "functions in" in text


def testprocessor_ranges_of_processors():
    assert processor_ranges([0, 1, 2, 5, 8, 9]) == "0-2,5,8-9"
