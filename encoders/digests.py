"""Digests of files, tensors and descriptions, from which the keys of stored features are made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bench_core.errors import InputError

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
