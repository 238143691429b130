"""What keeps the machine busy: counters of the system, and processor time of processes.

Everything is read from ``/proc`` and ``/sys`` below ``root``, so that tests can make it up. What a
system does not have is None.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from bench_core.machine.cgroup import throttled_seconds

_TICKS = os.sysconf("SC_CLK_TCK")
_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_BUSY = ("user", "nice", "system", "irq", "softirq")


@dataclass(frozen=True)
class Activity:
    """Counters of the machine so far; differences of two of them are of interest.

    Parameters
    ----------
    at : seconds, by the clock that was given.
    busy_s : processor time of all processes, added up over processors.
    steal_s : processor time that the hypervisor gave to other machines.
    waiting_s : time in which some task waited for a processor.
    throttled_s : stops of this control group by its quota.
    thermal_events : how often processors slowed down to cool.
    megahertz : clock of the processors now, mean.

    Examples
    --------
    >>> read_activity(Path("/nowhere"), clock=lambda: 7.0)
    Activity(at=7.0, busy_s=None, steal_s=None, waiting_s=None, throttled_s=None, \
thermal_events=None, megahertz=None)
    """

    at: float
    busy_s: float | None
    steal_s: float | None
    waiting_s: float | None
    throttled_s: float | None
    thermal_events: int | None
    megahertz: float | None


def read_activity(root: Path = Path("/"), *, clock: Callable[[], float] = perf_counter) -> Activity:
    """Return the counters of the machine now."""
    ticks = _processor_ticks(root / "proc/stat")
    return Activity(
        at=clock(),
        busy_s=None if ticks is None else sum(ticks[name] for name in _BUSY) / _TICKS,
        steal_s=None if ticks is None else ticks["steal"] / _TICKS,
        waiting_s=_waiting_seconds(root / "proc/pressure/cpu"),
        throttled_s=throttled_seconds(root),
        thermal_events=_thermal_events(root),
        megahertz=_megahertz(root, "scaling_cur_freq"),
    )


def base_megahertz(root: Path = Path("/")) -> float | None:
    """Return the clock that the processors are sold with, None where the system does not say."""
    return _megahertz(root, "base_frequency")


def processor_seconds(
    processes: Iterable[int], root: Path = Path("/"), *, children: bool = True
) -> dict[int, float]:
    """Return the processor time of processes so far, by their ids; those that ended are left out.

    children : include that of children which have ended and were waited for.
    """
    found = {}
    for process in processes:
        text = _text(root / f"proc/{process}/stat")
        if text is None:
            continue
        # The name, in parentheses, may hold anything.
        fields = text.rpartition(")")[2].split()
        found[process] = sum(map(int, fields[11 : 15 if children else 13])) / _TICKS
    return found


def _processor_ticks(path: Path) -> dict[str, int] | None:
    for line in (_text(path) or "").splitlines():
        name, *values = line.split()
        if name == "cpu":
            counts = [int(value) for value in values[: len(_FIELDS)]]
            counts += [0] * (len(_FIELDS) - len(counts))
            return dict(zip(_FIELDS, counts, strict=True))
    return None


def _waiting_seconds(path: Path) -> float | None:
    for line in (_text(path) or "").splitlines():
        kind, *values = line.split()
        fields = dict(value.split("=") for value in values)
        if kind == "some" and "total" in fields:
            return int(fields["total"]) * 1e-6
    return None


def _thermal_events(root: Path) -> int | None:
    found = _numbers(root, "thermal_throttle/core_throttle_count")
    return sum(found) if found else None


def _megahertz(root: Path, name: str) -> float | None:
    found = _numbers(root, f"cpufreq/{name}")
    return sum(found) / len(found) / 1000 if found else None


def _numbers(root: Path, name: str) -> list[int]:
    paths = (root / "sys/devices/system/cpu").glob(f"cpu[0-9]*/{name}")
    texts = [text for path in paths if (text := _text(path)) is not None]
    return [int(text) for text in texts if text.isdigit()]


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
