"""The memory sampler against allocations of known size."""

from __future__ import annotations

import mmap
import subprocess
import sys

import pytest

from bench_core.records import from_json
from bench_core.records.times import Memory
from bench_core.runner.memory import MemoryWatch

MIB = 2**20
SIZE = 96 * MIB
# What the interpreter and the allocator may add or keep beside the array.
SLACK = 16 * MIB

CHILD = f"""
import sys
block = bytearray(b"x") * {SIZE}
print("there", flush=True)
sys.stdin.read()
"""


def _child() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    return process


def _new_memory() -> mmap.mmap:
    """SIZE resident bytes from the system: malloc may hand out what earlier tests had freed."""
    block = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(0, SIZE, mmap.PAGESIZE):
        block[page] = 1
    return block


def test_memory_of_known_size_is_the_difference_of_peak_and_baseline() -> None:
    with MemoryWatch(interval_ms=10) as watch:
        watch.start()
        block = _new_memory()
        watch.sample()
        block.close()
        found = watch.stop()
    assert abs(found.peak_bytes - found.baseline_bytes - SIZE) < SLACK
    assert found.peak_rss_bytes >= found.peak_bytes
    assert found.samples >= 3
    assert found.interval_ms == 10


def test_an_allocation_that_is_gone_before_the_end_is_still_the_peak() -> None:
    with MemoryWatch(interval_ms=5) as watch:
        watch.start()
        block = _new_memory()
        watch.sample()
        block.close()
        watch.sample()
        found = watch.stop()
    assert found.peak_bytes - found.baseline_bytes > SIZE - SLACK


def test_a_child_process_is_counted_and_named() -> None:
    with MemoryWatch(interval_ms=10) as watch:
        watch.start()
        process = _child()
        watch.sample()
        found = watch.stop({process.pid: "node 0"})
        process.communicate()
    assert found.peak_bytes - found.baseline_bytes > SIZE - SLACK
    (node,) = [one for one in found.per_process if one.process == "node 0"]
    assert abs(node.private_bytes - SIZE) < SLACK
    assert sum(one.private_bytes for one in found.per_process) <= found.peak_bytes


def test_two_windows_of_one_watch_do_not_share_their_peak() -> None:
    with MemoryWatch(interval_ms=10) as watch:
        watch.start()
        block = _new_memory()
        watch.sample()
        first = watch.stop()
        block.close()
        watch.start()
        watch.sample()
        second = watch.stop()
    assert first.peak_bytes - second.peak_bytes > SIZE - SLACK


@pytest.mark.parametrize("copies", [1, 3])
def test_pages_that_several_processes_map_are_counted_once(copies: int, tmp_path: object) -> None:
    path = f"{tmp_path}/shared"
    with open(path, "wb") as file:
        file.write(b"x" * SIZE)
    reader = f"""
import mmap, sys
with open({path!r}, "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
total = sum(mapped[i] for i in range(0, {SIZE}, {mmap.PAGESIZE}))
print("there", flush=True)
sys.stdin.read()
"""
    # In a process of its own: the libraries of a whole test run share more pages than the file.
    watcher = f"""
import subprocess, sys
from bench_core.records import to_json
from bench_core.runner.memory import MemoryWatch
with MemoryWatch(interval_ms=10) as watch:
    watch.start()
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", {reader!r}],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range({copies})
    ]
    for process in readers:
        process.stdout.readline()
    watch.sample()
    found = watch.stop()
    for process in readers:
        process.communicate()
print(to_json(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", watcher], capture_output=True, text=True, check=True
    )
    found = from_json(Memory, done.stdout, "it")
    private = sum(one.private_bytes for one in found.per_process)
    assert SIZE <= found.peak_bytes - private < SIZE + SLACK
    assert found.peak_rss_bytes - private > copies * SIZE


def test_the_sampler_samples_by_itself_and_ends_with_its_owner() -> None:
    watch = MemoryWatch(interval_ms=1)
    with watch:
        found = None
        # However busy the machine is, some window is long enough for a sample between its ends.
        while found is None or found.samples < 4:
            watch.start()
            sum(range(100_000))
            found = watch.stop()
        sampler = watch._process
    assert sampler is not None
    assert sampler.returncode == 0
    assert found.longest_gap_ms > 0
