"""Datasets of HDF5 files: found through links, checked for gaps, and read chunk by chunk.

HDF5 answers a read of values that were never written with a fill value, mostly zero, and says
nothing; so does a virtual dataset whose source is missing. Such data are refused here. MATLAB's
``.mat`` files (version 7.3) are HDF5 with the axes reversed: they are read as MATLAB shows them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench_core.data.virtual_sources import check_sources, first_source_chunks
from bench_core.errors import InputError, unknown

_MATLAB_NUMBERS = {"double", "single", "logical"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
_LINK_ERRORS = (KeyError, OSError, RuntimeError)  # how h5py reports a link that leads nowhere


@dataclass(frozen=True, eq=False)
class Hdf5Array:
    """A two-dimensional dataset whose values have to be read, not mapped.

    Parameters
    ----------
    transposed : the file stores columns × samples.
    chunks : shape of what is decompressed at once, in the file's order; None: nothing is.
    """

    dataset: h5py.Dataset
    transposed: bool = False
    chunks: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples × columns."""
        shape = tuple(self.dataset.shape)
        return shape[::-1] if self.transposed else shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        found: np.dtype[Any] = self.dataset.dtype
        return found

    def blocks(self, block_bytes: int) -> Iterator[tuple[slice, slice, NDArray[Any]]]:
        """Yield (rows, columns, values) that cover the array; every chunk is read once."""
        shape = tuple(self.dataset.shape)
        for first, second in chunk_blocks(shape, self.chunks, self.dtype.itemsize, block_bytes):
            values = self.dataset[first, second]
            yield (second, first, values.T) if self.transposed else (first, second, values)


def chunk_blocks(
    shape: tuple[int, ...], chunks: tuple[int, ...] | None, itemsize: int, block_bytes: int
) -> Iterator[tuple[slice, slice]]:
    """Yield blocks of whole chunks, of ``block_bytes`` or one chunk, that cover ``shape`` (2-D).

    Blocks grow along the second axis first, in which an array lies together.
    """
    rows, columns = map(min, chunks or (1, shape[1]), shape)
    if rows * columns == 0:
        return
    wide = columns * max(1, block_bytes // (rows * columns * itemsize))
    high = rows
    if wide >= shape[1]:
        wide = shape[1]
        high = rows * max(1, block_bytes // (rows * wide * itemsize))
    for i in range(0, shape[0], high):
        for j in range(0, shape[1], wide):
            yield slice(i, min(i + high, shape[0])), slice(j, min(j + wide, shape[1]))


def open_dataset(path: Path, name: str) -> NDArray[Any] | Hdf5Array:
    """Return dataset ``name`` of the file ``path``: mapped where its layout allows.

    Soft and external links are followed.

    Raises
    ------
    InputError : the file or dataset cannot be read, holds no array, or was never written in part.
    UnknownNameError : there is no such dataset; names those that are similar.
    """
    file = _open(path)
    where = f"{path}:{name}"
    found = _follow(file, path, name)
    if found.shape is None or "MATLAB_empty" in found.attrs:
        raise InputError(f"{where} is a null dataset: it holds no values")
    kind = _text(found.attrs.get("MATLAB_class"))
    if kind is not None and kind not in _MATLAB_NUMBERS:
        raise InputError(f"{where} holds MATLAB's {kind}: save a matrix of numbers instead")
    check_written(found, where)
    transposed = kind is not None and len(found.shape) == 2
    offset = found.id.get_offset()
    if found.chunks is None and offset is not None and found.size:
        real = os.fsdecode(found.file.filename)  # of an external link, the file that it leads to
        mapped = np.memmap(real, found.dtype, "r", offset, found.shape)
        return mapped.T if transposed else mapped
    return Hdf5Array(found, transposed, _chunks(found))


def dataset_names(path: Path) -> list[str]:
    """Return the names of the file's datasets, those behind links too."""
    with _open(path) as file:
        return _names(file)


def check_written(dataset: h5py.Dataset, where: str) -> None:
    """Raise `InputError` if any value of ``dataset`` would be read as a fill value.

    Parameters
    ----------
    where : file and dataset, for the message.
    """
    if not dataset.size and not dataset.is_virtual:
        return
    if dataset.is_virtual:
        gap = check_sources(dataset, check_written, where)
        if gap is not None:
            raise _gap(dataset, where, gap)
    elif dataset.external:
        _check_external(dataset, where)
    elif dataset.chunks is not None:
        total = math.prod(
            -(-n // size) for n, size in zip(dataset.shape, dataset.chunks, strict=True)
        )
        written = dataset.id.get_num_chunks()
        if written < total:
            raise _gap(dataset, where, f"{total - written} of {total} chunks were never written")
    elif dataset.id.get_storage_size() == 0:
        raise _gap(dataset, where, "no value was ever written")


def _gap(dataset: h5py.Dataset, where: str, what: str) -> InputError:
    return InputError(
        f"{where}: {what}, and would be read as {dataset.fillvalue}. Copy the file again, or write "
        "all values, zeros too"
    )


def _check_external(dataset: h5py.Dataset, where: str) -> None:
    """Check the raw files of a dataset whose values lie outside the HDF5 file."""
    folder = Path(os.fsdecode(dataset.file.filename)).parent
    left = dataset.size * dataset.dtype.itemsize
    for name, offset, size in dataset.external:
        wanted = min(size, left)
        left -= wanted
        places = [folder / os.fsdecode(name), Path(os.fsdecode(name))]
        have = max((p.stat().st_size for p in places if p.is_file()), default=-1)
        if have < offset + wanted:
            gone = "is missing" if have < 0 else f"has {have} bytes instead of {offset + wanted}"
            raise _gap(dataset, where, f"its external file {os.fsdecode(name)} {gone}")


def _chunks(dataset: h5py.Dataset) -> tuple[int, ...] | None:
    """Return the shape of what is decompressed at once; of a virtual one, its first source's."""
    if dataset.is_virtual:
        return first_source_chunks(dataset)
    chunks: tuple[int, ...] | None = dataset.chunks
    return chunks


def _open(path: Path) -> h5py.File:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if path.suffix.lower() == ".mat":
            raise InputError(
                f"{path} is no MATLAB file of version 7.3: save it with -v7.3"
            ) from None
        raise InputError(f"{path} is no HDF5 file, or damaged ({error}): copy it again") from None


def _follow(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
    """Return the dataset, through links; raise the error of one that is not there."""
    try:
        found = file[name]
    except _LINK_ERRORS:
        found = None
    if isinstance(found, h5py.Dataset):
        return found
    if isinstance(found, h5py.Group):
        inside = [each for each in _names(file) if each.startswith(f"{name.strip('/')}/")]
        raise InputError(
            f"{path}:{name} is a group: name one of its datasets ({', '.join(inside) or 'none'})"
        )
    link = file.get(name, getlink=True) if _has_link(file, name) else None
    if isinstance(link, h5py.SoftLink):
        raise InputError(f"{path}:{name} is a link to {link.path}, which is not there")
    if isinstance(link, h5py.ExternalLink):
        raise InputError(
            f"{path}:{name} is a link to {link.path} in {link.filename}, which cannot be opened"
        )
    raise unknown(f"dataset of {path}", name, _names(file))


def _has_link(file: h5py.File, name: str) -> bool:
    try:
        return bool(file.get(name, getlink=True) is not None)
    except _LINK_ERRORS:
        return False


def _names(group: h5py.Group, seen: frozenset[Any] = frozenset(), place: str = "") -> list[str]:
    """Return the datasets below ``group``; a group inside itself is entered once."""
    info = h5py.h5o.get_info(group.id)
    here = (info.fileno, info.addr)
    if here in seen:
        return []
    names: list[str] = []
    for key in group:
        try:
            item = group[key]
        except _LINK_ERRORS:
            continue
        if isinstance(item, h5py.Dataset):
            names.append(place + key)
        elif isinstance(item, h5py.Group) and key != "#refs#":
            names += _names(item, seen | {here}, f"{place}{key}/")
    return names


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
