"""The accuracy of one fit, written beside it: figures, tables and maps."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.accuracy.agreement import mean_between
from bench_core.accuracy.correlation import pearson_r, summary
from bench_core.accuracy.fdr import adjusted_p, threshold
from bench_core.accuracy.permutation import ridge_null
from bench_core.accuracy.null import Kind, Null, Permutations
from bench_core.accuracy.regions import RegionAccuracy, by_region
from bench_core.accuracy.result import FitResult
from bench_core.accuracy.repeats import problem_ceiling, seen_in_training
from bench_core.data.problem import Problem
from bench_core.data.rows import RowsOf
from bench_core.errors import InputError

FOLDER = "accuracy"
SCHEMA = "ridgebench-accuracy/1"


@dataclass(frozen=True)
class Wanted:
    """What the report is to hold.

    Parameters
    ----------
    null : how training rows are permuted, None for no null.
    permutations : how often.
    rate : false-discovery rate of the significant targets.
    family_wise : significance by the largest r of all targets instead.
    regions : label image whose regions r is averaged over.
    against : other results, of other subjects, to compare the map with.
    figures : whether maps are also drawn.
    """

    null: Kind | None = "rows"
    permutations: int = 1000
    seed: int = 0
    rate: float = 0.05
    family_wise: bool = False
    regions: Path | None = None
    against: tuple[Path, ...] = ()
    figures: bool = True


Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def accuracy_report(
    folder: str | Path, wanted: Wanted | None = None, *, progress: Progress | None = None
) -> dict[str, Any]:
    """Write the accuracy of the fit in ``folder`` to ``folder/accuracy`` and return its figures.

    There are ``accuracy.json`` (what is returned), ``targets.tsv`` (r, p, adjusted p and noise
    ceiling of every target), ``regions.tsv``, and maps as NIfTI and figures for problems that say
    where their targets lie. An older report is replaced once the new one is whole.

    Raises `InputError` for a folder that holds no fit, or whose problem has changed.
    """
    folder, wanted = Path(folder), wanted or Wanted()
    say = progress or (lambda *_: None)
    result = FitResult.open(folder)
    problem = result.open_problem()
    r = held_out_r(result, problem)
    null = None if wanted.null is None else _null(result, problem, wanted, say)
    p = None if null is None else (null.p_max() if wanted.family_wise else null.p_values())
    adjusted = None if p is None else (p if wanted.family_wise else adjusted_p(p))
    with np.errstate(invalid="ignore"):
        chosen = None if adjusted is None else adjusted <= wanted.rate
    ceiling = problem_ceiling(problem)
    seen = seen_in_training(problem, result.train, result.test)
    figures: dict[str, Any] = {
        "schema": SCHEMA,
        "problem": problem.name,
        "strategy": result.strategy,
        "samples": {"train": len(result.train), "test": len(result.test)},
        "r": summary(r),
        "null": None if null is None else _null_figures(null, r, chosen, wanted),
        "ceiling": None
        if ceiling is None
        else {
            "repeats": ceiling.repeats,
            "samples": ceiling.samples,
            "r": summary(ceiling.ceiling),
        },
        "warnings": [
            f"{stimulus} was shown both in training and in test runs: accuracy is too good"
            for stimulus in seen
        ],
    }
    if result.meta.get("split", {}).get("warning"):
        figures["warnings"].append(result.meta["split"]["warning"])
    if figures["null"] is not None and figures["null"]["more_permutations"]:
        figures["warnings"].append(
            f"{wanted.permutations} permutations cannot make {problem.s} targets significant at "
            f"{wanted.rate:g}: use {figures['null']['more_permutations']} or more, or family-wise"
        )
    columns: dict[str, Iterable[Any]] = {
        "target": list(problem.target_names or [f"target {j}" for j in range(problem.s)]),
        "r": r,
    }
    if p is not None and adjusted is not None:
        columns |= {"p": p, "adjusted_p": adjusted}
    if ceiling is not None:
        columns["ceiling"] = ceiling.ceiling
    part = Path(tempfile.mkdtemp(prefix=f".{FOLDER}-", dir=folder))
    try:
        _table(part / "targets.tsv", columns, zip(*columns.values(), strict=True))
        if wanted.regions is not None:
            found, region_r = _regions(problem, r, chosen, wanted.regions)
            figures["regions"] = found
            _table(part / "regions.tsv", found[0], (row.values() for row in found))
        if wanted.against:
            figures["between"] = _between(problem, r, wanted.against, result)
        if problem.space is not None:
            from bench_core.accuracy.maps import write_maps

            say("drawing", 0, 1)
            title = f"{problem.name}, {result.strategy}"
            written = write_maps(
                problem, r, part, chosen=chosen, title=title, figures=wanted.figures
            )
            figures["not drawn"] = written.left_out
            if wanted.regions is not None:
                write_maps(
                    problem,
                    region_r,
                    part,
                    name="region_r",
                    title=f"{title}, by region",
                    figures=wanted.figures,
                )
            say("drawing", 1, 1)
        text = json.dumps(figures, indent=1, allow_nan=False)
        (part / "accuracy.json").write_text(text + "\n", encoding="utf-8")
        part.chmod(0o755)
        if (folder / FOLDER).exists():
            shutil.rmtree(folder / FOLDER)
        part.rename(folder / FOLDER)
    finally:
        if part.exists():
            shutil.rmtree(part)
    return figures


def held_out_r(result: FitResult, problem: Problem) -> NDArray[np.float64]:
    """Return r (s,) of the result's predictions, a batch of targets at a time."""
    r = np.empty(problem.s)
    width = max(1, 2**27 // (8 * len(result.test)))
    truth = RowsOf(problem.Y, result.test)
    for start in range(0, problem.s, width):
        batch = np.arange(start, min(start + width, problem.s))
        r[batch] = pearson_r(truth[:, batch], np.asarray(result.prediction[:, batch]))
    return r


def _null(result: FitResult, problem: Problem, wanted: Wanted, say: Progress) -> Null:
    assert wanted.null is not None
    rows = Permutations(
        wanted.null, wanted.permutations, problem.runs[result.train], seed=wanted.seed
    )
    return ridge_null(
        np.asarray(problem.X[result.train]),
        RowsOf(problem.Y, result.train),
        np.asarray(problem.X[result.test]),
        RowsOf(problem.Y, result.test),
        result.penalty,
        rows,
        fit_intercept=result.fit_intercept,
        progress=lambda done, total: say("null", done, total),
    )


def _null_figures(
    null: Null, r: NDArray[np.float64], chosen: NDArray[np.bool_] | None, wanted: Wanted
) -> dict[str, Any]:
    assert chosen is not None
    both = ~np.isnan(r) & ~np.isnan(null.observed)
    return {
        "kind": wanted.null,
        "permutations": null.n,
        "seed": wanted.seed,
        "mean_abs_r": float(null.mean_abs.mean()),
        "largest_r": {
            "median": float(np.median(null.largest)),
            "p95": float(np.percentile(null.largest, 95)),
        },
        "rate": wanted.rate,
        "correction": "largest r" if wanted.family_wise else "false discovery rate",
        "significant": int(chosen.sum()),
        "significant_family_wise": int((null.p_max() <= wanted.rate).sum()),
        "more_permutations": 0 if wanted.family_wise else _more(null, both, wanted.rate),
        "threshold_r": threshold(r, chosen),
        # The null refits ridge at the penalties of the result: its own r must be the result's.
        "refit_difference": float(np.abs(r - null.observed)[both].max(initial=0)),
    }


def _more(null: Null, known: NDArray[np.bool_], rate: float) -> int:
    """Return how many permutations the best targets need to be significant, 0 if these suffice.

    No p is below 1 / (n + 1); k targets that have it pass Benjamini and Hochberg's procedure on s
    targets only when it is at most rate · k / s.
    """
    best = int((known & (null.exceed == 0)).sum())
    needed = int(np.ceil(known.sum() / (rate * best))) if best else 0
    return needed if needed > null.n + 1 else 0


def _regions(
    problem: Problem, r: NDArray[np.float64], chosen: NDArray[np.bool_] | None, path: Path
) -> tuple[list[dict[str, Any]], NDArray[np.float64]]:
    """Return the rows of the table of regions, and every target's region's mean r."""
    from bench_core.brain.extraction import load_image
    from bench_core.accuracy.atlas import region_names, regions_of

    if problem.space is None:
        raise InputError(
            f"{problem.name} does not say where its targets lie: no region can be found"
        )
    labels = regions_of(problem.space, load_image(path, "the atlas"), problem.s)
    found: list[RegionAccuracy] = by_region(r, labels, chosen)
    names = region_names(path)
    means = {each.region: np.nan if each.mean is None else each.mean for each in found}
    rows = [
        {"region": each.region, "name": names.get(each.region, ""), **asdict(each)}
        for each in sorted(found, key=lambda each: -(each.mean if each.mean is not None else -2))
    ]
    return rows, np.array([means.get(int(label), np.nan) for label in labels])


def _between(
    problem: Problem, r: NDArray[np.float64], against: Sequence[Path], own: FitResult
) -> dict[str, Any]:
    from bench_core.accuracy.between_subjects import between

    problems, values = [problem], [r]
    for path in against:
        other = FitResult.open(path)
        problems.append(other.open_problem())
        values.append(held_out_r(other, problems[-1]))
    correlations = between(problems, values)
    mean = mean_between(correlations)
    return {
        "maps": [str(own.problem), *map(str, against)],
        "r": [[None if np.isnan(x) else float(x) for x in row] for row in correlations],
        "mean": None if np.isnan(mean) else mean,
    }


def _table(path: Path, names: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(list(names))
        for row in rows:
            writer.writerow([_cell(value) for value in row])


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "n/a"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
