"""Weights from files: read safely, checked against the network, fetched only on request.

A file is read by what it is (``.pth``, ``.pt``, ``.safetensors``), never by running code from it:
`torch.load` gets ``weights_only=True``. Every error names the file, and the tensor where there is
one.
"""

from __future__ import annotations

import os
import pickle
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bench_core.errors import InputError
from encoders import digests
from encoders.protocol import WeightsInfo

_BLOCK = 2**20


@dataclass(frozen=True)
class Published:
    """A published file of weights.

    Parameters
    ----------
    url, file : where it is, and its name in the cache.
    digest : the hex digest that its publisher or its users give.
    algorithm : of the digest, a name that `hashlib` knows.
    """

    url: str
    file: str
    digest: str
    algorithm: str = "sha256"


def cache_folder() -> Path:
    """Return where fetched weights are kept: ``$RIDGEBENCH_CACHE``, else the user's cache."""
    chosen = os.environ.get("RIDGEBENCH_CACHE")
    if chosen:
        return Path(chosen) / "weights"
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "ridgebench" / "weights"


def fetch(published: Published, progress: Callable[[int, int], None] | None = None) -> Path:
    """Return the local file, downloaded first if it is not in the cache.

    ``progress`` is called with bytes so far and in total (0 when unknown). The file appears in
    the cache only once its checksum has been found right.

    Raises
    ------
    InputError : when the file cannot be downloaded, or is not the one that was published.
    """
    path = cache_folder() / published.file
    if path.exists():
        _check_digest(path, published)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with urllib.request.urlopen(published.url, timeout=60) as source, open(part, "wb") as file:
            total, done = int(source.headers.get("Content-Length") or 0), 0
            while block := source.read(_BLOCK):
                done += file.write(block)
                if progress is not None:
                    progress(done, total)
        _check_digest(part, published)
        os.replace(part, path)
    except OSError as error:  # urllib's errors derive from it
        raise InputError(
            f"{published.url} cannot be fetched: {error}. Download it elsewhere and give the file"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _check_digest(path: Path, published: Published) -> None:
    found = digests.of_file(path, published.algorithm)
    if found != published.digest:
        raise InputError(
            f"{path} has {published.algorithm} {found}, the published file {published.digest}: "
            "delete it and fetch again, or give a file of your own"
        )


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Return the state dict in a ``.pth``, ``.pt`` or ``.safetensors`` file, on the CPU.

    A checkpoint that holds the weights under ``state_dict`` is opened at that key.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in (".pth", ".pt", ".ckpt"):
        return _read_torch(path)
    raise InputError(f"{path} ends in {path.suffix or 'nothing'}: give .pth, .pt or .safetensors")


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{path} cannot be read as tensors alone; it is damaged, cut short or holds code: "
            f"{reason}"
        ) from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping):
        raise InputError(f"{path} holds one {type(found).__name__}, not named tensors")
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is damaged or cut short: {error}") from error


def load_into(network: nn.Module, tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Copy ``tensors``, read from ``path``, into ``network``, whose names they must have.

    Raises `InputError` naming the first tensor that is absent, not asked for, of another shape, or
    not finite.
    """
    wanted = network.state_dict()
    for name, place in wanted.items():
        if name not in tensors:
            raise InputError(f"{path} lacks tensor {name!r} of shape {tuple(place.shape)}")
        found = tensors[name]
        if found.shape != place.shape:
            raise InputError(
                f"{path}: tensor {name!r} has shape {tuple(found.shape)}, "
                f"the network needs {tuple(place.shape)}"
            )
        if found.is_floating_point() and not torch.isfinite(found).all():
            raise InputError(f"{path}: tensor {name!r} has values that are NaN or infinite")
    surplus = sorted(set(tensors) - set(wanted))
    if surplus:
        raise InputError(f"{path} has tensor {surplus[0]!r}, for which the network has no place")
    network.load_state_dict(dict(tensors))


def file_info(path: str | Path) -> WeightsInfo:
    """Return what is said about weights from a file."""
    return WeightsInfo(Path(path).name, digests.of_file(path), trained=True)


def random_info(network: nn.Module) -> WeightsInfo:
    """Return what is said about random weights: their digest, and that they are untrained."""
    return WeightsInfo("random", digests.of_tensors(network.state_dict()), trained=False)
