"""What a folder of results holds: machines, commits, environments, and which are obsolete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench_core.history.asv_results import read_asv_results
from bench_core.history.commits import order_commits
from bench_core.records import EnvironmentRun
from bench_core.records.runs import environment_label, newest_whole, read_runs


@dataclass(frozen=True)
class Held:
    """The results of one environment on one machine.

    Parameters
    ----------
    label : the BLAS that answered at its newest commit, with version and kernels.
    commits : at which it was measured, oldest first, eight digits each.
    fits : number of fits by status, over all commits.
    obsolete : the machine's newest commit that was measured whole was measured without it.

    Examples
    --------
    >>> Held("here", "env-a", "openblas 0.3.30", ("c0ffee00",), {"ok": 3}, False).commits
    ('c0ffee00',)
    """

    machine: str
    environment: str
    label: str
    commits: tuple[str, ...]
    fits: Mapping[str, int] = field(default_factory=dict)
    obsolete: bool = False


def inventory(results: Path, root: Path | None = None) -> tuple[list[Held], list[str]]:
    """Return what is held, by machine and environment, and a line for what could not be read.

    An environment is obsolete where the newest commit that its machine measured whole, and not in
    part, was measured in others alone.

    Parameters
    ----------
    root : a git checkout that knows the order of commits; None for the order of measuring.
    """
    runs = read_runs(results)
    asv = read_asv_results(results, runs)
    started: dict[str, str] = {}
    for run in runs:
        first = min((one.started for one in run.fits), default="")
        started[run.commit[:8]] = min(started.get(run.commit[:8], first), first)
    order = order_commits(started, full=asv.full, dates=asv.dates, root=root)
    place = {commit.name[:8]: number for number, commit in enumerate(order.commits)}
    names = [commit.name for commit in order.commits]
    machines: dict[str, list[EnvironmentRun]] = {}
    together: dict[tuple[str, str], list[EnvironmentRun]] = {}
    for run in runs:
        together.setdefault((run.machine, run.environment), []).append(run)
        machines.setdefault(run.machine, []).append(run)
    newest = {
        machine: place.get(newest_whole(runs_there, names)[0].commit[:8], -1)
        for machine, runs_there in machines.items()
    }
    found = []
    for (machine, environment), own in sorted(together.items()):
        own.sort(key=lambda run: place.get(run.commit[:8], -1))
        last = place.get(own[-1].commit[:8], -1)
        counts = Counter(one.status for run in own for one in run.fits)
        found.append(
            Held(
                machine,
                environment,
                environment_label(own[-1]),
                tuple(dict.fromkeys(run.commit[:8] for run in own)),
                dict(sorted(counts.items())),
                last < newest[machine],
            )
        )
    problems = [problem for run in runs for problem in run.problems]
    return found, [*problems, *asv.problems, *order.notes]
