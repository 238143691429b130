"""Feature spaces: named groups of the columns of X, such as the layers of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class FeatureSpaces:
    """Names and columns of the feature spaces of X; every column is in exactly one of them.

    Parameters
    ----------
    ranges : name → the columns of the space, as ranges (first, last + 1).

    Raises
    ------
    InputError : no space, an empty name or range, or a column in no space or in two.

    Examples
    --------
    >>> spaces = FeatureSpaces.of({"motion energy": 2, "words": 3})
    >>> spaces.names, spaces.p, spaces.numbers().tolist()
    (('motion energy', 'words'), 5, [0, 0, 1, 1, 1])
    >>> spaces.delayed(2).to_json()
    {'motion energy': [[0, 2], [5, 7]], 'words': [[2, 5], [7, 10]]}
    """

    ranges: Mapping[str, Ranges]

    def __post_init__(self) -> None:
        if not self.ranges:
            raise InputError("no feature space: give at least one name with its columns")
        everything: list[tuple[int, int, str]] = []
        for name, own in self.ranges.items():
            if not name.strip():
                raise InputError(f"feature space {name!r} has no name: give it one")
            if not own:
                raise InputError(f"feature space {name!r} has no columns: give it some")
            everything += [(first, end, name) for first, end in own]
        expected = 0
        for first, end, name in sorted(everything):
            if end <= first:
                raise InputError(
                    f"feature space {name!r} has columns {first}:{end}: the end must be larger"
                )
            if first != expected:
                what = f"column {expected} is in no feature space"
                if first < expected:
                    what = f"column {max(0, first)} is in {name!r} and in another feature space"
                raise InputError(f"{what}: every column must be in exactly one")
            expected = end

    @classmethod
    def of(cls, value: Any) -> FeatureSpaces:
        """Return the spaces that a mapping states: name → a count, or a list of ranges.

        Counts are of columns that follow each other in the order of the names. Raises `InputError`
        for anything else.
        """
        if isinstance(value, FeatureSpaces):
            return value
        if not isinstance(value, Mapping):
            raise InputError(f"feature spaces {value!r}: give names with their columns")
        ranges: dict[str, Ranges] = {}
        start = 0
        counted = [_whole(own) for own in value.values()]
        if any(counted) and not all(counted):
            raise InputError(f"feature spaces {value!r}: give counts or ranges for all, not both")
        for name, own in value.items():
            if _whole(own):
                ranges[str(name)] = ((start, start + int(own)),)
                start += int(own)
            else:
                ranges[str(name)] = _ranges(str(name), own)
        return cls(ranges)

    @classmethod
    def of_features(cls, value: Any, p: int) -> FeatureSpaces:
        """Return the spaces of p features that a value states, one of them all where it is None.

        Raises `InputError` as `of` and `check` do.

        >>> FeatureSpaces.of_features(None, 3).to_json()
        {'all features': [[0, 3]]}
        """
        spaces = cls.of({"all features": p} if value is None else value)
        spaces.check(p)
        return spaces

    @classmethod
    def parse(cls, text: str) -> FeatureSpaces:
        """Return the spaces that ``NAME=COUNT,…`` or ``NAME=FIRST:END,…`` states.

        A name may be given several times, with a range each time. Raises `InputError` otherwise.

        >>> FeatureSpaces.parse("vgg=0:4,audio=4:6,vgg=6:8").to_json()
        {'vgg': [[0, 4], [6, 8]], 'audio': [[4, 6]]}
        """
        found: dict[str, Any] = {}
        try:
            for word in text.split(","):
                name, equals, columns = word.rpartition("=")
                name = name.strip()
                if not equals:
                    raise ValueError(word)
                if ":" in columns:
                    first, end = map(int, columns.split(":"))
                    found.setdefault(name, []).append([first, end])
                elif name in found:
                    raise ValueError(word)
                else:
                    found[name] = int(columns)
        except (ValueError, AttributeError):
            raise InputError(
                f"feature spaces {text!r}: give NAME=COUNT,NAME=COUNT,… in the order of the "
                "columns, or NAME=FIRST:END,…"
            ) from None
        return cls.of(found)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the spaces, in their order."""
        return tuple(self.ranges)

    @property
    def p(self) -> int:
        """Number of columns of all spaces."""
        return max(end for own in self.ranges.values() for _, end in own)

    def sizes(self) -> dict[str, int]:
        """Return the number of columns of every space."""
        return {name: sum(b - a for a, b in own) for name, own in self.ranges.items()}

    def numbers(self) -> NDArray[np.intp]:
        """Return the number of every column's space (p,), counted from 0 in the order of names."""
        found = np.empty(self.p, np.intp)
        for number, own in enumerate(self.ranges.values()):
            for first, end in own:
                found[first:end] = number
        return found

    def check(self, p: int) -> None:
        """Raise `InputError` unless the spaces are those of ``p`` columns."""
        if self.p != p:
            sizes = ", ".join(f"{name}: {size}" for name, size in self.sizes().items())
            raise InputError(
                f"feature spaces of {self.p} columns ({sizes}) for X with {p}: every column must "
                "be in exactly one"
            )

    def delayed(self, times: int) -> FeatureSpaces:
        """Return the spaces of ``times`` copies of the columns side by side, one for each delay."""
        q = self.p
        return FeatureSpaces(
            {
                name: tuple((a + k * q, b + k * q) for k in range(times) for a, b in own)
                for name, own in self.ranges.items()
            }
        )

    def to_json(self) -> dict[str, list[list[int]]]:
        """Return name → list of ranges, as JSON values."""
        return {name: [list(each) for each in own] for name, own in self.ranges.items()}


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _ranges(name: str, value: Any) -> Ranges:
    try:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise TypeError
        found = []
        for first, end in value:
            if not (_whole(first) and _whole(end)):
                raise TypeError
            found.append((int(first), int(end)))
    except (TypeError, ValueError):
        raise InputError(
            f"feature space {name!r} = {value!r}: give a number of columns, or ranges "
            "[[FIRST, END], …]"
        ) from None
    return tuple(found)
