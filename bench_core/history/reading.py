"""From folders of results to regressions: records, asv's results, and the order of commits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from bench_core.errors import counted
from bench_core.history.asv_results import full_hashes, read_asv_results
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
    histories: list[CaseHistory] = case_histories(runs)
    full, dates = full_hashes(runs), dict[str, float]()
    notes = [problem for run in runs for problem in run.problems]
    for folder in folders:
        asv = read_asv_results(folder, runs)
        histories += asv.histories
        dates |= asv.dates
        full |= asv.full
        notes += asv.problems
    started: dict[str, str] = {}
    for run in runs:
        times = [one.started for one in run.fits] or [""]
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
