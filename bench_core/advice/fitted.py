"""Calibration from recorded fits of one machine: nothing is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bench_core.advice.recorded import RecordedFit, recorded_fits, recorded_kernels
from bench_core.errors import InputError, counted, unknown
from bench_core.records import EnvironmentRun
from bench_core.scaling.calibration import CalibratedBlas, CalibratedMachine, Calibration
from bench_core.scaling.parameters import (
    Observation,
    Parameters,
    build_calibration,
    fit_parameters,
    predicted,
)

FEWEST = 6
"""Recorded fits from which a calibration can be made."""

PARTS = 4
"""Parts of the recorded fits: the spread is that of each part, predicted from the others."""


def calibrate_from_records(
    runs: Sequence[EnvironmentRun], *, machine: str | None = None, blas: str | None = None
) -> Calibration:
    """Return the calibration that the recorded fits of one machine with one BLAS speak for.

    Parameters
    ----------
    machine : None if the records are of one machine only. blas : None for that of most records.

    Raises
    ------
    InputError : several machines, or fewer than 6 fits whose cost is known.
    UnknownNameError : no records of this machine, or of this BLAS on it.
    """
    fits = list(recorded_fits(runs))
    machines = sorted({one.machine for one in fits})
    if machine is None and len(machines) > 1:
        raise InputError(f"records of {', '.join(machines)}: say which one (--machine)")
    if machine is not None and machine not in machines:
        raise unknown("machine", machine, machines)
    own = [one for one in fits if machine in (None, one.machine)]
    libraries = [one.blas for one in own]
    if blas is not None and blas not in libraries:
        raise unknown("BLAS", blas, sorted(set(libraries)))
    chosen = blas or max(sorted(set(libraries)), key=libraries.count, default="")
    own = [one for one in own if one.blas == chosen]
    if len(own) < FEWEST:
        raise InputError(f"{counted(len(own), 'recorded fit')} of known cost: {FEWEST} are needed")
    kernels = list(recorded_kernels(runs, own[0].machine, chosen))
    return fit_records(own, kernels, *describe(runs, own[0].machine, chosen))


def describe(
    runs: Sequence[EnvironmentRun], machine: str, blas: str
) -> tuple[CalibratedMachine, CalibratedBlas]:
    """Return the machine and the library as the records describe them."""
    for run in runs:
        for record in run.fits:
            known = record.machine
            if run.machine != machine or record.blas is None or record.blas.numpy.name != blas:
                continue
            if known.cpu is None or known.cores is None or known.memory is None:
                continue
            library = record.blas.numpy
            return (
                CalibratedMachine(
                    machine,
                    known.cpu.get("model"),
                    int(known.cores.get("available") or known.cores.get("physical") or 1),
                    int(known.memory["total_bytes"]),
                ),
                CalibratedBlas(library.name, library.version, library.architecture),
            )
    raise InputError(f"no record of {machine} describes the machine: measure again")


def fit_records(
    own: Sequence[RecordedFit],
    kernels: Sequence[Observation],
    machine: CalibratedMachine,
    library: CalibratedBlas,
) -> Calibration:
    """Return the calibration that fits and kernel times of one machine and BLAS speak for."""
    observations = [one.observation for one in own]
    threads = sorted({1, machine.cores, *(one.threads for one in observations)})

    def build(values: Parameters) -> Calibration:
        return build_calibration(values, machine=machine, blas=library, threads=threads)

    values, _ = fit_parameters([*kernels, *observations], build)
    return replace(
        build(values),
        source="records",
        spread=_spread(observations, kernels, build),
        checked=len(observations),
        start_s=1.5,
        start_node_s=0.5,
        notes=(
            f"fitted to {counted(len(own), 'recorded fit')} and "
            f"{counted(len(kernels), 'kernel time')}; float32 taken as twice as fast",
            "the start of a cluster is assumed: 1.5 s, and 0.5 s a further node",
        ),
    )


def _spread(
    observations: Sequence[Observation],
    kernels: Sequence[Observation],
    build: Callable[[Parameters], Calibration],
) -> float:
    """Return the spread of log(measured / predicted) of fits that the parameters do not know."""
    left = []
    for part in range(min(PARTS, len(observations) - 1)):
        known = [one for i, one in enumerate(observations) if i % PARTS != part]
        others = [one for i, one in enumerate(observations) if i % PARTS == part]
        values, _ = fit_parameters([*kernels, *known], build)
        times = np.log([one.seconds for one in others])
        left.append(times - np.log(predicted(others, build(values))))
    errors = np.concatenate(left)
    return float(np.sqrt(np.mean(errors * errors)))
