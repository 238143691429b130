"""Which CPUs a node gets, and that all of a process's threads keep to them."""

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core.cluster import cores, pin


def test_first_threads_of_all_cores_come_before_second_ones(monkeypatch):
    # Eight CPUs on four cores; siblings are neighbours, as on many virtual machines.
    monkeypatch.setattr(cores, "_siblings", lambda cpu: (cpu // 2 * 2, cpu // 2 * 2 + 1))
    assert cores.whole_cores_first(range(8)) == [0, 2, 4, 6, 1, 3, 5, 7]
    assert cores.whole_cores_first([1, 2, 3, 7]) == [1, 2, 7, 3]


def test_siblings_half_way_apart(monkeypatch):
    # The numbering of most servers: CPU i and i + 4 are one core.
    monkeypatch.setattr(cores, "_siblings", lambda cpu: (cpu % 4, cpu % 4 + 4))
    assert cores.whole_cores_first(range(8)) == list(range(8))


def test_sibling_lists_as_the_kernel_writes_them(monkeypatch, tmp_path):
    for cpu, text in ((0, "0-1\n"), (1, "0-1\n"), (2, "2,6\n")):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(text)
    monkeypatch.setattr(cores, "_TOPOLOGY", tmp_path)
    assert [cores._siblings(cpu) for cpu in range(4)] == [(0, 1), (0, 1), (2, 6), (3,)]


@given(nodes=st.integers(1, 8), threads=st.integers(1, 8), spare=st.integers(0, 5))
def test_shares_are_disjoint_and_full(nodes, threads, spare):
    cut = cores.shares(range(100, 100 + nodes * threads + spare), nodes, threads)
    assert [len(share) for share in cut] == [threads] * nodes
    assert len({cpu for share in cut for cpu in share}) == nodes * threads


def test_pin_moves_threads_that_already_run():
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("this machine lets the process use one CPU only")
    ready, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (ready.set(), stop.wait()))
    thread.start()
    ready.wait()
    try:
        pin([min(allowed)])
        assert os.sched_getaffinity(thread.native_id) == {min(allowed)}
        assert cores.affinity() == [min(allowed)]
    finally:
        pin(allowed)
        stop.set()
        thread.join()
    assert cores.affinity() == sorted(allowed)


def test_pin_to_no_such_cpu():
    with pytest.raises(OSError, match="Invalid argument"):
        pin([100_000])
