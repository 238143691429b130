"""Collected runs that a command reads: of the folders given, else of the project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench_core.errors import InputError

if TYPE_CHECKING:
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
