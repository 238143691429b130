"""Where the extra ``encoders`` is not installed, this folder is skipped, and the reason printed."""

from pathlib import Path

import pytest

from tests.encoders.torch_thread import torch_on_one_thread

__all__ = ["pytest_pycollect_makemodule", "torch_on_one_thread"]


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> None:
    for package in ("av", "h5py", "safetensors", "torch"):
        pytest.importorskip(package, reason=f"{package} (extra 'encoders') is not installed")
