"""What an environment measures in turns with others: written by the suites, read by the schedule.

asv runs one environment after the other. So `ridgebench bench` has asv build the environments and
run one small suite in each; that writes this plan. The fits are then measured in turns
(`bench_core.measure.turns`), and asv finds their records.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench_core.records import codec
from bench_core.records.provenance import environment
from bench_core.records.store import SESSION
from bench_core.runner.spec import FitSpec

PLAN = "plan.json"
_KEPT = ("ASV", "RIDGEBENCH_", "PATH")


@dataclass(frozen=True)
class TurnsPlan:
    """Cases of one environment, and how to start a process there.

    Parameters
    ----------
    environment : its name. executable : its Python.
    variables : of asv and of ridgebench there.
    cases : in the order of the suites. reference : the clock of the machine.
    runs : of every case, each in a process of its own.
    selection : regular expressions of the benchmarks that run there, for asv's ``--bench``.

    Examples
    --------
    >>> TurnsPlan("env-a", "python", {}, (), None, 2).cases
    ()
    """

    environment: str
    executable: str
    variables: dict[str, str]
    cases: tuple[FitSpec, ...]
    reference: FitSpec | None
    runs: int
    selection: tuple[str, ...] = ()


def in_session() -> bool:
    """Return whether `ridgebench bench` measures in turns (``RIDGEBENCH_SESSION``)."""
    return bool(os.environ.get(SESSION))


def write_plan(
    folder: Path,
    cases: Sequence[FitSpec],
    reference: FitSpec | None,
    runs: int,
    selection: Sequence[str] = (),
) -> Path:
    """Write the plan of this environment to its ``folder`` of the session, and return the file."""
    plan = TurnsPlan(
        environment() or "existing",
        sys.executable,
        {name: value for name, value in os.environ.items() if name.startswith(_KEPT)},
        tuple(cases),
        reference,
        runs,
        tuple(selection),
    )
    return codec.write(plan, folder / PLAN)


def read_plans(session: Path) -> dict[Path, TurnsPlan]:
    """Return the plans of a session by their folders, in the order in which they were written."""
    paths = sorted(session.glob(f"*/{PLAN}"), key=lambda path: path.stat().st_mtime_ns)
    return {path.parent: codec.read(TurnsPlan, path) for path in paths}


def same_case(spec: FitSpec) -> str:
    """Return a key that a case has in every environment.

    >>> spec = FitSpec("parcels", "ridgecv")
    >>> same_case(spec) == same_case(FitSpec("parcels", "ridgecv", blas="mkl", kernels="best"))
    True
    """
    return replace(spec, blas=None, kernels="default").key()


def side_of_same(spec: FitSpec) -> FitSpec:
    """Return a case as an environment is measured with itself: for its times, without a null.

    >>> side_of_same(FitSpec("parcels", "ridgecv")).null
    'skip'
    """
    return replace(spec, null="skip")
