"""Weights: read from files, checked against the network, downloaded on request.

The suffix chooses the format (``.pth``, ``.pt``, ``.safetensors``). No code in a file runs. Errors
name the file and the tensor.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bench_core.errors import InputError
from bench_core.files import replace_file, user_cache
from bench_core.progress import Progress, silent
from encoders import digests
from encoders.protocol import WeightsInfo
from encoders.torch_files import load_plain

_BLOCK = 2**20


@dataclass(frozen=True)
class Published:
    """A published file of weights.

    Parameters
    ----------
    url, file : its address, and its name in the cache.
    digest : its published hex digest.
    algorithm : of the digest, one of `hashlib`'s names.

    Examples
    --------
    >>> Published("https://example.org/vgg16.pth", "vgg16.pth", 64 * "0").algorithm
    'sha256'
    """

    url: str
    file: str
    digest: str
    algorithm: str = "sha256"


def cache_folder() -> Path:
    """Return the folder of downloaded weights, in ``$RIDGEBENCH_CACHE`` or the user's cache."""
    return user_cache("weights")


def fetch(published: Published, progress: Progress = silent) -> Path:
    """Return the local file, after a download if it is not in the cache.

    The file is written to the cache after its checksum has been verified.

    Parameters
    ----------
    progress : called with the file's name, the bytes so far and in total (0 when unknown).

    Raises
    ------
    InputError : the file cannot be downloaded, or has another checksum than the published one.
    """
    path = cache_folder() / published.file
    if path.exists():
        _check_digest(path, published)
        return path

    def download(part: Path) -> None:
        with urllib.request.urlopen(published.url, timeout=60) as source, open(part, "wb") as file:
            total, done = int(source.headers.get("Content-Length") or 0), 0
            while block := source.read(_BLOCK):
                done += file.write(block)
                progress(published.file, done, total)
        _check_digest(part, published)

    try:
        return replace_file(path, download)
    except OSError as error:  # urllib's errors derive from it
        raise InputError(
            f"{published.url} cannot be fetched ({error}): download it elsewhere and give the file"
        ) from error


def _check_digest(path: Path, published: Published) -> None:
    found = digests.of_file(path, published.algorithm)
    if found != published.digest:
        raise InputError(
            f"{path} has {published.algorithm} {found}, the published file has "
            f"{published.digest}: delete it and fetch again, or give your own file"
        )


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Return the state dict in a ``.pth``, ``.pt`` or ``.safetensors`` file, on the CPU.

    Of a checkpoint with the key ``state_dict``, the value of that key is returned.

    Raises `InputError` for another suffix, and for a file that is damaged or holds code.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in (".pth", ".pt", ".ckpt"):
        return _read_torch(path)
    raise InputError(f"{path} ends in {path.suffix or 'nothing'}: give .pth, .pt or .safetensors")


def _read_torch(path: Path) -> dict[str, Tensor]:
    found = load_plain(path)
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping):
        raise InputError(f"{path} holds a {type(found).__name__}: save a state_dict instead")
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"{path} is damaged or cut short ({error}): copy it again") from error


def load_into(network: nn.Module, tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Copy ``tensors``, read from ``path``, into ``network``.

    Raises `InputError` naming the first tensor that is missing, surplus, of another shape, or not
    finite.
    """
    wanted = network.state_dict()
    for name, place in wanted.items():
        if name not in tensors:
            raise InputError(
                f"{path} lacks tensor {name!r} of shape {tuple(place.shape)}: give the weights of "
                "this network"
            )
        found = tensors[name]
        if found.shape != place.shape:
            raise InputError(
                f"{path}: tensor {name!r} has shape {tuple(found.shape)}, "
                f"the network needs {tuple(place.shape)}: give the weights of this network"
            )
        if found.is_floating_point() and not torch.isfinite(found).all():
            raise InputError(
                f"{path}: tensor {name!r} has NaN or infinite values: give another checkpoint"
            )
    surplus = sorted(set(tensors) - set(wanted))
    if surplus:
        raise InputError(
            f"{path} has tensor {surplus[0]!r}, which the network lacks: give the weights of this "
            "network"
        )
    network.load_state_dict(dict(tensors))


def file_info(path: str | Path) -> WeightsInfo:
    """Return the description of weights from a file."""
    return WeightsInfo(Path(path).name, digests.of_file(path), trained=True)


def random_info(network: nn.Module) -> WeightsInfo:
    """Return the description of random weights, keyed by their values.

    >>> random_info(nn.Linear(2, 1)).trained
    False
    """
    return WeightsInfo("random", digests.of_tensors(network.state_dict()), trained=False)
