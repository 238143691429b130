"""Names that tell who is writing a file, and the removal of what a killed process left unfinished.

A process that ends in an orderly way removes its temporary files. One that is killed (SIGKILL, a
machine that goes down) cannot, so every temporary name ends in a tag: the process, when it began,
the host, and something unique. A later process on that host removes what belongs to none that
runs. Files of other hosts stay: their processes cannot be seen from here.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PARTIAL = ".partial-"
"""Part of the name of everything that is not finished yet."""

REPLACED = ".replaced-"
"""Part of the name of a folder that gives way to another of its name."""

_TAG = re.compile(
    r"^(?:[a-z]+-|\.(?P<name>.+)\.(?P<kind>partial|replaced)-)"
    r"(?P<pid>\d+)-(?P<began>\d+)-(?P<host>[0-9a-f]{8})-[0-9a-f]{8}(?:\.\w+){0,2}$"
)

# Folders that this process has looked through: once is enough.
_SWEPT: set[tuple[int, Path]] = set()


@dataclass(frozen=True)
class Leftover:
    """A file or folder that a process which no longer runs had begun to write."""

    path: Path
    bytes: int


def tag() -> str:
    """Return a new tag of this process: pid, start, host and 8 random digits."""
    return f"{os.getpid()}-{_state(os.getpid())[1]}-{_host()}-{secrets.token_hex(4)}"


def partial_name(path: Path) -> Path:
    """Return an unused hidden name beside ``path``, of the same suffixes."""
    return path.with_name(f".{path.name}{PARTIAL}{tag()}{''.join(path.suffixes[-2:])}")


def make_owned_folder(parent: Path, kind: str) -> Path:
    """Create and return the folder ``KIND-TAG`` in ``parent``; ``kind`` is of lower-case letters.

    Leftovers in ``parent`` are removed first.
    """
    parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(parent)
    folder = parent / f"{kind}-{tag()}"
    folder.mkdir(mode=0o700)  # copies of participants' data are nobody else's
    return folder


@contextmanager
def owned_folder(parent: Path, kind: str) -> Iterator[Path]:
    """Yield a new folder of `make_owned_folder`, which is removed at the end."""
    folder = make_owned_folder(parent, kind)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_leftovers(parent: Path) -> list[Leftover]:
    """Return what processes of this host left in ``parent`` that do not run any more."""
    try:
        names = sorted(os.listdir(parent))
    except OSError:  # whoever needs the folder will say so
        return []
    return [
        Leftover(parent / name, bytes_in(parent / name)) for name in names if _is_ownerless(name)
    ]


def remove_leftovers(parent: Path, *, again: bool = False) -> list[Leftover]:
    """Remove `find_leftovers` of ``parent``, once per process, and return them.

    A folder that was being replaced when its process was killed gets its name back, unless the
    new one has it.

    Parameters
    ----------
    again : look although this process has looked before.
    """
    key = (os.getpid(), parent)
    if key in _SWEPT and not again:
        return []
    _SWEPT.add(key)
    removed = []
    for found in find_leftovers(parent):
        match = _TAG.match(found.path.name)
        assert match is not None
        if match["kind"] == "replaced" and not os.path.lexists(parent / match["name"]):
            found.path.rename(parent / match["name"])
        elif _remove(found.path):
            removed.append(found)
    return removed


def bytes_in(path: Path) -> int:
    """Return the bytes on the disk of a file, or of all files in a folder."""
    total = 0
    for each in [path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]:
        try:
            total += each.lstat().st_blocks * 512
        except OSError:  # gone meanwhile
            continue
    return total


def _remove(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        try:
            path.unlink(missing_ok=True)
        except OSError:  # another user's
            return False
    return not os.path.lexists(path)


def _is_ownerless(name: str) -> bool:
    match = _TAG.match(name)
    if match is None or match["host"] != _host():
        return False
    return not _runs(int(match["pid"]), int(match["began"]))


@functools.cache
def _host() -> str:
    """Return a digest of the host and of its numbering of processes: a container has its own."""
    about = [socket.gethostname()]
    with contextlib.suppress(OSError):
        about.append(os.readlink("/proc/self/ns/pid"))
    with contextlib.suppress(OSError):  # machines that share a disk may share a name
        about.append(Path("/etc/machine-id").read_text(encoding="ascii", errors="replace").strip())
    return hashlib.sha256(" ".join(about).encode()).hexdigest()[:8]


def _runs(pid: int, began: int) -> bool:
    """Return whether the process runs that had this number and began then."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    state, found = _state(pid)
    return state not in ("Z", "X") and (not found or not began or found == began)


def _state(pid: int) -> tuple[str, int]:
    """Return the process's state and when it began, in ticks since boot; "" and 0 if unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "", 0
    fields = text.rpartition(")")[2].split()  # from the third on; the second may hold spaces
    return fields[0], int(fields[19])
