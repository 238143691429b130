"""Clusters elsewhere for tests, each started and stopped here: a scheduler, Slurm, hosts by SSH."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from bench_core import cluster
from bench_core.cluster import ClusterSettings
from tests.cluster.running_scheduler import running_scheduler, wait_for_workers
from tests.cluster.slurm_site import NoSlurmError, missing, slurm_site
from tests.cluster.ssh_hosts import INTERFACE, Hosts, NoHostsError, ssh_hosts
from tests.cluster.ssh_hosts import missing as ssh_missing

NODES = 2


@contextlib.contextmanager
def slurm_or_skip(folder: Path, *, cpus: int = 1) -> Iterator[dict[str, str]]:
    """Yield the variables of a `slurm_site`, or skip the test with the reason."""
    if reason := missing():
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        try:
            variables = stack.enter_context(slurm_site(folder, cpus=cpus))
        except NoSlurmError as error:
            pytest.skip(f"Slurm does not run here: {error}")
        yield variables


@contextlib.contextmanager
def hosts_or_skip(
    folder: Path,
    own_folder: Path | None = None,
    variables: Sequence[Mapping[str, str]] = ({}, {}),
) -> Iterator[Hosts]:
    """Yield `ssh_hosts`, or skip the test with the reason."""
    if reason := ssh_missing():
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        try:
            hosts = stack.enter_context(ssh_hosts(folder, own_folder, variables))
        except NoHostsError as error:
            pytest.skip(f"no network namespaces here: {error}")
        yield hosts


@contextlib.contextmanager
def scheduler_cluster(folder: Path) -> Iterator[ClusterSettings]:
    # A worker more than is needed: whoever it belongs to must not be disturbed.
    with running_scheduler(folder / "dask", workers=NODES + 1) as address:
        wait_for_workers(address, NODES + 1)
        yield cluster.parse_cluster(address)


@contextlib.contextmanager
def slurm_cluster(folder: Path, *, cpus: int = 1) -> Iterator[ClusterSettings]:
    """Yield a cluster of two Slurm nodes, each with room for so many nodes of one thread."""
    scratch = folder / "shared"
    scratch.mkdir()
    file = folder / "site.toml"
    file.write_text(
        f'kind = "slurm"\nscratch = "{scratch}"\ninterface = "lo"\npartition = "tests"\n'
        'nodes = 2\ncores = 1\nmemory = "1000M"\nwalltime = "00:09:00"\nstart_timeout = 120.0\n'
        'activate = ["export RIDGEBENCH_TEST_ACTIVATED=yes"]\n'
    )
    started = slurm_or_skip(folder / "slurm", cpus=cpus)
    with pytest.MonkeyPatch.context() as patch, started as variables:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield cluster.read_cluster(file)


@contextlib.contextmanager
def ssh_cluster(folder: Path, *, unshared: bool = False) -> Iterator[ClusterSettings]:
    with ssh_site(folder, unshared=unshared) as (settings, _):
        yield settings


@contextlib.contextmanager
def ssh_site(
    folder: Path, *, unshared: bool = False, variables: Sequence[Mapping[str, str]] = ({}, {})
) -> Iterator[tuple[ClusterSettings, Hosts]]:
    """Yield a cluster of two hosts, and what its links are cut and limited by.

    variables : of the environment of everything that runs on each host.
    """
    scratch = folder / "scratch"
    scratch.mkdir()
    file = folder / "hosts.toml"
    with hosts_or_skip(folder / "ssh", scratch if unshared else None, variables) as hosts:
        first, second = hosts.addresses
        file.write_text(
            f'kind = "ssh"\nscratch = "{scratch}"\nhosts = ["{first}", "{second}"]\n'
            f'interface = "{INTERFACE}"\nusername = "root"\nclient_keys = ["{hosts.key}"]\n'
            f'known_hosts = "{hosts.known_hosts}"\n'
        )
        yield cluster.read_cluster(file), hosts
