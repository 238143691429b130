"""`measure` as users import it: from the package, or from `bench_core`."""

from __future__ import annotations

import inspect
import rlcompleter
import subprocess
import sys
from pathlib import Path

import pytest

import bench_core
from bench_core.measure import FitSpec, measure
from bench_core.records import Record, write
from bench_core.runner.spec import ProblemShape
from tests.valid_record import valid_record


def test_measure_from_bench_core_returns_the_record(tmp_path: Path) -> None:
    spec = FitSpec("parcels", "ridgecv", scale=1 / 64)
    shape = ProblemShape("parcels", 1081, 256, 6, "float64", "sub-01", 1 / 64)
    stored = valid_record(spec, shape)
    write(stored, tmp_path / f"{spec.stem}.json")
    found = bench_core.measure(spec, store=tmp_path)
    assert isinstance(found, Record)
    assert found == measure(spec, store=tmp_path)


def test_its_signature_is_that_of_the_function() -> None:
    assert inspect.signature(bench_core.measure) == inspect.signature(measure)
    with pytest.raises(TypeError):
        bench_core.measure()  # type: ignore[call-arg]


def test_its_own_names_stay_importable() -> None:
    for name in bench_core.measure.__all__:
        assert getattr(bench_core.measure, name) is not None
    assert bench_core.measure.measure is measure


@pytest.mark.parametrize("text", ["bench_core.mea", "bench_core.Multi", "bench_core.measure.pub"])
def test_names_complete_in_an_interactive_shell(text: str) -> None:
    found = rlcompleter.Completer({"bench_core": bench_core}).complete(text, 0)
    assert found is not None
    assert found.startswith(text)
    assert found != text


@pytest.mark.parametrize(
    "code",
    [
        "from bench_core import measure",
        "from bench_core.measure import measure",
        "import bench_core.runner.run\nfrom bench_core import measure",
        "import bench_core.measure.run\nfrom bench_core import measure",
    ],
)
def test_it_is_callable_whatever_was_imported_before(code: str) -> None:
    subprocess.run([sys.executable, "-c", f"{code}\nassert callable(measure)"], check=True)
