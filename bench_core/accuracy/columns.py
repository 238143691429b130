"""Arrays that are read by columns, mapped or made on demand."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray


class Columns(Protocol):
    """Array-like of shape (t, s) whose columns are read by ``[:, numbers]``."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, key: Any, /) -> NDArray[Any]: ...
