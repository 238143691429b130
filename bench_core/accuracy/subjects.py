"""Results of several subjects beside each other: r, regions, and maps correlated in pairs.

Thesis figures 3.7 (r of regions and subjects, trained beside shuffled) and 3.12 (correlations
between the maps of subjects).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.accuracy.agreement import mean_between
from bench_core.accuracy.between_subjects import correlate_maps
from bench_core.accuracy.correlation import summary
from bench_core.accuracy.regions import by_region
from bench_core.accuracy.result import DESCRIPTION, SHUFFLED, FitResult
from bench_core.accuracy.tables import number, plain, write_table
from bench_core.data.problem import Problem
from bench_core.errors import InputError, install_command
from bench_core.files import replace_file, write_json

SCHEMA = "ridgebench-subjects/1"
TABLES = ("subjects.json", "subjects.tsv")
FORMATS = ("svg", "png")


@dataclass(frozen=True, eq=False)
class SubjectResult:
    """The held-out r of one subject.

    Parameters
    ----------
    name : of the subject; its folder's.
    problem : that was fitted. strategy : that fitted it.
    r : (s,) on the held-out samples. shuffled : (s,) after training on shuffled rows, None where
        that was not fitted.

    Examples
    --------
    >>> X, Y = np.zeros((3, 1)), np.zeros((3, 2))
    >>> one = SubjectResult("sub-01", Problem.from_arrays(X, Y), "ridgecv", np.array([0.5, 0.25]))
    >>> one.row()["r_mean"]
    0.375
    """

    name: str
    problem: Problem
    strategy: str
    r: NDArray[np.float64]
    shuffled: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, name: str, result: FitResult, problem: Problem) -> SubjectResult:
        """Return what a saved fit and its problem say; raise `InputError` where r was not saved."""
        if "r" not in result.arrays:
            raise InputError(f"{name} has no r of its targets: fit it again")
        shuffled = result.arrays.get(SHUFFLED)
        return cls(
            name,
            problem,
            result.strategy,
            np.asarray(result.arrays["r"], np.float64),
            None if shuffled is None else np.asarray(shuffled, np.float64),
        )

    def row(self) -> dict[str, Any]:
        """Return the subject's figures, as JSON values."""
        found: dict[str, Any] = {
            "subject": self.name,
            "strategy": self.strategy,
            "targets": self.problem.s,
            **{f"r_{name}": value for name, value in summary(self.r).items()},
        }
        if self.shuffled is not None:
            own = summary(self.shuffled)
            found |= {f"shuffled_{name}": own[name] for name in ("mean", "max")}
        return found


@dataclass(frozen=True, eq=False)
class RegionTable:
    """Mean r of every region and subject, NaN where a subject has no target there.

    Parameters
    ----------
    names : of the regions. trained, shuffled : (regions, subjects); shuffled None where a subject
        was not fitted to shuffled rows.
    """

    names: Sequence[str]
    trained: NDArray[np.float64]
    shuffled: NDArray[np.float64] | None


@dataclass(frozen=True, eq=False)
class SubjectsComparison:
    """Several subjects beside each other.

    Parameters
    ----------
    between : (n, n) Pearson's r between the maps; None where they cannot be compared.
    regions : None without an atlas, unless all subjects have the same parcels.
    left_out : what could not be compared, with the reason.
    """

    subjects: Sequence[SubjectResult]
    between: NDArray[np.float64] | None
    regions: RegionTable | None
    left_out: dict[str, str]

    @property
    def names(self) -> list[str]:
        """Names of the subjects."""
        return [each.name for each in self.subjects]

    def to_json(self) -> dict[str, Any]:
        """Return all figures as JSON values."""
        found: dict[str, Any] = {
            "schema": SCHEMA,
            "subjects": [each.row() for each in self.subjects],
            "left out": self.left_out,
        }
        if self.between is not None:
            mean = mean_between(self.between)
            found["between"] = {"r": plain(self.between), "mean": number(mean)}
        if self.regions is not None:
            table = self.regions
            found["regions"] = {"names": list(table.names), "trained": plain(table.trained)}
            if table.shuffled is not None:
                found["regions"]["shuffled"] = plain(table.shuffled)
        return found


def result_folders(folder: Path) -> dict[str, Path]:
    """Return the results of fits in ``folder`` by the names of their folders, {} without any.

    A folder that is itself the result of one fit has none.
    """
    return folders_in(folder, DESCRIPTION)


def folders_in(folder: Path, description: str) -> dict[str, Path]:
    """Return by name the folders in ``folder`` that have a file called ``description``.

    {} for a folder that is not there, or that has the file itself.
    """
    if not folder.is_dir() or (folder / description).is_file():
        return {}
    inner = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return {path.name: path for path in inner if (path / description).is_file()}


def open_subjects(
    folders: dict[str, Path],
    open_problem: Callable[[FitResult], Problem] = FitResult.open_problem,
) -> list[SubjectResult]:
    """Return the results in ``folders``; raises what `FitResult.open` and ``open_problem`` do."""
    found = []
    for name, folder in folders.items():
        result = FitResult.open(folder)
        found.append(SubjectResult.of(name, result, open_problem(result)))
    return found


def compare_subjects(
    subjects: Sequence[SubjectResult], regions: Path | None = None
) -> SubjectsComparison:
    """Compare subjects: maps in pairs, and regions of the atlas image ``regions``.

    Without an atlas, parcels that all subjects have are the regions.

    Raises `InputError` for an atlas that cannot be read, or in which no target of a subject lies.
    """
    left_out: dict[str, str] = {}
    between = None
    if len(subjects) < 2:
        left_out["between"] = "one subject: there is nothing to compare it with"
    else:
        try:
            between = correlate_maps(
                [each.problem for each in subjects], [each.r for each in subjects]
            )
        except InputError as error:
            left_out["between"] = str(error)
    table = None
    if regions is not None:
        table = _by_atlas(subjects, regions)
    elif (names := _common_names(subjects)) is not None:
        table = _table(subjects, names, [np.arange(1, len(names) + 1)] * len(subjects))
    else:
        left_out["regions"] = "targets are not the same parcels in all subjects: give --regions"
    if table is not None and table.shuffled is None:
        left_out["shuffled"] = "not all were fitted to shuffled samples: fit --shuffled"
    return SubjectsComparison(subjects, between, table, left_out)


def write_subjects(
    found: SubjectsComparison,
    folder: Path,
    *,
    figures: bool = True,
    further: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[str]:
    """Write tables and pictures into ``folder``, each whole or not at all; return their names.

    ``subjects.json`` and ``subjects.tsv`` have the figures, ``subject-regions.tsv`` the regions',
    ``subject-regions`` and ``between-subjects`` are pictures as SVG and PNG.

    further : columns of the subjects' table, by the name of the subject.
    """
    if figures and find_spec("matplotlib") is None:
        figures = False
        found.left_out["pictures"] = f"matplotlib is not installed: {install_command('report')}"
    values = found.to_json()
    own = further or {}
    values["subjects"] = [{**row, **own.get(row["subject"], {})} for row in values["subjects"]]
    written = [write_json(folder / TABLES[0], values)]
    rows = values["subjects"]
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[row.get(name) for name in names] for row in rows]
    save_table = partial(write_table, names=names, rows=cells)
    written.append(replace_file(folder / TABLES[1], save_table))
    if found.regions is not None:
        written.append(_write_regions(folder / "subject-regions.tsv", found.names, found.regions))
    if figures:
        from bench_core.accuracy.plotting import save_figure
        from bench_core.accuracy.subject_figures import between_figure, regions_figure

        drawn = {
            "subject-regions": regions_figure(found),
            "between-subjects": between_figure(found),
        }
        for name, figure in drawn.items():
            if figure is not None:
                for kind in FORMATS:
                    path = folder / f"{name}.{kind}"
                    written.append(replace_file(path, partial(save_figure, figure)))
    return [path.name for path in written]


def _by_atlas(subjects: Sequence[SubjectResult], path: Path) -> RegionTable:
    from bench_core.accuracy.atlas import regions_of
    from bench_core.brain.extraction import load_image
    from bench_core.brain.label_names import label_names

    if find_spec("nibabel") is None:
        raise InputError(f"regions {path} need nibabel: {install_command('brain')}")
    image, names = load_image(path, "the atlas"), label_names(path)
    labels = []
    for each in subjects:
        if each.problem.space is None:
            raise InputError(f"{each.name} has no positions of its targets: regions need them")
        labels.append(regions_of(each.problem.space, image, each.problem.s))
    numbers = np.unique(np.concatenate(labels))
    numbers = numbers[numbers != 0]
    wanted = [names.get(int(number), f"region {number}") for number in numbers]
    places = [np.where(own == 0, 0, np.searchsorted(numbers, own) + 1) for own in labels]
    return _table(subjects, wanted, places)


def _table(
    subjects: Sequence[SubjectResult], names: Sequence[str], places: Sequence[NDArray[Any]]
) -> RegionTable:
    """Return the means over regions; ``places`` are their numbers from 1 of every target."""

    def means(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        found = np.full((len(names), len(subjects)), np.nan)
        for column, (r, own) in enumerate(zip(values, places, strict=True)):
            for each in by_region(r, own):
                if each.mean is not None:
                    found[each.region - 1, column] = each.mean
        return found

    shuffled = [each.shuffled for each in subjects if each.shuffled is not None]
    whole = len(shuffled) == len(subjects)
    return RegionTable(
        names, means([each.r for each in subjects]), means(shuffled) if whole else None
    )


def _common_names(subjects: Sequence[SubjectResult]) -> list[str] | None:
    """Return the targets' names where all subjects have the same, None elsewhere.

    Voxels have names too, which hold for one mask: they are no regions.
    """
    named = [list(each.problem.target_names or ()) for each in subjects]
    first = subjects[0].problem
    if not named[0] or any(own != named[0] for own in named):
        return None
    if first.space is not None and len(first.space.voxels) == first.s:
        return None
    return named[0]


def _write_regions(path: Path, subjects: Sequence[str], table: RegionTable) -> Path:
    names = ["region", *subjects]
    columns = [table.trained]
    if table.shuffled is not None:
        names += [f"{name} shuffled" for name in subjects]
        columns.append(table.shuffled)
    values = np.hstack(columns)
    rows = [[name, *map(float, row)] for name, row in zip(table.names, values, strict=True)]
    return replace_file(path, partial(write_table, names=names, rows=rows))
