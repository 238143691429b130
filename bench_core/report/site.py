"""From what was measured to what people read: collected results, asv's pages and our own page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench_core.errors import InputError, RidgebenchError, unknown
from bench_core.files import write_text
from bench_core.history.asv_results import read_asv_results
from bench_core.history.atom import as_atom
from bench_core.history.reading import regressions_of
from bench_core.processes import end_tree
from bench_core.records.model import read_models
from bench_core.report.answers import Answer, find_answers
from bench_core.report.asv_libraries import library_folder, use_libraries
from bench_core.report.asv_pages import link_from_asv
from bench_core.report.own_results import write_own
from bench_core.report.pages import write_site
from bench_core.report.published_results import write_published
from bench_core.report.runs import (
    EnvironmentRun,
    collect,
    latest,
    newest_whole,
    pending_folder,
    read_runs,
)

CONFIGURATION = "asv.conf.json"
DEVICES = "envs/asv.devices.conf.json"
"""The configuration whose environment has torch."""


@dataclass(frozen=True)
class Project:
    """A checkout with an asv configuration, and the places that the configuration names."""

    root: Path
    results: Path
    html: Path
    benchmarks: Path
    configuration: str = CONFIGURATION
    """File of the environments, below ``root``."""

    label: str = ""
    """Of how a sweep chooses penalties, empty for what holds without."""

    @property
    def pending(self) -> Path:
        """Folder in which the benchmarks leave their records."""
        return pending_folder(self.root, self.label)

    @property
    def page(self) -> Path:
        """The first of our own pages, inside asv's published folder."""
        return self.html / "ridgebench.html"

    @property
    def feed(self) -> Path:
        """Atom feed of regressions, beside the page."""
        return self.html / "ridgebench-regressions.xml"


def find_project(start: Path) -> Project:
    """Return the project in ``start`` or the nearest folder above it.

    Raises
    ------
    RidgebenchError : no folder from ``start`` upwards holds ``asv.conf.json``.
    """
    for folder in (start, *start.parents):
        if (folder / CONFIGURATION).exists():
            configuration = _configuration(folder / CONFIGURATION)
            return Project(
                folder,
                folder / configuration.results_dir,
                folder / configuration.html_dir,
                folder / configuration.benchmark_dir,
            )
    raise RidgebenchError(
        f"no {CONFIGURATION} in {start} or above: run this inside a clone of ridgebench, or in a "
        "project that `ridgebench init` has made"
    )


def environment_names(project: Project) -> list[str]:
    """Return what each environment of the configuration is asked to be; none is built."""
    from asv.environment import iter_matrix

    configuration = _configuration(project.root / project.configuration)
    kind = configuration.environment_type or "existing"
    found = []
    for one in iter_matrix(kind, configuration.pythons or [""], configuration):
        words = [
            f"{key[1]}={value}" for key, value in one.items() if key[0].startswith("env") and value
        ]
        found.append(" ".join(words) or "default")
    return found


def asv(
    project: Project,
    *arguments: str,
    environment: dict[str, str] | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Run asv in the project; its whole output goes to ``.asv/COMMAND.log``.

    Parameters
    ----------
    say : called with every line of the output but those of its tables, which here are mostly
        parameters that this machine cannot run.

    Raises
    ------
    RidgebenchError : asv ended with an exit code that means failure. 2 means that some benchmark
        failed; the summary shows which, so it is no error here.
    """
    log = project.root / ".asv" / f"{arguments[0]}.log"
    log.parent.mkdir(exist_ok=True)
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            [sys.executable, "-m", "asv", *arguments],
            cwd=project.root,
            env={**(environment or os.environ), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as running,
    ):
        assert running.stdout is not None
        try:
            for text in running.stdout:
                file.write(text)
                file.flush()
                if say is not None and not _in_table(text):
                    say(text.rstrip())
        except BaseException:
            end_tree(running.pid)  # leaving the context waits for it
            raise
    if running.returncode not in (0, 2):
        last = "\n".join(log.read_text(encoding="utf-8").splitlines()[-15:])
        raise RidgebenchError(
            f"asv {arguments[0]} ended with exit code {running.returncode}; "
            f"the end of {log.relative_to(project.root)}:\n{last}"
        )


def _in_table(text: str) -> bool:
    """Return whether a line of asv's output belongs to a table of parameters or is empty."""
    return text.startswith(" ") or "=====" in text or not text.strip()


def machine_name(wanted: str | None = None) -> str:
    """Return the name of a machine whose results are read: ``wanted``, or this one's.

    Nothing is written. Raises `InputError` for a name that no folder of results can have.
    """
    from asv.machine import Machine

    if wanted is None:
        return str(Machine.get_unique_machine_name())
    if not wanted.strip() or wanted.startswith(".") or set(wanted) & set("/\\\0"):
        raise InputError(
            f"machine {wanted!r}: its results lie in a folder of that name, so give a name without "
            "slashes that does not begin with a dot, such as a host name"
        )
    return wanted


def known_machine(project: Project, wanted: str | None = None) -> str:
    """Return the name of a machine that is known here: ``wanted``, or this one's.

    Known are those with a folder of results, those in asv's machine file, and this host. Nothing is
    written. Raises `UnknownNameError` for another name, with near ones.
    """
    from asv.machine import MachineCollection
    from asv.util import load_json

    name, file = machine_name(wanted), Path(MachineCollection.get_machine_file_path())
    known = {machine_name()}
    known |= {path.name for path in project.results.glob("[!.]*/") if path.is_dir()}
    if file.is_file():
        known |= {one for one in load_json(str(file)) if one != "version"}
    if name not in known:
        raise unknown("machine", name, known)
    return name


def describe_machine(project: Project, wanted: str | None = None) -> str:
    """Return the machine's name in asv's machine file, described there now if it was not.

    Raises `InputError` as `machine_name`, before anything is written.
    """
    name = machine_name(wanted)
    # Another name takes its description from this host's entry, which has to be there first.
    for naming in ([], ["--machine", wanted]) if wanted else ([],):
        done = subprocess.run(
            [sys.executable, "-m", "asv", "machine", "--yes", *naming],
            cwd=project.root,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise RidgebenchError(f"asv machine failed: {(done.stderr or done.stdout).strip()}")
    return str(name)


@dataclass(frozen=True)
class Built:
    """What was published.

    Parameters
    ----------
    runs : to summarise. ``answers`` : of these.
    asv : what asv's own pages need, in one sentence.

    Examples
    --------
    >>> Built([], [], "").answers
    []
    """

    runs: list[EnvironmentRun]
    answers: list[Answer]
    asv: str


def build_site(
    project: Project, machine: str, *, others: bool = False, just_measured: bool = False
) -> Built:
    """Collect this machine's records, publish everything, and return what to summarise.

    Parameters
    ----------
    others : return runs of other machines where ``machine`` has none; the page shows them anyway.
    just_measured : show the commit that was measured last, even if in part; else the newest in
        git's order that was measured whole.
    """
    _need_benchmarks(project.results)
    collect(project.pending, project.results, machine)
    write_published(project.results, project.root)
    everything = read_runs(project.results)
    write_own(project.results, project.root, everything)
    asv(project, "publish", "--no-pull")
    beside = read_asv_results(project.results, everything)
    history = regressions_of(everything, [beside], root=project.root)
    order = [commit.name for commit in history.order.commits]
    choose = latest if just_measured else partial(newest_whole, order=order)
    own = choose([run for run in everything if run.machine == machine])
    runs = own or choose(everything)
    answers = find_answers(runs)
    notes = link_from_asv(project.html, project.page.name)
    needed = use_libraries(project.html, library_folder()).note
    write_site(
        runs,
        project.page,
        history,
        everything=everything,
        asv=beside,
        feed=project.feed.name,
        answers=answers,
        notes=[needed, *notes],
        models=read_models(project.results),
    )
    write_text(project.feed, as_atom(history, page=f"{project.page.stem}-history.html"))
    shown = bool(own) or others
    return Built(runs if shown else [], answers if shown else [], needed)


def _need_benchmarks(results: Path) -> None:
    """Write an empty list of benchmarks where there is none: asv publishes nothing without."""
    path = results / "benchmarks.json"
    if not path.is_file():
        write_text(path, json.dumps({"version": 2}))


def _configuration(path: Path) -> Any:
    from asv.config import Config

    return Config.load(str(path))
