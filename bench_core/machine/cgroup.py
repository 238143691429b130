"""Limits of cores and memory by control groups, versions 1 and 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_UNLIMITED = 1 << 60  # version 1 writes a page-rounded 2^63 for "no limit"


@dataclass(frozen=True)
class Limits:
    """Cores and memory that this process may use; None where unlimited.

    Attributes
    ----------
    cores : processor time per unit of time, such as 1.5.
    memory_bytes : the lowest memory limit of its groups.
    memory_free_bytes : bytes free below the tightest limit, page cache counted as free.

    Examples
    --------
    >>> limits(Path("/nowhere"))
    Limits(cores=None, memory_bytes=None, memory_free_bytes=None)
    """

    cores: float | None
    memory_bytes: int | None
    memory_free_bytes: int | None


def limits(root: Path = Path("/")) -> Limits:
    """Return this process's limits, read from the file system below ``root``."""
    groups = _groups(root)
    cores = [quota for group in groups if (quota := group.cores()) is not None]
    memory = [pair for group in groups if (pair := group.memory()) is not None]
    return Limits(
        cores=min(cores, default=None),
        memory_bytes=min((limit for limit, _ in memory), default=None),
        memory_free_bytes=min((max(0, limit - used) for limit, used in memory), default=None),
    )


def throttled_seconds(root: Path = Path("/")) -> float | None:
    """Return how long this process's groups have been stopped for want of quota, in all.

    The time counts once for every processor that had to stop. None where no group says it.

    >>> throttled_seconds(Path("/nowhere")) is None
    True
    """
    found = [stopped for group in _groups(root) if (stopped := group.throttled()) is not None]
    return sum(found) if found else None


def oom_kills(root: Path = Path("/")) -> int | None:
    """Return how many processes of this process's groups the kernel has killed for want of memory.

    Those of the whole machine where no group counts them; None where nothing does.

    >>> oom_kills(Path("/nowhere")) is None
    True
    """
    found = [killed for group in _groups(root) if (killed := group.killed()) is not None]
    if found:
        return sum(found)
    counted = _fields(_text(root / "proc/vmstat")).get("oom_kill")
    return None if counted is None else int(counted)


@dataclass(frozen=True)
class _Group:
    """One folder of the control-group file system."""

    folder: Path

    def cores(self) -> float | None:
        """Return the processor quota in cores."""
        text = _text(self.folder / "cpu.max")
        if text is None:
            quota = _text(self.folder / "cpu.cfs_quota_us")
            period = _text(self.folder / "cpu.cfs_period_us")
            if quota is None or period is None:
                return None
            text = f"{quota} {period}"
        quota, period = text.split()
        if quota == "max" or int(quota) < 0:
            return None
        return int(quota) / int(period)

    def throttled(self) -> float | None:
        """Return the seconds for which the group was stopped, None where it does not count them."""
        fields = _fields(_text(self.folder / "cpu.stat"))
        for name, unit in (("throttled_usec", 1e-6), ("throttled_time", 1e-9)):
            if name in fields:
                return int(fields[name]) * unit
        return None

    def killed(self) -> int | None:
        """Return the processes killed for want of memory, None where the group does not count."""
        for name in ("memory.events", "memory.oom_control"):
            if (count := _fields(_text(self.folder / name)).get("oom_kill")) is not None:
                return int(count)
        return None

    def memory(self) -> tuple[int, int] | None:
        """Return the memory limit and what is in use of it, reclaimable page cache left out."""
        for limit, usage, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            text = _text(self.folder / limit)
            if text is None:
                continue
            if text == "max" or int(text) >= _UNLIMITED:
                return None
            used = int(_text(self.folder / usage) or 0)
            fields = _fields(_text(self.folder / "memory.stat"))
            return int(text), max(0, used - int(fields.get(cache, 0)))
        return None


def _groups(root: Path) -> list[_Group]:
    """Return the folders of every group this process is in, and of the groups around them."""
    mount = root / "sys/fs/cgroup"
    found: dict[Path, None] = {}
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        for base in _mounts(mount, controllers):
            # In a container the path may name a group of the host that is not visible here;
            # the mount itself is then this process's group.
            inner = base / path.lstrip("/")
            while inner != base:
                if inner.is_dir():
                    found.setdefault(inner)
                inner = inner.parent
            if base.is_dir():
                found.setdefault(base)
    return [_Group(folder) for folder in found]


def _mounts(mount: Path, controllers: str) -> Iterator[Path]:
    if not controllers:
        yield mount
        yield mount / "unified"
    elif {"cpu", "memory"} & set(controllers.split(",")):
        yield mount / controllers
        for name in controllers.split(","):
            yield mount / name


def _fields(text: str | None) -> dict[str, str]:
    """Return the lines NAME VALUE of a text by name."""
    pairs = (line.split(maxsplit=1) for line in (text or "").splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
