"""Counters of the machine, read from made files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench_core.machine.activity import base_megahertz, processor_seconds, read_activity

TICKS = os.sysconf("SC_CLK_TCK")


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_counters_are_read(tmp_path: Path) -> None:
    # user nice system idle iowait irq softirq steal guest guest_nice
    write(
        tmp_path, "proc/stat", f"cpu  {TICKS} {TICKS} 50 900 70 20 30 {3 * TICKS} 5 0\ncpu0 1 2\n"
    )
    write(
        tmp_path,
        "proc/pressure/cpu",
        "some avg10=6.08 avg60=7.65 avg300=8.64 total=2500000\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    )
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    write(tmp_path, "sys/fs/cgroup/cpu.stat", "nr_throttled 2\nthrottled_usec 1500000\n")
    for cpu, count in ((0, 3), (1, 4)):
        folder = f"sys/devices/system/cpu/cpu{cpu}"
        write(tmp_path, f"{folder}/thermal_throttle/core_throttle_count", f"{count}\n")
        write(tmp_path, f"{folder}/cpufreq/scaling_cur_freq", f"{2_000_000 + cpu * 1_000_000}\n")
        write(tmp_path, f"{folder}/cpufreq/base_frequency", "2600000\n")
    found = read_activity(tmp_path, clock=lambda: 5.0)
    assert found.at == 5.0
    assert found.busy_s == pytest.approx(2 + 100 / TICKS)
    assert found.steal_s == pytest.approx(3)
    assert found.waiting_s == pytest.approx(2.5)
    assert found.throttled_s == pytest.approx(1.5)
    assert found.thermal_events == 7
    assert found.megahertz == pytest.approx(2500)
    assert base_megahertz(tmp_path) == pytest.approx(2600)


def test_old_kernels_count_less(tmp_path: Path) -> None:
    write(tmp_path, "proc/stat", "intr 5\ncpu 100 0 0 500\n")
    found = read_activity(tmp_path)
    assert found.busy_s == pytest.approx(100 / TICKS)
    assert found.steal_s == 0
    assert (found.waiting_s, found.thermal_events, found.megahertz) == (None, None, None)


def test_processor_time_of_processes_whatever_their_names(tmp_path: Path) -> None:
    rest = " ".join(["0"] * 30)
    write(
        tmp_path, "proc/7/stat", f"7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 {TICKS} {TICKS} 50 50 {rest}"
    )
    assert processor_seconds([7, 8], tmp_path) == {7: pytest.approx(2 + 100 / TICKS)}
    assert processor_seconds([7], tmp_path, children=False) == {7: pytest.approx(2)}


def test_this_machine_says_something() -> None:
    if not Path("/proc/stat").exists():
        pytest.skip("no /proc/stat here")
    first, second = read_activity(), read_activity()
    assert first.busy_s is not None
    assert second.busy_s is not None
    assert second.busy_s >= first.busy_s > 0
    assert processor_seconds([os.getpid()])[os.getpid()] > 0
