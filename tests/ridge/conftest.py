"""Small arrays: `tests.one_thread`; devices: `tests.devices`."""

import pytest

from tests.devices import usable_device
from tests.one_thread import blas_on_one_thread

__all__ = ["blas_on_one_thread"]


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    """Return the device of a test; skip the test where it cannot be used."""
    return usable_device(request.param)
