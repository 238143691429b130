"""Collected runs that a command reads: of the folders given, else of the project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench_core.errors import InputError

if TYPE_CHECKING:
    from bench_core.history.regressions import Regressions
    from bench_core.records import EnvironmentRun


def collected_runs(folders: Sequence[Path]) -> list[EnvironmentRun]:
    """Return the collected runs of ``folders``; of the project here if there are none.

    Raises
    ------
    InputError : a folder without any collected run.
    """
    from bench_core.records import read_runs
    from bench_core.report.site import find_project

    found = []
    for folder in folders or (find_project(Path.cwd()).results,):
        runs = read_runs(folder)
        if not runs:
            raise InputError(
                f"{folder} has no collected records (MACHINE/COMMIT-ENVIRONMENT.records.jsonl): "
                "`ridgebench bench` and `ridgebench report` collect them"
            )
        found += runs
    return found


def collected_history(folders: Sequence[Path], *, branch: str, rate: float) -> Regressions:
    """Return the regressions of ``folders``, of the project here if there are none.

    The order of commits is that of the git checkout here. A folder without results is a note.
    """
    from bench_core.errors import RidgebenchError
    from bench_core.history.reading import read_regressions
    from bench_core.records import read_runs
    from bench_core.report.site import find_project

    try:
        project = find_project(Path.cwd())
    except RidgebenchError:
        if not folders:
            raise
        project = None
    chosen = list(folders) or ([project.results] if project else [])
    runs = [run for folder in chosen for run in read_runs(folder)]
    root = project.root if project else Path.cwd()
    return read_regressions(runs, chosen, root=root, branch=branch, rate=rate)
