"""Accuracy of one fit, written beside it: figures, tables and maps."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.accuracy.agreement import mean_between
from bench_core.accuracy.correlation import pearson_r, summary
from bench_core.accuracy.null import Kind, Null, Permutations
from bench_core.accuracy.permutation import ridge_null
from bench_core.accuracy.regions import by_region
from bench_core.accuracy.repeats import problem_ceiling, stimuli_in_both
from bench_core.accuracy.result import FitResult
from bench_core.data.problem import Problem
from bench_core.data.rows import RowsOf
from bench_core.disk import check_writable
from bench_core.errors import InputError, install_command
from bench_core.fdr import adjusted_p, threshold
from bench_core.files import new_folder, write_json
from bench_core.progress import Progress, silent

FOLDER = "accuracy"
SCHEMA = "ridgebench-accuracy/1"


@dataclass(frozen=True)
class AccuracyRequest:
    """Contents of an accuracy report.

    Parameters
    ----------
    null : permutation of the training rows, None for no null.
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

    null: Kind | None = "rows"
    permutations: int = 1000
    seed: int = 0
    rate: float = 0.05
    family_wise: bool = False
    regions: Path | None = None
    against: tuple[Path, ...] = ()
    figures: bool = True


@dataclass(frozen=True, eq=False)
class _Significance:
    """A null with its p values (s,), adjusted p values (s,) and significant targets (s,).

    ``p`` are of each target alone; ``adjusted`` are false-discovery rates, or family-wise.
    """

    null: Null
    p: NDArray[np.float64]
    adjusted: NDArray[np.float64]
    chosen: NDArray[np.bool_]


def accuracy_report(
    folder: str | Path,
    request: AccuracyRequest | None = None,
    *,
    progress: Progress = silent,
    open_problem: Callable[[FitResult], Problem] = FitResult.open_problem,
) -> dict[str, Any]:
    """Write the accuracy of the fit in ``folder`` to ``folder/accuracy`` and return its figures.

    The folder has ``accuracy.json`` (the figures returned), ``targets.tsv`` (r, p, adjusted p and
    noise ceiling of every target), ``regions.tsv``, and maps as NIfTI and figures for problems
    with the positions of their targets. An older report is replaced once the new one is complete.

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
    found = None if request.null is None else _significance(result, problem, request, progress)
    ceiling = problem_ceiling(problem)
    figures: dict[str, Any] = {
        "schema": SCHEMA,
        "problem": problem.name,
        "strategy": result.strategy,
        "samples": {"train": len(result.train), "test": len(result.test)},
        "r": summary(r),
        "null": None if found is None else _null_figures(found, r, request),
        "ceiling": None
        if ceiling is None
        else {
            "repeats": ceiling.repeats,
            "samples": ceiling.samples,
            "r": summary(ceiling.ceiling),
        },
    }
    figures["warnings"] = _warnings(figures["null"], result, problem, request)
    columns: dict[str, Iterable[Any]] = {
        "target": list(problem.target_names or [f"target {j}" for j in range(problem.s)]),
        "r": r,
    }
    if found is not None:
        columns |= {"p": found.p, "adjusted_p": found.adjusted}
    if ceiling is not None:
        columns["ceiling"] = ceiling.ceiling
    chosen = None if found is None else found.chosen
    with new_folder(folder / FOLDER, replace=True) as part:
        _write_table(part / "targets.tsv", columns, zip(*columns.values(), strict=True))
        maps = {"r": r}
        if request.regions is not None:
            rows, maps["region_r"] = _regions(problem, r, chosen, request.regions)
            figures["regions"] = rows
            _write_table(part / "regions.tsv", rows[0], (row.values() for row in rows))
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
) -> _Significance:
    assert request.null is not None
    rows = Permutations(
        request.null, request.permutations, problem.runs[result.train], seed=request.seed
    )
    null = ridge_null(
        np.asarray(problem.X[result.train]),
        RowsOf(problem.Y, result.train),
        np.asarray(problem.X[result.test]),
        RowsOf(problem.Y, result.test),
        result.penalty,
        rows,
        fit_intercept=result.fit_intercept,
        progress=progress,
    )
    p = null.p_values()
    adjusted = null.p_max() if request.family_wise else adjusted_p(p)
    with np.errstate(invalid="ignore"):
        return _Significance(null, p, adjusted, adjusted <= request.rate)


def _null_figures(
    found: _Significance, r: NDArray[np.float64], request: AccuracyRequest
) -> dict[str, Any]:
    null = found.null
    both = ~np.isnan(r) & ~np.isnan(null.observed)
    return {
        "kind": request.null,
        "permutations": null.n,
        "seed": request.seed,
        "mean_abs_r": float(null.mean_abs.mean()),
        "largest_r": {
            "median": float(np.median(null.largest)),
            "p95": float(np.percentile(null.largest, 95)),
        },
        "rate": request.rate,
        "correction": "largest r" if request.family_wise else "false discovery rate",
        "significant": int(found.chosen.sum()),
        "significant_family_wise": int((null.p_max() <= request.rate).sum()),
        "more_permutations": 0 if request.family_wise else _needed(null, both, request.rate),
        "threshold_r": threshold(r, found.chosen),
        # The null refits ridge at the penalties of the result: its own r must be the result's.
        "refit_difference": float(np.abs(r - null.observed)[both].max(initial=0)),
    }


def _needed(null: Null, known: NDArray[np.bool_], rate: float) -> int:
    """Return the permutations after which the best targets can be significant, 0 if these suffice.

    No p is below 1 / (n + 1); k targets that have it pass Benjamini and Hochberg's procedure on s
    targets only when it is at most rate · k / s.
    """
    best = int((known & (null.exceed == 0)).sum())
    needed = int(np.ceil(known.sum() / (rate * best))) if best else 0
    return needed if needed > null.n + 1 else 0


def _warnings(
    null: Mapping[str, Any] | None, result: FitResult, problem: Problem, request: AccuracyRequest
) -> list[str]:
    found = [
        f"{stimulus} was shown both in training and in test runs: accuracy is too high"
        for stimulus in stimuli_in_both(problem, result.train, result.test)
    ]
    if result.meta.get("split", {}).get("warning"):
        found.append(result.meta["split"]["warning"])
    if null is not None and null["more_permutations"]:
        found.append(
            f"{request.permutations} permutations cannot make {problem.s} targets significant at "
            f"{request.rate:g}: use {null['more_permutations']} or more, or family-wise"
        )
    return found


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
    correlations = correlate_maps(problems, values)
    mean = mean_between(correlations)
    return {
        "maps": [str(own.problem), *map(str, against)],
        "r": [[None if np.isnan(x) else float(x) for x in row] for row in correlations],
        "mean": None if np.isnan(mean) else mean,
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
    """Write the map of r, and of the regions' r if there are regions; return what is not drawn."""
    if find_spec("nibabel") is None:
        return {"maps and figures": f"nibabel is not installed: {install_command('brain')}"}
    from bench_core.accuracy.maps import write_maps

    absent = [name for name in ("nilearn", "matplotlib") if find_spec(name) is None]
    left_out = {}
    if figures and absent:
        figures = False
        left_out["figures"] = f"not installed: {', '.join(absent)}; {install_command('brain')}"
    progress("drawing", 0, len(maps))
    written = write_maps(problem, maps["r"], folder, chosen=chosen, title=title, figures=figures)
    if "region_r" in maps:
        progress("drawing", 1, len(maps))
        write_maps(
            problem,
            maps["region_r"],
            folder,
            name="region_r",
            title=f"{title}, by region",
            figures=figures,
        )
    progress("drawing", len(maps), len(maps))
    return left_out | written.not_drawn


def _write_table(path: Path, names: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(list(names))
        for row in rows:
            writer.writerow([_cell(value) for value in row])


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "n/a"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
