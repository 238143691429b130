"""Topologies of fabricated machines, and the cores that nodes get there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core.cluster import place_nodes
from bench_core.errors import InputError, ResourceError
from bench_core.machine import topology
from bench_core.machine.topology import FIRST_CORE, HardwareThread, Topology, read_topology

#: A core: its socket, its NUMA domain, the numbers of its hardware threads.
Core = tuple[int, int, Sequence[int]]


def numbers(values: Sequence[int]) -> str:
    return ",".join(map(str, sorted(values))) + "\n"


def write_machine(root: Path, cores: Sequence[Core], *, siblings: str = "core_cpus_list") -> Path:
    """Write the files of Linux for these cores."""
    devices = root / "sys/devices/system"
    domains: dict[int, list[int]] = {}
    for socket, domain, threads in cores:
        domains.setdefault(domain, []).extend(threads)
        for number in threads:
            folder = devices / f"cpu/cpu{number}/topology"
            folder.mkdir(parents=True)
            (folder / siblings).write_text(numbers(threads))
            (folder / "physical_package_id").write_text(f"{socket}\n")
    for domain, members in domains.items():
        folder = devices / f"node/node{domain}"
        folder.mkdir(parents=True)
        (folder / "cpulist").write_text(numbers(members))
    return root


def even_odd(cores: int = 8) -> list[Core]:
    """Two sockets; even processors on the first, odd ones on the second; SMT-2 half-way apart."""
    return [(core % 2, core % 2, (core, core + cores)) for core in range(cores)]


def four_domains(per_domain: int = 4, smt: int = 1) -> list[Core]:
    """Two sockets of two NUMA domains each; the threads of a core are neighbours."""
    return [
        (domain // 2, domain, range(first * smt, (first + 1) * smt))
        for domain in range(4)
        for first in range(domain * per_domain, (domain + 1) * per_domain)
    ]


def by_number(machine: Topology, what: Callable[[HardwareThread], int]) -> Mapping[int, int]:
    return {thread.number: what(thread) for thread in machine.threads}


def test_even_odd_numbers_of_two_sockets(tmp_path: Path) -> None:
    found = read_topology(write_machine(tmp_path, even_odd()), range(16))
    assert found.known
    assert len(found.cores()) == found.capacity() == 8
    assert found.capacity(hardware_threads=True) == 16
    sockets = by_number(found, lambda thread: thread.socket)
    nodes = place_nodes(found, 2, 4)
    assert sorted(nodes) == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert all(len({sockets[cpu] for cpu in node}) == 1 for node in nodes)


def test_hardware_threads_are_used_only_on_request(tmp_path: Path) -> None:
    found = read_topology(write_machine(tmp_path, even_odd()), range(16))
    with pytest.raises(ResourceError, match=r"16 cores, 8 available.*--hardware-threads"):
        place_nodes(found, 2, 8)
    nodes = place_nodes(found, 2, 8, hardware_threads=True)
    # A node has whole cores of one socket, each with both of its threads.
    assert nodes == [[0, 2, 4, 6, 8, 10, 12, 14], [1, 3, 5, 7, 9, 11, 13, 15]]
    # Allowed, but not needed: every thread has a core to itself.
    assert place_nodes(found, 2, 4, hardware_threads=True) == place_nodes(found, 2, 4)
    with pytest.raises(ResourceError, match="17"):
        place_nodes(found, 17, 1, hardware_threads=True)


def test_four_memory_domains(tmp_path: Path) -> None:
    found = read_topology(write_machine(tmp_path, four_domains()), range(16))
    domains = by_number(found, lambda thread: thread.domain)
    sockets = by_number(found, lambda thread: thread.socket)
    four = place_nodes(found, 4, 4)
    assert [{domains[cpu] for cpu in node} for node in four] == [{0}, {1}, {2}, {3}]
    # Two nodes have a memory of their own each, rather than one domain between them.
    assert [{domains[cpu] for cpu in node} for node in place_nodes(found, 2, 2)] == [{0}, {1}]
    # Too many threads for a domain stay within a socket.
    assert [{sockets[cpu] for cpu in node} for node in place_nodes(found, 2, 7)] == [{0}, {1}]
    (whole,) = place_nodes(found, 1, 16)
    assert whole == list(range(16))


@pytest.mark.parametrize("smt", [2, 4])
def test_threads_of_a_core(tmp_path: Path, smt: int) -> None:
    cores = four_domains(2, smt)
    found = read_topology(write_machine(tmp_path, cores), range(8 * smt))
    assert (found.capacity(), found.capacity(hardware_threads=True)) == (8, 8 * smt)
    assert {cpu // smt for node in place_nodes(found, 8, 1) for cpu in node} == set(range(8))
    # smt + 1 threads do not fill whole cores; no two nodes share one as long as that is possible.
    nodes = place_nodes(found, 4, smt + 1, hardware_threads=True)
    used = [{cpu // smt for cpu in node} for node in nodes]
    assert [len(core) for core in used] == [2] * 4
    assert sum(map(len, used)) == len(set.union(*used))


def test_an_affinity_that_leaves_half_of_the_siblings(tmp_path: Path) -> None:
    root = write_machine(tmp_path, even_odd())
    # As Slurm gives it: the second threads of socket 0, both threads of core 1.
    found = read_topology(root, [8, 10, 12, 14, 1, 9])
    assert found.capacity() == 5
    assert found.capacity(hardware_threads=True) == 6
    assert place_nodes(found, 1, 4) == [[8, 10, 12, 14]]
    assert place_nodes(found, 5, 1) == [[8], [10], [12], [14], [1]]


def test_a_quota_of_one_and_a_half(tmp_path: Path) -> None:
    root = write_machine(tmp_path, even_odd())
    for name, text in {
        "proc/self/cgroup": "0::/job\n",
        "sys/fs/cgroup/job/cpu.max": "150000 100000\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    found = read_topology(root, range(16))
    assert found.quota == 1.5
    assert found.capacity() == found.capacity(hardware_threads=True) == 1
    with pytest.raises(ResourceError, match=r"1\.5"):
        place_nodes(found, 2, 1)


def test_names_of_older_kernels(tmp_path: Path) -> None:
    root = write_machine(tmp_path, even_odd(), siblings="thread_siblings_list")
    assert read_topology(root, range(16)).capacity() == 8


@pytest.mark.parametrize("cpus", [range(4), []])
def test_without_sys_every_processor_is_a_core_and_that_is_said(
    tmp_path: Path, cpus: Sequence[int]
) -> None:
    found = read_topology(tmp_path, cpus)
    assert not found.known
    assert [thread.number for thread in found.threads] == list(cpus)
    assert len(found.cores()) == len(cpus)


@given(
    nodes=st.integers(1, 6),
    threads=st.integers(1, 6),
    smt=st.integers(1, 4),
    lost=st.sets(st.integers(0, 63), max_size=40),
)
def test_no_cpu_is_given_twice(nodes: int, threads: int, smt: int, lost: set[int]) -> None:
    every = [
        HardwareThread(core // 8, core // 4, core * smt, core * smt + thread)
        for core in range(16)
        for thread in range(smt)
        if core * smt + thread not in lost
    ]
    machine = Topology(tuple(every), None, True)
    for shared in (False, True):
        if nodes * threads > machine.capacity(hardware_threads=shared):
            with pytest.raises(ResourceError):
                place_nodes(machine, nodes, threads, hardware_threads=shared)
            continue
        placed = place_nodes(machine, nodes, threads, hardware_threads=shared)
        given_out = [cpu for node in placed for cpu in node]
        assert [len(node) for node in placed] == [threads] * nodes
        assert len(set(given_out)) == nodes * threads
        assert set(given_out) <= {thread.number for thread in every}
        if not shared:
            assert len({cpu // smt for cpu in given_out}) == nodes * threads


@pytest.mark.parametrize(
    ("place", "first"), [(None, 0), ("", 0), ("0", 0), ("3", 3), ("8", 0), ("13", 5)]
)
def test_cores_are_taken_from_the_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str | None, first: int
) -> None:
    if place is None:
        monkeypatch.delenv(FIRST_CORE, raising=False)
    else:
        monkeypatch.setenv(FIRST_CORE, place)
    monkeypatch.setattr(topology, "usable", lambda: set(range(16)))
    root = write_machine(tmp_path, [(0, 0, (core, core + 8)) for core in range(8)])
    found = read_topology(root)
    order = [core % 8 for core in range(first, first + 8)]
    assert place_nodes(found, 8, 1) == [[core] for core in order]
    assert found.capacity(hardware_threads=True) == 16
    # Processors that are named are those that were asked about.
    assert read_topology(root, range(16)).threads == tuple(sorted(found.threads))


@pytest.mark.parametrize("place", ["-1", "first", "1.5", "0-3"])
def test_a_place_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv(FIRST_CORE, place)
    with pytest.raises(InputError, match=f"{FIRST_CORE}.*{place}"):
        read_topology()
