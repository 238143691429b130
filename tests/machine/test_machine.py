"""The machine: control-group limits, processor features and GPUs against written-out truths."""

import os
import subprocess
import sys

import pytest

from bench_core import machine
from bench_core.machine import gpu, processor, topology
from bench_core.machine.cgroup import limits


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_version_2_takes_the_tightest_of_nested_groups(tmp_path):
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            "sys/fs/cgroup/a/memory.max": "1000\n",
            "sys/fs/cgroup/a/memory.current": "900\n",
            "sys/fs/cgroup/a/memory.stat": "anon 100\ninactive_file 300\n",
            "sys/fs/cgroup/a/b/memory.max": "800\n",
            "sys/fs/cgroup/a/b/memory.current": "100\n",
            "sys/fs/cgroup/a/b/memory.stat": "inactive_file 0\n",
        },
    )
    found = limits(tmp_path)
    assert found.cores == 1.5
    assert found.memory_bytes == 800
    # Outer group: 1000 - (900 - 300); inner: 800 - 100.
    assert found.memory_free_bytes == 400


def test_version_1_quota_and_limit(tmp_path):
    group = "sys/fs/cgroup/memory/job"
    write(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/job\n2:cpu,cpuacct:/job\n0::/\n",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "200000",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000",
            f"{group}/memory.limit_in_bytes": "5000",
            f"{group}/memory.usage_in_bytes": "4500",
            f"{group}/memory.stat": "cache 2000\ntotal_inactive_file 1500\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        },
    )
    found = limits(tmp_path)
    assert found.cores == 2.0
    assert found.memory_bytes == 5000
    assert found.memory_free_bytes == 2000


def test_a_path_of_the_host_falls_back_to_the_mount(tmp_path):
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/../../not/visible/here\n",
            "sys/fs/cgroup/cpu.max": "400000 100000\n",
        },
    )
    assert limits(tmp_path).cores == 4.0


def test_no_limit_anywhere(tmp_path):
    write(
        tmp_path,
        {
            "proc/self/cgroup": "2:cpu:/\n0::/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory.max": "max",
        },
    )
    found = limits(tmp_path)
    assert (found.cores, found.memory_bytes, found.memory_free_bytes) == (None, None, None)
    assert limits(tmp_path / "nothing").cores is None


@pytest.mark.parametrize(("quota", "expected"), [(None, 3), (1.5, 1), (0.2, 1), (2.0, 2), (8.0, 3)])
def test_available_cores_respect_affinity_and_quota(monkeypatch, quota, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 4, 5}, raising=False)
    monkeypatch.setattr(topology, "limits", lambda _: machine.Limits(quota, None, None))
    monkeypatch.setattr(topology, "_siblings", lambda _, number: [number])
    topology._read.cache_clear()
    assert machine.available_cores() == expected
    topology._read.cache_clear()


def test_available_memory_respects_the_quota(monkeypatch):
    monkeypatch.setattr(machine, "limits", lambda: machine.Limits(None, 10_000, 4_000))
    assert machine.available_memory() == 4_000


CPUINFO = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Example 9000
flags\t\t: fpu sse2 sse4_2 avx avx2 fma {more}

processor\t: 1
vendor_id\t: Other
"""


@pytest.mark.parametrize(
    ("more", "levels"),
    [
        ("", ["avx", "avx2"]),
        ("avx512f", ["avx", "avx2"]),
        ("avx512f avx512cd avx512bw avx512dq avx512vl", ["avx", "avx2", "avx512"]),
        (
            "avx512f avx512cd avx512bw avx512dq avx512vl avx512_bf16 amx_bf16 amx_tile",
            ["avx", "avx2", "avx512", "avx512_bf16", "amx_bf16"],
        ),
    ],
)
def test_processor_levels(more, levels):
    found = processor.parse(CPUINFO.format(more=more))
    assert (found.model, found.vendor) == ("Example 9000", "GenuineIntel")
    assert found.levels() == levels


def test_gpus_from_nvidia_smi_and_from_the_driver(tmp_path):
    found = gpu.parse_smi("NVIDIA H100, 80GB, 81559, 550.54.15\nNVIDIA T4, [N/A], 550.54.15\n")
    assert found == [
        {"name": "NVIDIA H100, 80GB", "memory_bytes": 81559 << 20, "driver": "550.54.15"},
        {"name": "NVIDIA T4", "memory_bytes": None, "driver": "550.54.15"},
    ]
    write(tmp_path, {"0000:01:00.0/information": "Model: \t NVIDIA T4\nIRQ: 5\n"})
    assert gpu.from_proc(tmp_path)[0]["name"] == "NVIDIA T4"
    assert gpu.from_proc(tmp_path / "none") == []


def test_description_has_its_stable_keys():
    found = machine.describe()
    assert set(found) == {"cpu", "cores", "cgroup", "memory", "gpus", "system", "settings"}
    assert set(found["cpu"]) == {"model", "vendor", "architecture", "features"}
    assert set(found["cores"]) == {
        *("logical", "physical", "affinity", "available"),
        *("sockets", "memory_domains", "threads_per_core", "topology"),
    }
    assert 1 <= found["cores"]["available"] <= found["cores"]["logical"]
    assert 0 < found["memory"]["available_bytes"] <= found["memory"]["total_bytes"]
    assert set(machine.load(0.05)) == {"busy_cores", "average"}


@pytest.mark.parametrize(
    ("groups", "stat", "text"),
    [
        ("0::/a\n", "sys/fs/cgroup/a/cpu.stat", "nr_throttled 7\nthrottled_usec 2500000\n"),
        (
            "2:cpu,cpuacct:/a\n",
            "sys/fs/cgroup/cpu,cpuacct/a/cpu.stat",
            "nr_throttled 7\nthrottled_time 2500000000\n",
        ),
    ],
)
def test_stops_by_a_quota_are_counted_in_seconds(tmp_path, groups, stat, text):
    write(tmp_path, {"proc/self/cgroup": groups, stat: text})
    assert machine.throttled_seconds(tmp_path) == 2.5
    write(tmp_path, {stat: "nr_periods 0\n"})
    assert machine.throttled_seconds(tmp_path) is None


def test_the_peak_memory_of_a_process_is_not_its_parents() -> None:
    """A block of 300 MiB in the parent, 100 MiB in the child."""
    child = (
        "from bench_core.machine import peak_memory\n"
        "before = peak_memory()\n"
        "block = bytearray(b'x') * (100 * 2**20)\n"
        "print(before, peak_memory())"
    )
    parent = (
        "import subprocess, sys\n"
        "block = bytearray(b'x') * (300 * 2**20)\n"
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent], capture_output=True, text=True, check=True
    )
    before, after = map(int, done.stdout.split())
    assert before < 100 * 2**20
    assert 100 * 2**20 <= after - before < 120 * 2**20
