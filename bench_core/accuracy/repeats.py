"""Runs of one problem that showed the same stimulus."""

from __future__ import annotations

from collections import defaultdict
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.accuracy.agreement import Ceiling, noise_ceiling
from bench_core.data.problem import Problem


def repeated_rows(problem: Problem) -> dict[str, list[NDArray[np.intp]]]:
    """Return, for every stimulus shown more than once, the rows of each time it was shown.

    Rows at the same position in each list belong to the same volume of the stimulus; volumes that
    one run lacks are omitted. Empty for problems without pairing or volume numbers.
    """
    shown = defaultdict(list)
    for row in problem.meta.get("pairing", []):
        if "stimulus" in row:
            shown[row["stimulus"]].append(row["number"])
    if problem.volumes is None:
        return {}
    found = {}
    for stimulus, numbers in shown.items():
        if len(numbers) < 2:
            continue
        runs = [np.flatnonzero(problem.runs == number) for number in numbers]
        volumes = [problem.volumes[rows] for rows in runs]
        common: NDArray[Any] = reduce(np.intersect1d, volumes)
        if len(common) >= 2:
            found[stimulus] = [
                rows[np.isin(each, common)] for rows, each in zip(runs, volumes, strict=True)
            ]
    return found


def problem_ceiling(problem: Problem) -> Ceiling | None:
    """Return the noise ceiling from all repeated stimuli, None when none was repeated.

    The reliabilities of several stimuli are averaged, weighted by their samples.
    """
    each = [
        noise_ceiling([np.asarray(problem.Y[rows]) for rows in runs])
        for runs in repeated_rows(problem).values()
    ]
    if not each:
        return None
    weights = np.array([found.samples for found in each], dtype=np.float64)
    reliability = np.average([found.reliability for found in each], axis=0, weights=weights)
    return Ceiling(
        reliability,
        np.sqrt(np.maximum(reliability, 0)),
        min(found.repeats for found in each),
        int(weights.sum()),
    )


def stimuli_in_both(problem: Problem, train: NDArray[np.intp], test: NDArray[np.intp]) -> list[str]:
    """Return the stimuli that test samples share with training samples of another run.

    A model can predict such test samples from the repeat, so held-out accuracy is too high.
    """
    return [
        stimulus
        for stimulus, runs in repeated_rows(problem).items()
        if np.isin(np.concatenate(runs), train).any() and np.isin(np.concatenate(runs), test).any()
    ]
