"""Accuracy of one fit, written beside it: figures, tables and maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.accuracy.agreement import Ceiling, mean_between
from bench_core.accuracy.correlation import pearson_r, signed_square, summary
from bench_core.accuracy.regions import by_region
from bench_core.accuracy.repeats import problem_ceiling, stimuli_in_both
from bench_core.accuracy.result import FitResult
from bench_core.accuracy.significance import (
    NullKind,
    NullRequest,
    Significance,
    find_significance,
    reason_to_withhold,
)
from bench_core.accuracy.tables import number, plain, write_table
from bench_core.data.problem import Problem
from bench_core.data.rows import RowsOf
from bench_core.disk import check_writable
from bench_core.errors import InputError, install_command
from bench_core.files import new_folder, write_json
from bench_core.progress import Progress, silent

FOLDER = "accuracy"
SCHEMA = "ridgebench-accuracy/1"


@dataclass(frozen=True)
class AccuracyRequest:
    """Contents of an accuracy report.

    Parameters
    ----------
    null : "held-out" (shifts of the held-out responses), "shifts" or "rows" (permutations of the
        training rows, with refits), None for no null.
    permutations, seed : their number and the seed of their random numbers.
    rate : false-discovery rate of the significant targets, or family-wise error rate.
    family_wise : compare with the largest r of all targets in every permutation.
    regions : label image over whose regions r is averaged.
    against : results of other subjects to compare the map with.
    figures : whether maps are also drawn.

    Examples
    --------
    >>> AccuracyRequest(null="shifts", permutations=200, family_wise=True).rate
    0.05
    """

    null: NullKind | None = "held-out"
    permutations: int = 1000
    seed: int = 0
    rate: float = 0.05
    family_wise: bool = False
    regions: Path | None = None
    against: tuple[Path, ...] = ()
    figures: bool = True


def accuracy_report(
    folder: str | Path,
    request: AccuracyRequest | None = None,
    *,
    progress: Progress = silent,
    open_problem: Callable[[FitResult], Problem] = FitResult.open_problem,
) -> dict[str, Any]:
    """Write the accuracy of the fit in ``folder`` to ``folder/accuracy`` and return its figures.

    The folder has ``accuracy.json`` (the figures returned), ``targets.tsv`` (r, r² with the sign of
    r, p, adjusted p, noise ceiling and r over the ceiling of every target), ``regions.tsv``, and
    maps as NIfTI and figures for problems with the positions of their targets. An older report is
    replaced once the new one is complete.

    p values are withheld, with the reason under "withheld", where no null gives them: see
    `bench_core.accuracy.significance.reason_to_withhold`.

    Where nilearn or matplotlib is not installed, figures are left out, with the reason under
    "not drawn"; without nibabel maps are left out too.

    open_problem : returns the problem of a fit, where it is not a folder any more.

    Raises `InputError` for a folder without a fit or that cannot be written, a problem that has
    changed since, and regions without nibabel, which reads them.
    """
    folder, request = Path(folder), request or AccuracyRequest()
    if request.regions is not None and find_spec("nibabel") is None:
        raise InputError(f"regions {request.regions} need nibabel: {install_command('brain')}")
    result = FitResult.open(folder)
    check_writable(folder)
    problem = open_problem(result)
    r = held_out_r(result, problem)
    _check_unchanged(result, r)
    found, withheld = _significance(result, problem, request, progress)
    ceiling = problem_ceiling(problem)
    figures: dict[str, Any] = {
        "schema": SCHEMA,
        "problem": problem.name,
        "strategy": result.strategy,
        "samples": {"train": len(result.train), "test": len(result.test)},
        "r": summary(r),
        "r_squared": summary(signed_square(r)),
        "null": None if found is None else found.figures(r),
        "withheld": withheld,
        "ceiling": None if ceiling is None else _ceiling_figures(ceiling, r),
    }
    figures["warnings"] = _warnings(found, result, problem)
    columns: dict[str, NDArray[np.float64] | list[str]] = {
        "target": list(problem.target_names or [f"target {j}" for j in range(problem.s)]),
        "r": r,
        "r_squared": signed_square(r),
    }
    if found is not None:
        columns |= {"p": found.p, "adjusted_p": found.adjusted}
    maps = {"r": r, "r_squared": signed_square(r)}
    if ceiling is not None:
        maps["normalised_r"] = ceiling.normalised(r)
        columns |= {"ceiling": ceiling.ceiling, "normalised_r": maps["normalised_r"]}
    chosen = None if found is None else found.chosen
    with new_folder(folder / FOLDER, replace=True) as part:
        write_table(part / "targets.tsv", columns, zip(*columns.values(), strict=True))
        if request.regions is not None:
            rows, maps["region_r"] = _regions(problem, r, chosen, request.regions)
            figures["regions"] = rows
            write_table(part / "regions.tsv", rows[0], (row.values() for row in rows))
        if request.against:
            figures["between"] = _between(problem, r, request.against, result, open_problem)
        if problem.space is not None:
            title = f"{problem.name}, {result.strategy}"
            figures["not drawn"] = _write_maps(
                problem, maps, chosen, part, title, request.figures, progress
            )
        write_json(part / "accuracy.json", figures)
    return figures


def _check_unchanged(result: FitResult, r: NDArray[np.float64]) -> None:
    """Raise `InputError` where r (s,) is not the one that the fit found: Y is another."""
    kept = result.arrays.get("r")
    if kept is None:
        return
    different = ~np.isclose(r, np.asarray(kept), rtol=0, atol=1e-5, equal_nan=True)
    if different.any():
        j = int(np.argmax(different))
        raise InputError(
            f"held-out r of {int(different.sum())} of {len(r)} targets is not the fit's (target "
            f"{j}: {r[j]:.4f}, then {kept[j]:.4f}): the targets have changed since, fit again"
        )


def held_out_r(result: FitResult, problem: Problem) -> NDArray[np.float64]:
    """Return r (s,) of the result's predictions, computed in batches of targets."""
    r = np.empty(problem.s)
    width = max(1, 2**27 // (8 * len(result.test)))
    truth = RowsOf(problem.Y, result.test)
    for start in range(0, problem.s, width):
        batch = np.arange(start, min(start + width, problem.s))
        r[batch] = pearson_r(truth[:, batch], np.asarray(result.prediction[:, batch]))
    return r


def _significance(
    result: FitResult, problem: Problem, request: AccuracyRequest, progress: Progress
) -> tuple[Significance | None, str | None]:
    """Return the significance, or the reason why it is withheld; neither where none was asked."""
    if request.null is None:
        return None, None
    asked = NullRequest(
        request.null, request.permutations, request.seed, request.rate, request.family_wise
    )
    if (reason := reason_to_withhold(problem, result, asked.kind)) is not None:
        return None, reason
    return find_significance(result, problem, asked, progress), None


def _ceiling_figures(ceiling: Ceiling, r: NDArray[np.float64]) -> dict[str, Any]:
    """Return the noise ceiling, r over it, and how many targets are too noisy for that."""
    return {
        "repeats": ceiling.repeats,
        "samples": ceiling.samples,
        "r": summary(ceiling.ceiling),
        "normalised_r": summary(ceiling.normalised(r)),
        "least_reliability": ceiling.least_reliability,
        "too_low": int((~(ceiling.reliability >= ceiling.least_reliability)).sum()),
    }


def _warnings(found: Significance | None, result: FitResult, problem: Problem) -> list[str]:
    lines = [
        f"{stimulus} was shown both in training and in test runs: accuracy is too high"
        for stimulus in stimuli_in_both(problem, result.train, result.test)
    ]
    if result.meta.get("split", {}).get("warning"):
        lines.append(result.meta["split"]["warning"])
    return lines if found is None else [*lines, *found.warnings(problem.s)]


def _regions(
    problem: Problem, r: NDArray[np.float64], chosen: NDArray[np.bool_] | None, path: Path
) -> tuple[list[dict[str, Any]], NDArray[np.float64]]:
    """Return the rows of the table of regions, and the mean r of every target's region (s,)."""
    from bench_core.accuracy.atlas import regions_of
    from bench_core.brain.extraction import load_image
    from bench_core.brain.label_names import label_names

    if problem.space is None:
        raise InputError(
            f"{problem.name} has no positions of its targets: regions need a problem with a space"
        )
    labels = regions_of(problem.space, load_image(path, "the atlas"), problem.s)
    found = by_region(r, labels, chosen)
    names = label_names(path)
    means = {each.region: np.nan if each.mean is None else each.mean for each in found}
    rows = [
        {"region": each.region, "name": names.get(each.region, ""), **asdict(each)}
        for each in sorted(found, key=lambda each: -(each.mean if each.mean is not None else -2))
    ]
    return rows, np.array([means.get(int(label), np.nan) for label in labels])


def _between(
    problem: Problem,
    r: NDArray[np.float64],
    against: Sequence[Path],
    own: FitResult,
    open_problem: Callable[[FitResult], Problem],
) -> dict[str, Any]:
    from bench_core.accuracy.between_subjects import correlate_maps

    problems, values = [problem], [r]
    for path in against:
        other = FitResult.open(path)
        problems.append(open_problem(other))
        values.append(held_out_r(other, problems[-1]))
        _check_unchanged(other, values[-1])
    correlations = correlate_maps(problems, values)
    mean = mean_between(correlations)
    return {
        "maps": [str(own.problem), *map(str, against)],
        "r": plain(correlations),
        "mean": number(mean),
    }


def _write_maps(
    problem: Problem,
    maps: Mapping[str, NDArray[np.float64]],
    chosen: NDArray[np.bool_] | None,
    folder: Path,
    title: str,
    figures: bool,
    progress: Progress,
) -> dict[str, str]:
    """Write the maps; return what is not drawn. r² is not drawn: its figure is that of r."""
    if find_spec("nibabel") is None:
        return {"maps and figures": f"nibabel is not installed: {install_command('brain')}"}
    from bench_core.accuracy.maps import write_maps

    absent = [name for name in ("nilearn", "matplotlib") if find_spec(name) is None]
    left_out = {}
    if figures and absent:
        figures = False
        left_out["figures"] = f"not installed: {', '.join(absent)}; {install_command('brain')}"
    titles = {"r": title, "r_squared": title, "region_r": f"{title}, by region"}
    titles["normalised_r"] = f"{title}, of the noise ceiling"
    for done, (name, values) in enumerate(maps.items()):
        progress("drawing", done, len(maps))
        written = write_maps(
            problem,
            values,
            folder,
            name=name,
            chosen=chosen if name == "r" else None,
            title=titles[name],
            figures=figures and name != "r_squared",
        )
        if name == "r":
            left_out |= written.not_drawn
        elif "figures" in written.not_drawn:
            left_out |= {f"{name} figures": written.not_drawn["figures"]}
    progress("drawing", len(maps), len(maps))
    return left_out
