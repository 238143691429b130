"""The split that "auto" stands for, found from the runs of a problem before the problem is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench_core.runner.spec import FitSpec


def with_split(spec: FitSpec) -> FitSpec:
    """Return the specification with the split that "auto" stands for, and the reason.

    One that names its split is returned as it is. So is one whose problem does not exist, which
    `bench_core.runner.problem_cache.problem_shape` names.

    Raises `InputError` for a damaged problem folder.
    """
    if spec.split != "auto":
        return spec
    from bench_core.data import Problem, choose_split, names, problem_runs
    from bench_core.disk import readable_path

    readable_path(spec.problem)
    if spec.problem in names():
        runs = problem_runs(spec.problem, scale=spec.scale, subject=spec.subject)
    elif Path(spec.problem).is_dir():
        runs = Problem.open(spec.problem).runs
    else:
        return spec
    choice = choose_split(runs)
    return replace(spec, split=choice.kind, split_reason=choice.reason)
