"""Settings of the system that make times differ, and what a quiet machine would have instead."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench_core.errors import counted
from bench_core.machine.activity import Activity

_CPUS = "sys/devices/system/cpu"


@dataclass(frozen=True)
class TimingSettings:
    """Settings of the system that decide how steady times are; None where it does not say.

    Parameters
    ----------
    governors : of the processors' clocks, each once ("performance", "powersave", …).
    turbo : whether processors may run above their base clock, as long as they are cool.
    hardware_threads : whether cores run several threads.
    numa_balancing : whether the kernel moves pages between memory domains meanwhile.
    virtual : whether this is a virtual machine, whose processors others may be given.

    Examples
    --------
    >>> timing_settings(Path("/nowhere")).turbo is None
    True
    """

    governors: tuple[str, ...]
    turbo: bool | None
    hardware_threads: bool | None
    numa_balancing: bool | None
    virtual: bool | None


@dataclass(frozen=True)
class Advice:
    """One thing that a quiet machine would change: what it is now, and how to change it.

    Examples
    --------
    >>> Advice("turbo", "the clock depends on heat", "switch it off").setting
    'turbo'
    """

    setting: str
    now: str
    remedy: str


def timing_settings(root: Path = Path("/")) -> TimingSettings:
    """Return the settings, read from the file system below ``root``."""
    governors = {
        text
        for path in (root / _CPUS).glob("cpu[0-9]*/cpufreq/scaling_governor")
        if (text := _text(path))
    }
    no_turbo = _flag(root / _CPUS / "intel_pstate/no_turbo")
    balancing = _text(root / "proc/sys/kernel/numa_balancing")
    information = _text(root / "proc/cpuinfo")
    return TimingSettings(
        governors=tuple(sorted(governors)),
        turbo=_flag(root / _CPUS / "cpufreq/boost") if no_turbo is None else not no_turbo,
        hardware_threads=_flag(root / _CPUS / "smt/active"),
        numa_balancing=None if balancing is None else balancing != "0",
        virtual=_virtual(information),
    )


def quiet_advice(found: TimingSettings) -> list[Advice]:
    """Return what a quiet machine would change; empty where nothing speaks against the times."""
    advice = []
    slow = [one for one in found.governors if one != "performance"]
    if slow:
        now = f"governor {', '.join(slow)}: the clock follows the load"
        advice.append(Advice("governor", now, "cpupower frequency-set -g performance"))
    if found.turbo:
        now = "turbo is on: the clock depends on heat, and on how many cores work"
        advice.append(
            Advice("turbo", now, "switch it off to compare; leave it on to know the fastest time")
        )
    if found.hardware_threads:
        now = "cores run two threads or more: another program may share a fit's core"
        advice.append(Advice("hardware threads", now, "keep other programs off, or switch SMT off"))
    if found.numa_balancing:
        now = "NUMA balancing is on: pages move between memory domains during fits"
        advice.append(Advice("NUMA balancing", now, "sysctl kernel.numa_balancing=0"))
    if found.virtual:
        now = "a virtual machine: other machines may be given its processors"
        advice.append(Advice("virtual", now, "look at `use` in records, or measure on hardware"))
    return advice


def throttling_advice(so_far: Activity) -> list[Advice]:
    """Return what has slowed or stopped processors until now; empty where nothing is known to.

    so_far : counters since the machine started, or since this control group was made.

    Examples
    --------
    >>> hot = Activity(0, None, None, None, None, thermal_events=12, megahertz=None)
    >>> [one.now for one in throttling_advice(hot)]
    ['processors have slowed down 12 times to cool since the machine started']
    """
    advice = []
    if so_far.thermal_events:
        times = counted(so_far.thermal_events, "time")
        now = f"processors have slowed down {times} to cool since the machine started"
        advice.append(Advice("heat", now, "better cooling, or fewer threads; records count it too"))
    if so_far.throttled_s:
        now = f"a quota has stopped this control group for {so_far.throttled_s:.3g} s so far"
        advice.append(
            Advice("quota", now, "ask for more cores, or for fewer threads than the quota")
        )
    return advice


def _virtual(information: str | None) -> bool | None:
    for line in (information or "").splitlines():
        name, _, values = line.partition(":")
        if name.strip() == "flags":
            return "hypervisor" in values.split()
    return None


def _flag(path: Path) -> bool | None:
    text = _text(path)
    return None if text is None else text.strip() == "1"


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
