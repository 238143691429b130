"""Small arrays: `tests.one_thread`."""

from tests.one_thread import blas_on_one_thread

__all__ = ["blas_on_one_thread"]
