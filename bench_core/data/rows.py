"""Some rows of an array that may be larger than memory, without copying them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RowsOf:
    """``array[rows]``, of which columns are read when asked for: ``RowsOf(Y, rows)[:, columns]``.

    Parameters
    ----------
    array : (t, s), usually memory-mapped.
    rows : (n,) row numbers.
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
