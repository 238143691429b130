"""A fixture for tests whose arrays are small: BLAS on one thread, as long as a file's tests run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="module")
def blas_on_one_thread() -> Iterator[None]:
    """Keep BLAS to one thread: more wait for each other, the longer the busier the cores are.

    Processes that a test starts have threads of their own.
    """
    with threadpool_limits(1, user_api="blas"):
        yield
