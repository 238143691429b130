"""Processes of asv that only read a record must not import what fits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench_core.measure import FitSpec
from bench_core.records import write
from bench_core.runner.spec import ProblemShape
from tests.valid_record import valid_record

HEAVY = {"numpy", "scipy", "sklearn", "dask", "distributed"}


def _loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_reading_a_stored_record_imports_nothing_that_fits(tmp_path: Path) -> None:
    spec = FitSpec("parcels", "ridgecv", scale=1 / 64, split="random")
    shape = ProblemShape("parcels", 1081, 256, 6, "float64", "sub-01", 1 / 64)
    write(valid_record(spec, shape), tmp_path / f"{spec.stem}.json")
    loaded = _loaded(
        "from pathlib import Path\n"
        "from bench_core.measure import FitSpec, measure, publish\n"
        f"spec = FitSpec('parcels', 'ridgecv', scale=1 / 64, split='random')\n"
        f"assert measure(spec, store=Path({str(tmp_path)!r})).status == 'ok'"
    )
    assert not loaded & HEAVY


def test_strategies_do_not_import_dask_before_they_fit() -> None:
    names = "multitarget", "bmor", "bmor-shared"  # joblib's backend, of mor, is Dask's own
    code = f"from bench_core import strategies\nfor name in {names}: strategies.get(name)"
    assert not _loaded(code) & {"dask", "distributed"}


def test_the_start_of_a_node_imports_nothing_that_fits() -> None:
    assert not _loaded("import bench_core.cluster.launch") & (HEAVY | {"pydantic"})
