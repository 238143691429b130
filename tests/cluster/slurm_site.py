"""A Slurm cluster of two nodes on this machine, started and stopped by a test.

Debian's packages ``slurm-wlm`` and ``munge``, as root, with all their files in one folder, and
ports of 127.0.0.1 that are free. Two `slurmd` stand for two nodes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")

CONFIGURATION = """
ClusterName=ridgebench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
KillWait=2
NodeName=DEFAULT CPUs={cpus} RealMemory=1500 State=UNKNOWN
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]}
PartitionName=tests Nodes=n1,n2 Default=YES MaxTime=60:00 State=UP
"""


class NoSlurmError(RuntimeError):
    """No Slurm cluster can run here; the message is the reason."""


def missing() -> str | None:
    """Return why no Slurm cluster can be started here, None if it may."""
    if os.geteuid() != 0:
        return "slurmd needs root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)} (slurm-wlm, munge)" if absent else None


@contextlib.contextmanager
def slurm_site(folder: Path, *, cpus: int = 1) -> Iterator[dict[str, str]]:
    """Yield the environment variables with which Slurm's commands reach the cluster.

    cpus : of each node, by Slurm's count: jobs of one CPU that run there at a time.
    """
    folder.mkdir(mode=0o755)
    ports = _free_ports(3)
    host = socket.gethostname().partition(".")[0]
    conf = folder / "slurm.conf"
    conf.write_text(CONFIGURATION.format(folder=folder, ports=ports, host=host, cpus=cpus))
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    variables = {"SLURM_CONF": str(conf)}
    environment = {**os.environ, **variables}
    commands = [
        [
            "munged",
            "--foreground",
            "--force",
            f"--socket={folder}/munge.socket",
            f"--key-file={key}",
            f"--pid-file={folder}/munged.pid",
            f"--log-file={folder}/munged.log",
            f"--seed-file={folder}/munged.seed",
        ],
        ["slurmctld", "-D", "-f", str(conf)],
        ["slurmd", "-D", "-N", "n1", "-f", str(conf)],
        ["slurmd", "-D", "-N", "n2", "-f", str(conf)],
    ]
    running: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as stack:
        for command in commands:
            log = stack.enter_context((folder / f"{command[0]}.printed").open("ab"))
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            stack.callback(_end, process)
            running.append(process)
            if command[0] == "munged":
                _until(
                    ["munge", "-n", f"--socket={folder}/munge.socket"], environment, folder, running
                )
        # A job that runs at once on each of both shows that they serve.
        _until(["srun", "-N2", "--immediate=1", "true"], environment, folder, running)
        try:
            yield variables
        finally:
            subprocess.run(["scancel", "--me", "--full"], env=environment, check=False)
            # Slurm kills what does not end by itself, as long as its daemons are there to do it.
            gone = ["sh", "-c", 'test -z "$(squeue --noheader)"']
            _until(gone, environment, folder, running)


def _until(
    command: list[str],
    environment: dict[str, str],
    folder: Path,
    running: list[subprocess.Popen[bytes]],
) -> None:
    """Repeat a command, which waits by itself, until it succeeds."""
    for _ in range(60):
        done = subprocess.run(
            ["timeout", "10", *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return
        if any(process.poll() is not None for process in running):
            break
        # Not before the daemons have got some processor time.
        subprocess.run(["sleep", "0.5"], check=False)
    logs = [path.read_text(errors="replace")[-600:] for path in sorted(folder.glob("*.log"))]
    raise NoSlurmError(f"{' '.join(command)}: {done.stderr.strip()}\n" + "\n".join(logs))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
