"""Settings that make times differ, read from made files."""

from __future__ import annotations

from pathlib import Path

from bench_core.doctor import diagnose
from bench_core.machine.activity import read_activity
from bench_core.machine.quiet import quiet_advice, throttling_advice, timing_settings

CPUS = "sys/devices/system/cpu"


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def machine(root: Path, *, governor: str, no_turbo: str, threads: str, balancing: str) -> Path:
    for cpu in range(2):
        write(root, f"{CPUS}/cpu{cpu}/cpufreq/scaling_governor", governor)
    write(root, f"{CPUS}/intel_pstate/no_turbo", no_turbo)
    write(root, f"{CPUS}/smt/active", threads)
    write(root, "proc/sys/kernel/numa_balancing", balancing)
    return root


def test_a_machine_that_is_set_to_measure_has_nothing_to_change(tmp_path: Path) -> None:
    found = timing_settings(
        machine(tmp_path, governor="performance", no_turbo="1", threads="0", balancing="0")
    )
    assert (found.governors, found.turbo, found.hardware_threads) == (
        ("performance",),
        False,
        False,
    )
    assert quiet_advice(found) == []


def test_everything_that_makes_times_differ_is_named(tmp_path: Path) -> None:
    root = machine(tmp_path, governor="powersave", no_turbo="0", threads="1", balancing="2")
    write(root, "proc/cpuinfo", "processor : 0\nflags : fpu avx2 hypervisor")
    found = timing_settings(root)
    assert found.virtual is True
    assert {one.setting for one in quiet_advice(found)} == {
        "governor",
        "turbo",
        "hardware threads",
        "NUMA balancing",
        "virtual",
    }
    assert all(one.remedy for one in quiet_advice(found))


def test_heat_and_a_quota_are_named_once_they_have_slowed_anything(tmp_path: Path) -> None:
    write(tmp_path, "proc/self/cgroup", "0::/")
    throttle = f"{CPUS}/cpu0/thermal_throttle/core_throttle_count"
    write(tmp_path, "sys/fs/cgroup/cpu.stat", "throttled_usec 0")
    write(tmp_path, throttle, "0")
    assert throttling_advice(read_activity(tmp_path)) == []
    write(tmp_path, "sys/fs/cgroup/cpu.stat", "throttled_usec 1500000")
    write(tmp_path, throttle, "1")
    heat, quota = throttling_advice(read_activity(tmp_path))
    assert (heat.setting, quota.setting) == ("heat", "quota")
    assert " 1 time " in heat.now
    assert " 1.5 s " in quota.now


def test_amd_says_boost(tmp_path: Path) -> None:
    write(tmp_path, f"{CPUS}/cpufreq/boost", "1")
    write(tmp_path, "proc/cpuinfo", "flags : fpu")
    found = timing_settings(tmp_path)
    assert (found.turbo, found.virtual, found.governors) == (True, False, ())


def test_the_doctor_says_what_a_quiet_machine_would_change() -> None:
    found = diagnose(measure=False)
    assert found["machine"]["settings"].keys() == {
        "governors",
        "turbo",
        "hardware_threads",
        "numa_balancing",
        "virtual",
    }
    expected = [*quiet_advice(timing_settings()), *throttling_advice(read_activity())]
    assert [one["setting"] for one in found["quiet"]] == [one.setting for one in expected]
    assert found["steal_cores"] is None or found["steal_cores"] >= 0
