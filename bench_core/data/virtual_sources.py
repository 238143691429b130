"""Sources of virtual HDF5 datasets: each is there, large enough, and written in full.

HDF5 answers with a fill value, or with fewer rows, where a source is missing, and says nothing. A
mapping may name one source, or a pattern: ``part-%b.h5`` stands for ``part-0.h5``, ``part-1.h5``
and so on, of which HDF5 reads those before the first that is missing.
"""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

_LINK_ERRORS = (KeyError, OSError, RuntimeError)  # how h5py reports a link that leads nowhere
_NAMED = 20  # missing sources that a message names

Check = Callable[[h5py.Dataset, str], None]


@dataclass(frozen=True)
class SourceName:
    """File and dataset of one source; either may be a pattern with ``%b``."""

    file: str
    dataset: str

    def __str__(self) -> str:
        return f"{self.file}:{self.dataset}"

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for several sources."""
        return len(_segments(self.file)) + len(_segments(self.dataset)) > 2

    def numbered(self, number: int) -> SourceName:
        """Return the name of the source that has this number."""
        return SourceName(*(str(number).join(_segments(s)) for s in (self.file, self.dataset)))


def check_sources(dataset: h5py.Dataset, check: Check, where: str) -> str | None:
    """Return what of a virtual ``dataset`` has no source; None where every value has one.

    Parameters
    ----------
    check : checks a source, given with its name; it raises.
    where : file and dataset, for the message of ``check``.
    """
    mapped = 0
    for part in dataset.virtual_sources():
        mapped += selected(part.vspace, dataset.shape)
        name = SourceName(part.file_name, part.dset_name)
        if name.is_pattern:
            found = _check_pattern(dataset, part, name, check, where)
        else:
            needed = selected(part.vspace, dataset.shape)
            found = _check_source(dataset, name.numbered(0), part.src_space, needed, check, where)
        if found is not None:
            return found
    if mapped < dataset.size:
        return f"{dataset.size - mapped} of {dataset.size} values have no source"
    return None


def first_source_chunks(dataset: h5py.Dataset) -> tuple[int, ...] | None:
    """Return the shape of what is decompressed at once in the first source, None if unknown."""
    for part in dataset.virtual_sources()[:1]:
        name = SourceName(part.file_name, part.dset_name).numbered(0)
        with _Source(dataset, name) as source:
            if source is not None and len(source.shape) == len(dataset.shape):
                if source.is_virtual:
                    return first_source_chunks(source)
                chunks: tuple[int, ...] | None = source.chunks
                return chunks
    return None


def selected(space: h5py.h5s.SpaceID, shape: tuple[int, ...]) -> int:
    """Return how many values of an array of this ``shape`` a selection without an end takes.

    A selection with an end has its own count, whatever the shape.
    """
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        return math.prod(shape)
    if not _is_endless(space):
        return int(space.get_select_npoints())
    total = 1
    for start, step, count, block, length in zip(
        *space.get_regular_hyperslab(), shape, strict=True
    ):
        rest = max(length - start, 0)
        if count == h5py.h5s.UNLIMITED:
            total *= rest // step * block + min(rest % step, block)
        elif block == h5py.h5s.UNLIMITED:
            total *= rest
        else:
            total *= count * block
    return int(total)


def _is_endless(space: h5py.h5s.SpaceID) -> bool:
    if space.get_select_type() != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        return False
    _, _, counts, blocks = space.get_regular_hyperslab()
    return h5py.h5s.UNLIMITED in (*counts, *blocks)


def _check_source(
    dataset: h5py.Dataset,
    name: SourceName,
    taken: h5py.h5s.SpaceID,
    needed: int,
    check: Check,
    where: str,
) -> str | None:
    """Return what is wrong with one source, whose selection ``taken`` gives ``needed`` values."""
    with _Source(dataset, name) as source:
        if source is None:
            return f"its source {name} is missing"
        if _is_endless(taken) or taken.get_select_type() == h5py.h5s.SEL_ALL:
            short = selected(taken, source.shape) < needed
        else:
            last = taken.get_select_bounds()[1]
            short = any(i >= n for i, n in zip(last, source.shape, strict=True))
        if short:
            return f"its source {name} has only shape {source.shape}"
        check(source, f"{where} from {name}")
    return None


def _check_pattern(
    dataset: h5py.Dataset, part: Any, pattern: SourceName, check: Check, where: str
) -> str | None:
    """Return what is wrong with the sources of a pattern, each of which gives one block."""
    starts, steps, counts, blocks = part.vspace.get_regular_hyperslab()
    axis = counts.index(h5py.h5s.UNLIMITED)
    shown = -(-max(dataset.shape[axis] - starts[axis], 0) // steps[axis])
    others = (count for k, count in enumerate(counts) if k != axis)
    needed = math.prod(blocks) * math.prod(others)
    for number in range(shown):
        name = pattern.numbered(number)
        found = _check_source(dataset, name, part.src_space, needed, check, where)
        if found is not None:
            return found
    there = set(_numbers(dataset, pattern))
    gone = [n for n in range(shown, max(there, default=0 if shown else 1)) if n not in there]
    if not gone:
        return None
    names = ", ".join(str(pattern.numbered(n)) for n in gone[:_NAMED])
    names += f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
    return (
        f"its source {names} is missing" if len(gone) == 1 else f"its sources {names} are missing"
    )


def _numbers(dataset: h5py.Dataset, pattern: SourceName) -> Iterator[int]:
    """Yield the numbers of the sources that there are, in no order."""
    segments = _segments(pattern.file)
    if len(segments) > 1:
        for folder in _folders(dataset):
            whole = [os.path.join(folder, segments[0]), *segments[1:]]
            yield from _matching(whole, glob.iglob("*".join(map(glob.escape, whole))))
        return
    group, _, last = pattern.dataset.rpartition("/")
    with _Source(dataset, SourceName(segments[0], group or "/")) as found:
        yield from _matching(_segments(last), found or ())


def _matching(segments: Sequence[str], names: Iterable[str]) -> Iterator[int]:
    """Yield the numbers that stand between the segments of some of ``names``."""
    first, second, *others = map(re.escape, segments)
    expression = re.compile(first + r"(\d+)" + r"\1".join([second, *others]))
    for name in names:
        match = expression.fullmatch(name)
        if match is not None:
            yield int(match[1])


def _segments(pattern: str) -> list[str]:
    """Return the text between the marks ``%b`` of a pattern."""
    segments = [""]
    for piece in re.split(r"(%[b%])", pattern):
        if piece == "%b":
            segments.append("")
        else:
            segments[-1] += "%" if piece == "%%" else piece
    return segments


def _folders(dataset: h5py.Dataset) -> list[Path]:
    """Return where HDF5 looks for a source's file, in its order."""
    folder = Path(os.fsdecode(dataset.file.filename)).parent
    prefix = os.environ.get("HDF5_VDS_PREFIX", "").replace("${ORIGIN}", str(folder))
    return [*([Path(prefix)] if prefix else []), folder, Path()]


class _Source:
    """Context of one source of a virtual dataset, None where it cannot be opened."""

    def __init__(self, dataset: h5py.Dataset, name: SourceName) -> None:
        self._own = dataset.file
        self._name = name
        self._file: h5py.File | None = None
        self._places = [folder / name.file for folder in _folders(dataset)]

    def __enter__(self) -> Any:
        if self._name.file == ".":
            return self._own.get(self._name.dataset)
        for place in self._places:
            if place.is_file():
                try:
                    self._file = h5py.File(place, "r")
                    return self._file.get(self._name.dataset)
                except _LINK_ERRORS:
                    return None
        return None

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()
