"""Nodes that are jobs of a Slurm cluster, submitted by dask-jobqueue; one node is one job."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from bench_core.cluster.capacity import Capacity, HostCapacity
from bench_core.cluster.settings import ClusterKind, NodeRequest
from bench_core.cluster.tls import TlsSettings, configured, security
from bench_core.errors import InputError, RidgebenchError, install_command

if TYPE_CHECKING:
    from bench_core.cluster.base import Cluster

_QUEUE_EVERY_S = 2.0
_ENDED_S = 15.0
_ASK_S = 10.0
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True, kw_only=True)
class SlurmSettings(TlsSettings):
    """Keys of ``kind = "slurm"``.

    Examples
    --------
    >>> site = SlurmSettings(
    ...     nodes=2, cores=32, memory="120G", interface="ib0", scratch=Path("/scratch")
    ... )
    >>> site.memory_bytes == 120 * 2**30
    True
    """

    scratch: Annotated[Path, "folder that the login node and all nodes see, for data and logs"]
    interface: Annotated[str, "network interface of scheduler and nodes, such as ib0"]
    nodes: Annotated[int, "the most jobs to have at a time"]
    cores: Annotated[int, "cores that a job may ask for"]
    memory: Annotated[str, "memory of a job, in Slurm's words, such as 120G"]
    partition: Annotated[str | None, "partition (queue)"] = None
    account: Annotated[str | None, "account that is charged"] = None
    walltime: Annotated[str, "time limit of a job"] = "01:00:00"
    activate: Annotated[tuple[str, ...], "lines of shell that make the environment ready"] = ()
    directives: Annotated[tuple[str, ...], "further #SBATCH options, such as --exclusive"] = ()
    python: Annotated[str | None, "Python of the jobs; this one's path by default"] = None
    start_timeout: Annotated[float, "seconds until the jobs must run, queue included"] = 3600.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("nodes", "cores"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: give 1 or more")
        _ = self.memory_bytes

    @property
    def memory_bytes(self) -> int:
        """Memory of a job; Slurm's units are powers of 1024, and MiB without a letter."""
        text = self.memory.strip().upper().removesuffix("B").removesuffix("I")
        number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "M")
        try:
            found = int(float(number) * _UNITS[unit])
        except ValueError:
            found = 0
        if found < 1:
            raise InputError(f"memory is {self.memory!r}: give it like 120G or 4000M")
        return found


def start(settings: SlurmSettings, request: NodeRequest) -> Cluster:
    """Submit a job for every node and wait until they serve; see `bench_core.cluster.start`."""
    from bench_core.cluster.adopted import CLOSE_S, AdoptedCluster
    from bench_core.cluster.silence import HostAnswer
    from bench_core.cluster.waiting import within

    jobqueue = _jobqueue()

    class SlurmCluster(AdoptedCluster):
        kind = "slurm"
        running: Any
        asked_at = 0.0
        jobs_name = job_name(request.scratch)
        jobs: Mapping[str, str] = MappingProxyType({})

        def connect(self) -> Any:
            from distributed import Client

            with configured(settings):
                self.running = _submit(jobqueue, settings, self)
            self._open.callback(within, CLOSE_S, self.running.close)
            self.running.scale(jobs=self.nodes)
            return Client(self.running, set_as_default=False, security=security(settings))

        def separate_scheduler(self) -> bool:
            return False

        def _start(self) -> None:
            super()._start()
            self.jobs = {name: str(job.job_id) for name, job in self.running.workers.items()}

        def ending(self, node: int) -> str:
            job = self.jobs.get(self._names[node])
            return super().ending(node) if job is None else f"is gone: {job_ending(job)}"

        def ask_host(self, node: int) -> HostAnswer:
            job = self.jobs.get(self._names[node])
            if job is not None and job_fields(job).get("JobState") == "SUSPENDED":
                return "stopped"
            found = super().ask_host(node)
            if found == "unknown" and job is not None:
                return ask_in_job(job, self.facts[node].pid)
            return found

        def missing(self) -> str:
            states = _states(self.running)
            return "; ".join(f"job {job} is {state}" for job, state in states.items())

        def trouble(self) -> str | None:
            if time.monotonic() - self.asked_at < _QUEUE_EVERY_S:
                return None
            self.asked_at = time.monotonic()
            return _trouble(self.running, self.scratch)

    return SlurmCluster(settings, request)


def _jobqueue() -> Any:
    if shutil.which("sbatch") is None:
        raise InputError("Slurm's sbatch is not in PATH: run this on a login node of the cluster")
    from bench_core.interruption import sigint_kept

    try:
        with sigint_kept():  # its runners take Ctrl-C as the end of a run that went well
            import dask_jobqueue
    except ImportError as error:
        raise RidgebenchError(f"Slurm needs dask-jobqueue: {install_command('slurm')}") from error
    return dask_jobqueue


def _submit(jobqueue: Any, settings: SlurmSettings, cluster: Any) -> Any:
    from bench_core.cluster.base import QuietScheduler
    from bench_core.cluster.launch import launcher

    python = settings.python or sys.executable
    return jobqueue.SLURMCluster(
        queue=settings.partition,
        account=settings.account,
        walltime=settings.walltime,
        cores=1,  # tasks at a time; the BLAS threads are Slurm's CPUs
        processes=1,
        job_cpu=cluster.threads,
        memory=f"{settings.memory_bytes}B",
        job_mem=f"{math.ceil(settings.memory_bytes / 2**20)}M",
        interface=settings.interface,
        protocol=settings.protocol,
        security=security(settings),
        nanny=False,  # which would start a lost node again in silence
        death_timeout=60,
        log_directory=str(cluster.scratch),
        # In the place of the job's shell: Slurm ends its process, whatever it tracks of children.
        python=f"exec {launcher(python, cluster.threads, cluster.kernels, cluster.blas)}",
        job_script_prologue=list(settings.activate),
        job_extra_directives=list(settings.directives),
        # Spilling to disk or pausing would be timed.
        worker_extra_args=["--memory-limit", "0", "--no-dashboard"],
        job_name=cluster.jobs_name,
        scheduler_cls=QuietScheduler,
        scheduler_options={"dashboard": False, "port": 0, "interface": settings.interface},
        silence_logs="critical",
    )


def job_name(scratch: str | Path | None) -> str:
    """Return the name of the jobs of a fit, whose own scratch folder is like no other's.

    >>> job_name("/scratch/run-12-34-56-78")
    'ridgebench-run-12-34-56-78'
    """
    return "ridgebench" if scratch is None else f"ridgebench-{Path(scratch).name}"


def clean_up(_settings: SlurmSettings, scratch: str) -> None:
    """Cancel the jobs of a fit that has ended, in whatever way: one that was killed could not."""
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            ["scancel", "--me", f"--name={job_name(scratch)}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )


def job_fields(job: str) -> dict[str, str]:
    """Return what Slurm says of a job, by the names of its fields; nothing where it does not."""
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            ["scontrol", "--oneliner", "show", "job", job],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ASK_S,
            check=False,
        )
        return dict(re.findall(r"(\w+)=(\S+)", done.stdout))
    return {}


def job_ending(job: str) -> str:
    """Return how a job has ended, as text; waits a moment for one that is about to.

    What took its node may be known before Slurm has noted it.
    """
    limit = time.monotonic() + _ENDED_S
    while True:
        fields = job_fields(job)
        if fields.get("JobState") not in ("RUNNING", "COMPLETING") or time.monotonic() > limit:
            return describe_ending(job, fields)
        time.sleep(0.1)


def describe_ending(job: str, fields: Mapping[str, str]) -> str:
    """Return how a job has ended as text, from what `job_fields` returns.

    >>> describe_ending("7", {"JobState": "TIMEOUT", "TimeLimit": "02:00:00"})
    'its job 7 is TIMEOUT: it has reached its walltime of 02:00:00'
    >>> describe_ending("7", {"JobState": "CANCELLED", "Reason": "None"})
    'its job 7 is CANCELLED'
    """
    state = fields.get("JobState", "unknown to Slurm")
    if state == "TIMEOUT":
        limit = fields.get("TimeLimit", "unknown length")
        return f"its job {job} is {state}: it has reached its walltime of {limit}"
    reason = fields.get("Reason", "None")
    return f"its job {job} is {state}" + ("" if reason == "None" else f" ({reason})")


def ask_in_job(job: str, pid: int) -> Any:
    """Return the state of a process of a job, a `HostAnswer`, asked by a step of the same job."""
    from bench_core.cluster.silence import state_in

    step = ["srun", f"--jobid={job}", "--overlap", "--nodes=1", "--ntasks=1", "--mem=0", "--quiet"]
    try:
        done = subprocess.run(
            [*step, "cat", f"/proc/{pid}/stat"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ASK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return state_in(done.stdout) if done.returncode == 0 else "unknown"


def _trouble(running: Any, logs: Path) -> str | None:
    """Return why jobs will not come: they have ended; None while Slurm has all of them."""
    states = _states(running)
    wrong = ("gone", "FAILED", "CANCELLED", "TIMEOUT", "COMPLETED", "NODE_FAIL")
    ended = [job for job, state in states.items() if state.startswith(wrong)]
    if not ended:
        return None
    printed = [
        line for path in sorted(logs.glob("*.err")) for line in path.read_text().splitlines()
    ]
    said = "\n  ".join(["", *printed[-8:]])
    return f"job {', '.join(ended)} ended before its node served{said}"


def _states(running: Any) -> dict[str, str]:
    """Return the state of every job by its number, with Slurm's reason; "gone" without a state."""
    jobs = [str(job.job_id) for job in running.workers.values() if getattr(job, "job_id", None)]
    if not jobs:
        return {}
    done = subprocess.run(
        ["squeue", "--noheader", "--format=%i %T (%r)", f"--jobs={','.join(jobs)}"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line.strip())
    return {job: found.get(job, "gone") for job in jobs}


def capacity(settings: SlurmSettings) -> Capacity:
    """Return what the jobs can hold, as configured."""
    job = HostCapacity(nodes=1, cores=settings.cores, memory_bytes=settings.memory_bytes)
    return Capacity((job,) * settings.nodes)


KIND = ClusterKind(SlurmSettings, start, capacity, clean_up=clean_up)
