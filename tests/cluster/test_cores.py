"""Which CPUs a node gets, and that all of a process's threads keep to them."""

import os
import threading

import pytest

from bench_core.cluster import cores, pin


def test_first_threads_of_all_cores_come_before_second_ones(tmp_path):
    for cpu in range(8):  # eight CPUs on four cores; siblings are neighbours
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "core_cpus_list").write_text(f"{cpu // 2 * 2}-{cpu // 2 * 2 + 1}\n")
    assert cores.whole_cores_first(range(8), tmp_path) == [0, 2, 4, 6, 1, 3, 5, 7]
    assert cores.whole_cores_first([1, 2, 3, 7], tmp_path) == [1, 2, 7, 3]


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
