"""Selected rows of an array that may be larger than memory, without a copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RowsOf:
    """``array[rows]`` whose columns are read on demand: ``RowsOf(Y, rows)[:, columns]``.

    Parameters
    ----------
    array : (t, s), usually memory-mapped.
    rows : (n,) row numbers.

    Examples
    --------
    >>> RowsOf(np.arange(12).reshape(4, 3), np.array([0, 2]))[:, np.array([1])]
    array([[1],
           [7]])
    """

    array: NDArray[Any]
    rows: NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, int]:
        """(n, s)."""
        return len(self.rows), int(self.array.shape[1])

    def __getitem__(self, key: tuple[slice, NDArray[np.intp]]) -> NDArray[Any]:
        """Return the given columns of the rows, in memory."""
        every, columns = key
        return np.asarray(self.array[self.rows[every][:, None], columns[None, :]])
