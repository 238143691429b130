"""What the sections of the site are made from: runs, history, and what several sections derive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from bench_core.comparison.cases import Case, case_of
from bench_core.history.asv_results import AsvResults
from bench_core.history.regressions import Regressions
from bench_core.records import EnvironmentRun
from bench_core.records.machine import MachineRecord
from bench_core.records.model import ModelRecord
from bench_core.records.record import Record
from bench_core.report.answers import Answer, find_answers
from bench_core.report.record_pages import RecordPages
from bench_core.report.rows import Issue, Row, environment_label, find_issues, rows

INDEX = "answer"
"""Section whose page has the site's own address."""


@dataclass(frozen=True)
class SiteData:
    """Records to show.

    Parameters
    ----------
    runs : those that are shown: of each machine, the commit that was measured last.
    everything : of all commits; at least ``runs``.
    history : what changed over commits; None where nobody asked.
    asv : what asv's results have beside the records; None where nobody asked.
    stem : begins the names of all files of the site.
    chosen : answers to show; None for all that the records give.
    models : what the cost model says of machines, from `ridgebench validate`.

    Examples
    --------
    >>> SiteData([], [], "ridgebench").rows
    []
    """

    runs: Sequence[EnvironmentRun]
    everything: Sequence[EnvironmentRun]
    stem: str
    history: Regressions | None = None
    asv: AsvResults | None = field(default=None, repr=False)
    chosen: Sequence[Answer] | None = field(default=None, repr=False)
    models: Sequence[ModelRecord] = ()

    @cached_property
    def rows(self) -> list[Row]:
        """A row for every valid fit that is shown."""
        return rows(self.runs)

    @cached_property
    def figure_rows(self) -> list[Row]:
        """The same for figures, which tell environments of several machines apart."""
        if not self.several_machines:
            return self.rows
        return [replace(one, environment=f"{one.environment}, {one.machine}") for one in self.rows]

    @cached_property
    def issues(self) -> list[Issue]:
        """What was skipped, invalid, failed or no answer, a line for every case."""
        return find_issues(self.runs, by_case=True)

    @cached_property
    def answers(self) -> list[Answer]:
        """The fastest configuration of every problem."""
        return find_answers(self.runs) if self.chosen is None else list(self.chosen)

    @cached_property
    def records(self) -> RecordPages:
        """The pages of all records."""
        return RecordPages(self.everything, self.stem)

    @cached_property
    def case_links(self) -> dict[tuple[str, str, str, str, str], str]:
        """Address of the last record of a case: machine, commit, environment, case, its rest."""
        found: dict[tuple[str, str, str, Case], Record] = {}
        for run in self.everything:
            for one in run.fits:
                key = (run.machine, run.commit[:8], run.environment, case_of(one))
                if key not in found or one.started > found[key].started:
                    found[key] = one
        return {
            (machine, commit, environment, str(case), case.rest): self.records.link(one.id)
            for (machine, commit, environment, case), one in found.items()
        }

    @cached_property
    def labels(self) -> list[str]:
        """The BLAS that answered in each of ``runs``, each once."""
        return list(dict.fromkeys(environment_label(run) for run in self.runs))

    @property
    def several_machines(self) -> bool:
        """Whether a column must tell machines apart."""
        return len({run.machine for run in self.runs}) > 1

    @cached_property
    def machines(self) -> list[MachineRecord]:
        """Name and description of each machine, from the first record that has one."""
        found: dict[str, MachineRecord] = {}
        for run in self.runs:
            for record in run.fits:
                if run.machine not in found and record.machine.cpu is not None:
                    found[run.machine] = _where_it_ran(record)
        return [replace(about, name=name) for name, about in found.items()]

    @cached_property
    def origins(self) -> list[str]:
        """Each machine that is shown, in words: its processor, the commit, the day of measuring."""
        about = {one.name: (one.cpu or {}).get("model") for one in self.machines}
        found: dict[tuple[str, str], str] = {}
        for run in self.runs:
            started = max((one.started for one in run.fits), default="")
            key = run.machine, run.commit
            found[key] = max(found.get(key, ""), started)
        return [
            ", ".join(
                word
                for word in (
                    f"{machine}: {about[machine]}" if about.get(machine) else machine,
                    f"commit {commit[:8]}",
                    started and f"measured {started[:10]}",
                )
                if word
            )
            for (machine, commit), started in found.items()
        ]

    def address(self, page: str) -> str:
        """Return the address of a page from another page of the site."""
        return f"{self.stem}.html" if page == INDEX else f"{self.stem}-{page}.html"


def _where_it_ran(record: Record) -> MachineRecord:
    """Return the machine of a record: the first host of its nodes where these were elsewhere."""
    if record.cluster is None or not record.cluster.hosts:
        return record.machine
    host = record.cluster.hosts[0]
    names = ("cpu", "cores", "cgroup", "memory", "gpus", "system")
    return replace(record.machine, **{name: getattr(host, name) for name in names})
