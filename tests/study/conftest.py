"""Small networks: `tests.encoders.torch_thread`."""

from tests.encoders.torch_thread import torch_on_one_thread

__all__ = ["torch_on_one_thread"]
