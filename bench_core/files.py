"""Atomic writing: files and folders appear whole under their name, or not at all.

Everything that ridgebench leaves for its user is written here. The permissions are those that the
user's umask grants, as for any program's output: temporary names are created by ``open`` and
``mkdir`` rather than by `tempfile`, whose files are readable by their owner alone. What a killed
process left beside a path is removed when the next one writes there (`bench_core.leftovers`).
"""

from __future__ import annotations

import codecs
import gzip
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench_core.disk import hold, write_at
from bench_core.errors import InputError
from bench_core.leftovers import PARTIAL, REPLACED, partial_name, remove_leftovers, tag

__all__ = [
    "PARTIAL",
    "link_or_copy",
    "make_partial_folder",
    "new_folder",
    "partial_name",
    "publish_folder",
    "read_json",
    "read_text",
    "replace_file",
    "reserved_file",
    "user_cache",
    "write_bytes",
    "write_json",
    "write_reserved",
    "write_text",
]


def replace_file(path: Path, save: Callable[[Path], object]) -> Path:
    """Let ``save`` write a file of the same suffixes beside ``path``, then put it in its place.

    The parent folder is created where it is missing. Returns ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    part = partial_name(path)
    try:
        save(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def user_cache(name: str) -> Path:
    """Return the folder ``name`` of what is fetched once: in ``$RIDGEBENCH_CACHE``, or the user's.

    The user's is ``$XDG_CACHE_HOME/ridgebench``, or ``~/.cache/ridgebench``.
    """
    chosen = os.environ.get("RIDGEBENCH_CACHE")
    if chosen:
        return Path(chosen) / name
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "ridgebench" / name


def link_or_copy(path: Path, other: Path) -> None:
    """Let ``other`` name the file ``path`` too, or a copy where the file system has no links."""
    try:
        os.link(path, other)
    except OSError:
        replace_file(other, lambda part: shutil.copyfile(path, part))


def write_text(path: Path, text: str) -> Path:
    """Write ``text`` to ``path`` in UTF-8, whole or not at all."""
    return replace_file(path, lambda part: part.write_text(text, encoding="utf-8"))


@contextmanager
def reserved_file(path: Path, size: int) -> Iterator[Callable[[str], Path]]:
    """Keep ``size`` bytes of the disk for the file ``path``; yield the function that writes it.

    For a small result of a long computation: a disk that others fill meanwhile does not lose it.
    Nothing is left where the function is not called.

    Raises
    ------
    ResourceError : the disk lacks the bytes; or, from the function, more that a longer text needs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    # Without the suffix of ``path``: nobody who lists a folder's records may meet it.
    part = path.with_name(f".{path.name}{PARTIAL}{tag()}")
    hold(part, size)
    try:
        yield lambda text: write_reserved(path, part, text)
    finally:
        part.unlink(missing_ok=True)


def write_reserved(path: Path, part: Path, text: str) -> Path:
    """Write ``text`` into the blocks that the file ``part`` keeps and rename it to ``path``."""
    content = text.encode("utf-8")
    file = os.open(part, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        write_at(file, memoryview(content), 0, path)
        os.ftruncate(file, len(content))
    finally:
        os.close(file)
    os.replace(part, path)
    return path


def write_bytes(path: Path, content: bytes) -> Path:
    """Write ``content`` to ``path``, whole or not at all."""
    return replace_file(path, lambda part: part.write_bytes(content))


def read_text(path: Path) -> str:
    """Return the text in ``path``: UTF-8 with or without a byte-order mark, or UTF-16 with one.

    A name that ends with ``.gz`` is decompressed.

    Raises
    ------
    InputError : the file cannot be read, or has another encoding; the message names the line.
    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if marked else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        wrong = content[error.start : error.start + 1].hex()
        raise InputError(
            f"{path}, line {line}: byte 0x{wrong} is not {encoding.removesuffix('-sig').upper()}: "
            "save the file as UTF-8"
        ) from error


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; raise `InputError`, naming it, when it is damaged."""
    try:
        return json.loads(read_text(path))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged ({error}): copy it again") from error


def write_json(path: Path, values: Any) -> Path:
    """Write ``values`` to ``path`` as indented JSON, whole or not at all.

    Raises
    ------
    ValueError : a number is NaN or infinite, which JSON cannot represent.
    """
    return write_text(path, json.dumps(values, indent=1, allow_nan=False) + "\n")


@contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside ``path`` that takes this name when the block ends well.

    After an exception the folder is removed and ``path`` is as it was.

    Parameters
    ----------
    replace : whether an existing ``path`` gives way.

    Raises
    ------
    FileExistsError : ``path`` exists, and ``replace`` is false.
    """
    if not replace and os.path.lexists(path):
        raise FileExistsError(f"{path} exists already: choose another name or remove it")
    part = make_partial_folder(path)
    try:
        yield part
        publish_folder(part, path, replace=replace)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def make_partial_folder(path: Path) -> Path:
    """Create and return an empty hidden folder beside ``path``, for what will be ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    part = path.with_name(f".{path.name}{PARTIAL}{tag()}")
    part.mkdir()
    return part


def publish_folder(part: Path, path: Path, *, replace: bool = False) -> None:
    """Rename the finished folder ``part`` to ``path``; raise `FileExistsError` as `new_folder`."""
    if not replace or not os.path.lexists(path):
        try:
            part.rename(path)
        except OSError as error:
            if not path.exists():
                raise
            raise FileExistsError(
                f"{path} was created by another process meanwhile: choose another name"
            ) from error
        return
    old = path.with_name(f".{path.name}{REPLACED}{tag()}")
    path.rename(old)
    try:
        part.rename(path)
    except BaseException:
        old.rename(path)
        raise
    if old.is_dir() and not old.is_symlink():
        shutil.rmtree(old)
    else:
        old.unlink()
