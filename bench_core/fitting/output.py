"""The result folder of a fit: what `bench_core.accuracy.FitResult` opens, and files beside it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench_core.accuracy.result import FitResult
from bench_core.data import Problem, Split
from bench_core.errors import InputError
from bench_core.fitting.figures import draw
from bench_core.fitting.request import Request
from bench_core.measure.record import Record, write_json

SCHEMA = "ridgebench-fit-summary/1"


def write_results(
    request: Request,
    problem: Problem,
    split: Split,
    plan: Any | None,
    record: Record,
    part: Path,
) -> tuple[list[str], dict[str, str]]:
    """Turn the worker's files in ``part`` into the folder ``request.out``, by one rename.

    Returns the names of its files, and figures that were left out with the reason.
    """
    arrays = {name: np.load(part / f"{name}.npy", mmap_mode="r") for name in ("r", "intercept")}
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
            "split": {"kind": split.kind, "seed": split.seed, "warning": split.warning},
            "record": record["id"],
            "options": record["case"]["options"],
        },
        arrays=arrays,
    ).save(folder)
    if request.coef:
        (part / "coef.npy").rename(folder / "coef.npy")
    if request.keep_problem:
        problem.save(folder / "problem")
    left_out: dict[str, str] = {}
    if request.figures:
        left_out = draw(problem, np.asarray(arrays["r"]), folder)
    write_json(record, folder / "record.json")
    write_json(
        {
            "schema": SCHEMA,
            "problem": record["case"]["problem"],
            "strategy": request.strategy,
            "r": record["accuracy"],
            "penalty": record["penalty"],
            "plan": None if plan is None else asdict(plan),
            "not drawn": left_out,
        },
        folder / "summary.json",
    )
    try:
        folder.rename(request.out)
    except OSError as error:
        if not request.out.exists():
            raise
        raise InputError(
            f"{request.out} was created by somebody else meanwhile: choose another folder"
        ) from error
    return sorted(path.name for path in request.out.iterdir()), left_out


def _problem_folder(request: Request) -> Path:
    """Return where the problem is or, with ``keep_problem``, will be."""
    source = request.source
    if source.problem is not None and not source.named:
        return Path(source.problem)
    return request.out / "problem"
