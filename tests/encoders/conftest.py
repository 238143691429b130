"""Where the extra ``encoders`` is not installed, this folder is skipped, and the reason printed."""

from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> None:
    for package in ("av", "h5py", "safetensors", "torch"):
        pytest.importorskip(package, reason=f"{package} (extra 'encoders') is not installed")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Small networks are slower on several threads, and far slower when cores are shared."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
