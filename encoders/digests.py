"""Digests of files, tensors and descriptions, from which the keys of stored features are made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_core.errors import InputError
from bench_core.files import write_json

if TYPE_CHECKING:
    from torch import Tensor


def of_file(path: str | Path, algorithm: str = "sha256") -> str:
    """Return the hex digest of a file's bytes; raise `InputError` for one that cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): give a readable file"
        ) from error


class KnownDigests:
    """Digests of large files, kept in a JSON file so that unchanged ones are read once.

    A file is unchanged while its path, size and time of change are.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, list[Any]] = {}
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            self._known = found if isinstance(found, dict) else {}
        except (OSError, ValueError):
            pass  # none yet, or damaged: files are read again

    def of_file(self, path: Path) -> str:
        """Return the hex SHA-256 of a file's bytes."""
        name, stat = str(path.resolve()), path.stat()
        seen = [stat.st_size, stat.st_mtime_ns]
        known = self._known.get(name)
        if not (isinstance(known, list) and known[:2] == seen and len(known) == 3):
            known = self._known[name] = [*seen, of_file(path)]
        return str(known[2])

    def save(self) -> None:
        """Write the digests, if there are any."""
        if self._known:
            write_json(self.path, self._known)


def of_json(description: object) -> str:
    """Return the hex SHA-256 of a JSON-serialisable description, independent of key order.

    >>> of_json({"a": 1, "b": 2}) == of_json({"b": 2, "a": 1})
    True
    """
    text = json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return the hex SHA-256 of the names, shapes, dtypes and values of tensors."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
