"""The result folder of a fit: what `bench_core.accuracy.FitResult` opens, and files beside it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.accuracy.result import SHUFFLED, FitResult
from bench_core.data import Problem, Split
from bench_core.errors import InputError
from bench_core.files import publish_folder, write_json
from bench_core.fitting.figures import draw, draw_rows
from bench_core.fitting.reopening import source_values
from bench_core.fitting.request import FitRequest
from bench_core.records import FitPlan, Record, codec
from bench_core.runner.protocol import FurtherResults

SCHEMA = "ridgebench-fit-summary/1"

MAPPED = ("space_r", "space_unique")
"""Further results with a row for every feature space, of which maps are drawn."""


def write_results(
    request: FitRequest,
    problem: Problem,
    split: Split,
    plan: FitPlan | None,
    record: Record,
    part: Path,
    further: FurtherResults | None = None,
) -> tuple[list[str], dict[str, str]]:
    """Turn the worker's files in ``part`` into the folder ``request.out``, by one rename.

    further : what the strategy has saved of its own.

    Returns the names of its files, and figures that were left out with the reason.
    """
    own = () if further is None else further.arrays
    names = ("r", "intercept", *([SHUFFLED] if request.shuffled else []), *own)
    arrays = {name: np.load(part / f"{name}.npy", mmap_mode="r") for name in names}
    folder = part / "result"
    FitResult(
        problem=_problem_folder(request),
        strategy=request.strategy,
        train=split.train,
        test=split.test,
        prediction=np.load(part / "prediction.npy", mmap_mode="r"),
        penalty=np.load(part / "penalty.npy"),
        fit_intercept=request.fit_intercept,
        meta={
            "split": {
                "kind": split.kind,
                "seed": split.seed,
                "warning": split.warning,
                "reason": split.reason,
            },
            "record": record.id,
            "options": record.case.options,
            "source": None if request.keep_problem else source_values(request.source),
            **({} if further is None else {"rows": list(further.rows)}),
        },
        arrays=arrays,
    ).save(folder)
    if request.coef:
        (part / "coef.npy").rename(folder / "coef.npy")
    if request.keep_problem:
        problem.save(folder / "problem")
    not_drawn: dict[str, str] = {}
    if request.figures:
        not_drawn = draw(problem, np.asarray(arrays["r"]), folder)
        if further is not None:
            maps = {name: np.asarray(arrays[name]) for name in own if name in MAPPED}
            draw_rows(problem, maps, further.rows, folder)
    codec.write(record, folder / "record.json")
    values = codec.to_dict(record)
    write_json(
        folder / "summary.json",
        {
            "schema": SCHEMA,
            "problem": values["case"]["problem"],
            "strategy": request.strategy,
            "r": values["accuracy"],
            "r shuffled": values["null"],
            "penalty": values["penalty"],
            "plan": None if plan is None else asdict(plan),
            **({} if further is None else {"spaces": _by_row(arrays, further)}),
            "not drawn": not_drawn,
        },
    )
    try:
        publish_folder(folder, request.out)
    except FileExistsError as error:
        raise InputError(str(error)) from error
    return sorted(path.name for path in request.out.iterdir()), not_drawn


def _by_row(arrays: dict[str, Any], further: FurtherResults) -> dict[str, dict[str, Any]]:
    """Return the means over targets of every further result, by name of the row."""
    found: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(further.rows):
        rows = {name: arrays[name][number] for name in further.arrays if arrays[name].ndim == 2}
        found[row] = {name: _mean(values) for name, values in rows.items()}
    return found


def _mean(values: NDArray[Any]) -> float | None:
    """Return the mean of the finite values, None where there are none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None


def _problem_folder(request: FitRequest) -> Path:
    """Return where the problem is or, with ``keep_problem``, will be."""
    source = request.source
    if source.problem is not None and not source.named:
        return Path(source.problem)
    return request.out / "problem"
