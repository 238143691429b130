"""The commands of docs/clusters.md, run: on two Slurm nodes, on hosts by SSH, on a scheduler.

Sizes, hosts and the like are the tests' own. Whatever begins with ``$`` on the page is run here.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from bench_core.cli import cli
from bench_core.data import Problem
from bench_core.interruption import sigint_kept
from bench_core.measure import FitSpec, seed_session
from bench_core.measure.resume import RESUME
from bench_core.measure.sweep_plan import SweepPlan
from bench_core.measure.turns import take_turns
from bench_core.measure.turns_plan import read_plans, write_plan
from bench_core.records import Record, from_json, read, read_runs
from bench_core.records.store import RECORDS
from bench_core.report.units import seconds_text
from tests.cluster.asv_project import make_project
from tests.cluster.document import commands, configuration, words
from tests.cluster.running_scheduler import wait_for_workers
from tests.cluster.sites import hosts_or_skip, slurm_or_skip
from tests.cluster.ssh_hosts import INTERFACE
from tests.cores import needs_two_cores
from tests.lifeline import Lifeline

pytestmark = [pytest.mark.slow, needs_two_cores]

ROOT = Path(__file__).parents[2]
SLURM, SWEEPS, SSH = "A Slurm site, step by step", "Sweeps on a cluster", "Hosts by SSH"
SCHEDULER, SECURITY = "A scheduler that runs", "Security"
#: What the tests do at smaller sizes than the page.
SIZES = {
    "--threads 32": "--threads 1",
    "--threads 16": "--threads 1",
    "--nodes 8": "--nodes 2",
    "--scale 1/4": "--scale 1/256 --repeats 1",
}


def write_toml(path: Path, values: dict[str, Any]) -> Path:
    """Write a configuration of a cluster; JSON's values are TOML's here."""
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
    return path


@dataclass(frozen=True)
class Site:
    """A place to type commands in: a project, its environment variables, its configuration."""

    project: Path
    variables: dict[str, str]
    file: Path

    def run(self, line: list[str]) -> str:
        """Run a command of ridgebench in this process, and return what it prints.

        What it fits with are processes of their own, on the nodes of the cluster, all the same.
        """
        assert line[0] == "ridgebench"
        with contextlib.chdir(self.project):
            done = CliRunner().invoke(cli, line[1:], env=self.variables)
        assert done.exit_code == 0, (line, done.output, done.exception)
        return done.stdout

    def run_alone(self, line: list[str]) -> str:
        """Run a command in a process of its own, as a user does: some import other suites."""
        assert line[0] == "ridgebench"
        done = subprocess.run(
            [sys.executable, "-m", "bench_core.cli", *line[1:]],
            cwd=self.project,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout


def own_variables(project: Path) -> dict[str, str]:
    """Return the environment of a user of the tests' own, who accepts a busy machine."""
    home = project / "home"
    home.mkdir(exist_ok=True)
    return {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home), "COLUMNS": "200"}


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start two Slurm nodes, and write the page's configuration with what is another here."""
    with sigint_kept():
        pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is the slurm extra")
    folder = tmp_path_factory.mktemp("slurm")
    scratch = folder / "shared"
    scratch.mkdir()
    values = configuration(SLURM)
    own = {
        "partition": "tests",
        "walltime": "00:09:00",
        "nodes": 2,
        "cores": 1,
        "memory": "1000M",
        "interface": "lo",
        "scratch": str(scratch),
        "activate": ["export RIDGEBENCH_TEST_ACTIVATED=yes"],
    }
    assert set(own) < set(values)
    with slurm_or_skip(folder / "slurm") as variables:
        project = make_project(folder / "project")
        file = write_toml(project / "site.toml", values | own)
        yield Site(project, {**own_variables(project), **variables}, file)
        left = subprocess.run(
            ["squeue", "--noheader", "--states=PENDING,RUNNING"],
            env={**os.environ, **variables},
            capture_output=True,
            check=True,
        )
        assert left.stdout == b""


def median(record: Record) -> str:
    """Return a record's time as the page shows it."""
    assert record.times is not None
    return seconds_text(record.times.median_s)


class Tables(HTMLParser):
    """The cells of every row of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def fits_shown(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the table of all fits in published pages, by its headings."""
    found = []
    for path in folder.glob("ridgebench*.html"):
        page = Tables()
        page.feed(path.read_text("utf-8"))
        headings: list[str] = []
        for row in page.rows:
            if {"suite", "strategy", "disagreement"} <= set(row):
                headings = row
            elif headings and len(row) == len(headings):
                found.append(dict(zip(headings, row, strict=True)))
    return found


def test_from_the_check_of_a_slurm_site_to_a_page_of_its_nodes(slurm: Site) -> None:
    check, one, two, plan, sweep, report = commands(SLURM)

    shown = slurm.run(words(check, SIZES))
    assert shown.count("seen") == 2
    for line, strategy, nodes in ((one, "ridgecv", 1), (two, "bmor", 2)):
        record = from_json(Record, slurm.run([*words(line, SIZES), "--json"]), line)
        assert (record.status, record.case.strategy) == ("ok", strategy)
        assert record.cluster is not None
        assert (record.cluster.kind, record.case.cluster) == ("slurm", "slurm site")
        assert [len(host.nodes) for host in record.cluster.hosts] == [nodes]

    arguments = words(plan, SIZES)
    at = arguments.index("--")
    text = slurm.run_alone([*arguments[:at], "--json", *arguments[at:]])
    planned = from_json(SweepPlan, text, plan)
    asked = {("ridgecv", 1, 1), ("bmor", 1, 1), ("bmor", 2, 1)}
    assert (planned.runs, planned.cluster, planned.selection) == (
        len(asked),
        "slurm site",
        ("nodes_bmor",),
    )
    assert slurm.run_alone(arguments)

    slurm.run_alone(words(sweep, SIZES))
    slurm.run_alone(words(report, SIZES))
    (run,) = read_runs(slurm.project / "results", "site")
    found = {
        (each.case.strategy, each.case.nodes, each.case.threads): each
        for each in run.fits
        if each.case.suite == "nodes_bmor" and each.status != "skipped"
    }
    assert set(found) == asked
    assert {
        (each.case.strategy, each.case.nodes) for each in run.fits if each.status == "skipped"
    } == {("ridgecv", 2)}
    (session,) = run.sessions
    for record in found.values():
        assert (record.status, record.reason) == ("ok", None)
        assert record.session == session.case.session
        assert record.cluster is not None
        assert record.cluster.kind == "slurm"
        assert record.times is not None
        (timed,) = record.times.runs
        assert [each.host for each in timed.hosts] == [host.name for host in record.cluster.hosts]
    assert len(session.clock) == 3  # as the environment was built, at the begin, at the end

    rows = {
        (row["strategy"], int(row["nodes"]), int(row["threads"])): row["time"]
        for row in fits_shown(slurm.project / ".asv" / "html")
        if row["suite"] == "nodes_bmor"
    }
    assert rows == {which: median(record) for which, record in found.items()}


@pytest.fixture
def gated(tmp_path: Path, slurm: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a strategy whose nodes wait at a gate, for this process, its own and their jobs."""
    info = tmp_path / "site" / "gated-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gated\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[ridgebench.strategies]\ngated = tests.cluster.gated:GatedBmor\n"
    )
    places = [str(info.parent), str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, places)))
    monkeypatch.setenv("SLURM_CONF", slurm.variables["SLURM_CONF"])


def test_a_sweep_outlives_a_job_and_goes_on_with_what_is_missing(
    slurm: Site, gated: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((200, 6))
    Y = X @ rng.standard_normal((6, 9)) + rng.standard_normal((200, 9))
    Problem.from_arrays(X, Y, np.repeat(range(4), 50), name="tiny").save(tmp_path / "tiny")
    monkeypatch.setenv("RIDGEBENCH_CLUSTER", str(slurm.file))
    monkeypatch.setenv(RECORDS, str(tmp_path / "records"))
    monkeypatch.setenv("ASV_ENV_NAME", "env-a")
    monkeypatch.setenv("ASV_COMMIT", "c0ffee" * 6 + "c0ff")
    monkeypatch.delenv(RESUME, raising=False)
    gate = Lifeline(tmp_path / "gate")
    base = FitSpec(
        str(tmp_path / "tiny"), "gated", suite="nodes_bmor", null="skip", split="run",
        cluster="slurm site",
    )  # fmt: skip
    ended, after = replace(base, nodes=2, options={"gate": str(gate)}), base

    def sweep(name: str) -> dict[str, Record]:
        folder = tmp_path / name / "env-a"
        folder.mkdir(parents=True)
        seed_session(folder)
        write_plan(folder, [ended, after], None, 1)
        said: list[str] = []
        take_turns(read_plans(folder.parent), name, log=tmp_path / "log", say=said.append)
        assert said == [], (tmp_path / "log").read_text()
        return {each.key(): read(Record, folder / f"{each.stem}.json") for each in (ended, after)}

    cancelled: list[str] = []

    def cancel() -> None:
        gate.pids()
        listed = ["squeue", "--noheader", "--format=%i", "--states=RUNNING"]
        done = subprocess.run(listed, check=True, capture_output=True, text=True)
        cancelled.extend(done.stdout.split())
        subprocess.run(["scancel", cancelled[0]], check=True)

    watch = threading.Thread(target=cancel)
    watch.start()
    first = sweep("first")
    watch.join()
    gate.wait()
    assert len(cancelled) == 2
    lost = first[ended.key()]
    assert (lost.status, lost.times) == ("failed", None)
    assert "node " in (lost.reason or "")
    assert first[after.key()].status == "ok"

    # The gate is gone, and the same sweep goes on: with the case that lost its node alone.
    gate.path.unlink()
    monkeypatch.setenv(RESUME, "1")
    second = sweep("second")
    assert {each.status for each in second.values()} == {"ok"}
    assert second[after.key()].session == "first"
    assert second[ended.key()].session == "second"
    assert second[after.key()].id == first[after.key()].id


#: Changes of the example's study: one cell of little training, one subject, two nodes.
STUDY = {
    "training_frames = [48, 288, 4608]": "training_frames = [48]",
    "hidden_dim = [12, 24, 1024]\nlayers = [1, 2]\nheads = [1, 4]\n": "",
    'precision = ["fp32", "bf16"]\n': "",
    "steps = 40": "steps = 2",
    "steps = 300\n": "steps = 2\n",
    "[fit]": '[fit]\nstrategy = "bmor"\nnodes = 2\nthreads = 1',
    'sub-02 = "sub-02.toml"\n': "",
}


def test_a_study_fits_on_the_nodes_of_a_slurm_site(slurm: Site) -> None:
    for package in ("av", "h5py", "torch", "nilearn"):
        pytest.importorskip(package, reason=f"{package} is of the extras videogpt and brain")
    from bench_core.study.example import ExampleSize, write_example

    folder = slurm.project / "study"
    write_example(folder, size=ExampleSize(symbols=12, repetitions=1))
    text = (folder / "study.toml").read_text("utf-8")
    for old, new in STUDY.items():
        assert old in text, old
        text = text.replace(old, new, 1)
    (folder / "study.toml").write_text(text, "utf-8")
    (line,) = commands(SWEEPS)
    slurm.run_alone(words(line, {"study.toml": "study/study.toml"}))
    with (folder / "study" / "table.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["status"], row["reason"], row["subject"]) == ("ok", "", "sub-01")
    (path,) = (folder / "study" / "cells").glob("*.json")
    kept = json.loads(path.read_text("utf-8"))["subjects"]["sub-01"]["record"]
    record = from_json(Record, json.dumps(kept), path.name)
    assert (record.status, record.case.cluster, record.case.nodes) == ("ok", "slurm site", 2)
    assert record.cluster is not None
    assert (record.cluster.kind, record.cluster.data) == ("slurm", "path")
    assert record.agreement is not None
    assert record.agreement.agrees
    (found,) = (folder / "study" / "cells").glob("*_sub-01_r.npy")
    assert float(row["r_mean"]) == pytest.approx(np.load(found).mean())
    # What was fitted is not fitted again, wherever.
    assert slurm.run_alone(words(line, {"study.toml": "study/study.toml"}))
    assert json.loads(path.read_text("utf-8"))["subjects"]["sub-01"]["record"] == kept
    shared = slurm.file.parent.parent / "shared"
    assert not list(shared.glob("problem-*"))


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Make two hosts with SSH servers, and write the page's configuration with what is theirs."""
    pytest.importorskip("asyncssh", reason="asyncssh is the ssh extra")
    folder = tmp_path_factory.mktemp("ssh")
    scratch = folder / "scratch"
    scratch.mkdir()
    values = configuration(SSH)
    with hosts_or_skip(folder / "ssh") as found:
        own = {
            "hosts": list(found.addresses),
            "interface": INTERFACE,
            "username": "root",
            "client_keys": [str(found.key)],
            "scratch": str(scratch),
            "cores": 1,
        }
        assert set(own) == set(values) - {"kind"}
        known = {"known_hosts": str(found.known_hosts)}
        file = write_toml(folder / "hosts.toml", values | own | known)
        yield Site(folder, own_variables(folder), file)


def test_hosts_by_ssh_are_checked_and_measured(hosts: Site) -> None:
    check, measure = commands(SSH)
    assert hosts.run(words(check, SIZES)).count("seen") == 2
    record = from_json(Record, hosts.run([*words(measure, SIZES), "--json"]), measure)
    assert (record.status, record.case.cluster) == ("ok", "ssh hosts")
    assert record.cluster is not None
    assert record.cluster.kind == "ssh"
    assert sum(len(host.nodes) for host in record.cluster.hosts) == 2


@contextlib.contextmanager
def running(line: list[str], folder: Path) -> Iterator[None]:
    """Run a command of Dask while the context lasts."""
    program = shutil.which(line[0], path=str(Path(sys.executable).parent)) or line[0]
    with (folder / "printed").open("ab") as log:
        process = subprocess.Popen([program, *line[1:]], cwd=folder, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_scheduler_and_a_worker_are_started_and_checked(tmp_path: Path) -> None:
    scheduler, worker, check = commands(SCHEDULER)
    port = free_port()
    here = {"10.0.0.1": "127.0.0.1", "8786": str(port)}
    site = Site(tmp_path, own_variables(tmp_path), tmp_path / "none")
    with (
        running([*words(scheduler, here), "--port", str(port)], tmp_path),
        running(words(worker, here), tmp_path),
    ):
        wait_for_workers(f"tcp://127.0.0.1:{port}", 1)
        found = json.loads(site.run([*words(check, here), "--json"]))
    assert (found["kind"], len(found["nodes"])) == ("scheduler", 1)


def test_a_scheduler_takes_the_certificates_that_were_made(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="cryptography is the tls extra")
    from distributed import Client, Security

    make, scheduler = commands(SECURITY)
    site = Site(tmp_path, own_variables(tmp_path), tmp_path / "none")
    site.run(words(make, {}))
    port = free_port()
    places = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    keys = {"ca_file": "ca", "client_cert": "cert", "client_key": "key"}
    security = Security(
        require_encryption=True,
        **{f"tls_{name}": str(tmp_path / "tls" / f"{file}.pem") for name, file in keys.items()},
    )
    with (
        running([*words(scheduler, {}), *places], tmp_path),
        Client(f"tls://127.0.0.1:{port}", security=security, set_as_default=False) as client,
    ):
        assert client.scheduler_info()["workers"] == {}


def test_every_command_of_the_page_is_run() -> None:
    run = [
        line for section in (SLURM, SWEEPS, SSH, SCHEDULER, SECURITY) for line in commands(section)
    ]
    assert run == commands()
