"""From folders of results to regressions: records, asv's results, and the order of commits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from bench_core.errors import counted
from bench_core.history.asv_results import AsvResults, full_hashes, read_asv_results
from bench_core.history.commits import order_commits
from bench_core.history.regressions import RATE, Regressions, find_regressions
from bench_core.history.series import CaseHistory, case_histories
from bench_core.records import EnvironmentRun


def read_regressions(
    runs: Iterable[EnvironmentRun],
    folders: Sequence[Path],
    *,
    root: Path | None = None,
    branch: str = "HEAD",
    rate: float = RATE,
) -> Regressions:
    """Return the regressions of collected ``runs`` and of asv's results in ``folders``.

    ``root`` is a git checkout that knows the order of commits, None for none.
    """
    runs = list(runs)
    asv = [read_asv_results(folder, runs) for folder in folders]
    return regressions_of(runs, asv, root=root, branch=branch, rate=rate)


def regressions_of(
    runs: Sequence[EnvironmentRun],
    asv: Iterable[AsvResults],
    *,
    root: Path | None = None,
    branch: str = "HEAD",
    rate: float = RATE,
) -> Regressions:
    """Return what `read_regressions` does, of asv's results that were read already."""
    histories: list[CaseHistory] = case_histories(runs)
    full, dates = full_hashes(runs), dict[str, float]()
    notes = [problem for run in runs for problem in run.problems]
    for one in asv:
        histories += one.histories
        dates |= one.dates
        full |= one.full
        notes += one.problems
    started: dict[str, str] = {}
    for run in runs:
        times = [fit.started for fit in run.fits] or [""]
        earlier = started.get(run.commit[:8], min(times))
        started[run.commit[:8]] = min(earlier, *times)
    for history in histories:
        for name in history.points:
            started.setdefault(name[:8], "")
    order = order_commits(started, full=full, dates=dates, root=root, branch=branch)
    short = sum(len(one.points) < 2 for one in histories)
    if short:
        notes.append(f"{counted(short, 'case')} measured at one commit only: no history yet")
    return find_regressions(histories, order, rate=rate, notes=notes)
