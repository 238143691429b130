"""A fixture for tests whose networks are small: torch on one thread, as long as a file's tests run.

`tests.one_thread` does the same for BLAS.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest


@pytest.fixture(autouse=True, scope="module")
def torch_on_one_thread() -> Iterator[None]:
    """Small networks are slower on several threads, and far slower when cores are shared.

    A number that a test sets, as a study does its own, ends with the file.
    """
    if find_spec("torch") is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
