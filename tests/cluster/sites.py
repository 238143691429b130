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
def scheduler_cluster(folder: Path) -> Iterator[ClusterSettings]:
    # A worker more than is needed: whoever it belongs to must not be disturbed.
    with running_scheduler(folder / "dask", workers=NODES + 1) as address:
        wait_for_workers(address, NODES + 1)
        yield cluster.parse_cluster(address)


@contextlib.contextmanager
def slurm_cluster(folder: Path) -> Iterator[ClusterSettings]:
    if reason := missing():
        pytest.skip(reason)
    scratch = folder / "shared"
    scratch.mkdir()
    file = folder / "site.toml"
    file.write_text(
        f'kind = "slurm"\nscratch = "{scratch}"\ninterface = "lo"\npartition = "tests"\n'
        'nodes = 2\ncores = 1\nmemory = "1000M"\nwalltime = "00:09:00"\nstart_timeout = 120.0\n'
        'activate = ["export RIDGEBENCH_TEST_ACTIVATED=yes"]\n'
    )
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        try:
            variables = stack.enter_context(slurm_site(folder / "slurm"))
        except NoSlurmError as error:
            pytest.skip(f"Slurm does not run here: {error}")
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
    if reason := ssh_missing():
        pytest.skip(reason)
    scratch = folder / "scratch"
    scratch.mkdir()
    file = folder / "hosts.toml"
    with contextlib.ExitStack() as stack:
        try:
            own = scratch if unshared else None
            hosts = stack.enter_context(ssh_hosts(folder / "ssh", own, variables))
        except NoHostsError as error:
            pytest.skip(f"no network namespaces here: {error}")
        first, second = hosts.addresses
        file.write_text(
            f'kind = "ssh"\nscratch = "{scratch}"\nhosts = ["{first}", "{second}"]\n'
            f'interface = "{INTERFACE}"\nusername = "root"\nclient_keys = ["{hosts.key}"]\n'
            f'known_hosts = "{hosts.known_hosts}"\n'
        )
        yield cluster.read_cluster(file), hosts
