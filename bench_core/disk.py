"""Space on a disk: checked and reserved before work begins, and errors that name what ran out.

A file whose blocks are reserved cannot run out of space later: neither a write nor a store through
a memory map, which would end the process by SIGBUS without a word.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_core.errors import InputError, ResourceError, RidgebenchError, readable_bytes
from bench_core.leftovers import partial_name

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG,
    errno.EIO, errno.ESTALE, errno.ELOOP,
)  # fmt: skip
_NOT_OFFERED = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)

REMEDY = "free some, or choose a folder on another disk"


def free_bytes(folder: Path) -> int:
    """Return the bytes that a user may still write in ``folder``, or in its nearest parent."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def no_space(path: Path, needed: int, free: int, remedy: str = REMEDY) -> ResourceError:
    """Return the error of too little space for ``path``."""
    return ResourceError(
        f"{path} needs {readable_bytes(needed)} of disk ({needed} bytes) and "
        f"{readable_bytes(free)} ({free} bytes) are free: {remedy}"
    )


def check_space(path: Path, needed: int, remedy: str = REMEDY) -> None:
    """Raise `ResourceError` where the disk of ``path`` has less than ``needed`` bytes free."""
    free = free_bytes(path.parent)
    if needed > free:
        raise no_space(path, needed, free, remedy)


def reserve(file: int, size: int, path: Path, remedy: str = REMEDY) -> None:
    """Make the open ``file`` ``size`` bytes long and claim its blocks; written ones stay.

    Raises `ResourceError` where the disk lacks them. A file system that reserves nothing is asked
    for its free space instead.
    """
    free = free_bytes(path.parent)
    claimed = os.fstat(file).st_blocks * 512
    with full_disk(path, size, remedy, free=free):
        if size > claimed + free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(file, size)
        if not size or not hasattr(os, "posix_fallocate"):  # macOS: the free space was asked for
            return
        try:
            os.posix_fallocate(file, 0, size)
        except OSError as error:
            if error.errno not in _NOT_OFFERED:
                raise


def hold(path: Path, size: int, remedy: str = REMEDY) -> None:
    """Create the file ``path`` that keeps ``size`` bytes of its disk for what is written later.

    Raises `ResourceError` where the disk lacks them, and leaves nothing.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        reserve(file, size, path, remedy)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(file)


def give_back(path: Path, size: int | None = None) -> None:
    """Free ``size`` bytes that `hold` keeps at ``path``, all for None; nothing where it is gone."""
    if not path.exists():
        return
    left = 0 if size is None else path.stat().st_size - size
    if left > 0:
        os.truncate(path, left)
    else:
        path.unlink()


@contextmanager
def full_disk(
    path: Path, needed: int, remedy: str = REMEDY, *, free: int | None = None
) -> Iterator[None]:
    """Turn the `OSError` of a full disk or quota into a `ResourceError` about ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        if error.errno == errno.EDQUOT:
            remedy = f"your quota is used up: {remedy}"
        left = free_bytes(path.parent) if free is None else free
        raise no_space(path, needed, left, remedy) from error


def write_at(file: int, data: memoryview, at: int, path: Path) -> None:
    """Write all bytes of ``data`` to the open ``file`` from byte ``at`` on."""
    needed = len(data)
    with full_disk(path, needed):
        while len(data):
            written = os.pwrite(file, data, at)
            at += written
            data = data[written:]


def check_writable(folder: Path) -> None:
    """Create ``folder`` where it is missing and write a file there; raise `InputError` if refused.

    For whatever will be written after a long computation.
    """
    probe = partial_name(folder / "probe")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"\0")
        probe.unlink()
    except OSError as error:
        probe.unlink(missing_ok=True) if error.errno in FULL else None
        raise explained(error, folder) from error


def explained(error: OSError, path: Path | None = None) -> RidgebenchError:
    """Return what went wrong with a file in terms of the user: which one, why, and the remedy."""
    name = error.filename if error.filename is not None else path
    place = Path(os.fsdecode(name)) if name is not None and not isinstance(name, int) else None
    if error.errno in FULL:
        where = place or Path()
        return no_space(where, 1, free_bytes(where.parent))
    reason = error.strerror or str(error)
    return InputError(
        f"{place if place is not None else 'a file'} cannot be read or written: {reason}. Correct "
        "its permissions or kind, or choose another place"
    )


def readable_path(path: str | Path) -> str:
    """Return ``path`` as text, or raise `InputError` where its bytes are not UTF-8.

    Records and the files of problems are text: a place that they cannot name is refused at once.
    """
    text = os.fspath(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(
            f"the path {os.fsencode(text)!r} is not UTF-8: rename it, or choose another"
        ) from None
    return text
