"""Peak memory on a GPU during the timed fits, as torch's allocator counts it.

Each process counts its own: the main one, or every node. Imports torch only where a fit uses a GPU.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from bench_core.records.times import DeviceMemory


@dataclass(frozen=True)
class Counts:
    """Bytes on a GPU: free before the fits, in all, and the two peaks of torch's allocator."""

    free: int
    total: int
    peak: int = 0
    reserved: int = 0

    def to_record(self, process: str, device: str) -> DeviceMemory:
        """Return the counts of a process as a record keeps them."""
        return DeviceMemory(process, device, self.peak, self.reserved, self.free, self.total)


def start_counting(device: str, cuda: Any = None) -> Counts:
    """Forget former peaks of this process on ``device``, and return what is free before the fits.

    What torch keeps of earlier arrays is given back first: it would count as taken.

    cuda : ``torch.cuda``, or what stands for it in a test.
    """
    cuda = cuda or importlib.import_module("torch").cuda
    cuda.synchronize(device)
    cuda.empty_cache()
    cuda.reset_peak_memory_stats(device)
    free, total = cuda.mem_get_info(device)
    return Counts(int(free), int(total))


def read_peaks(device: str, before: Counts, cuda: Any = None) -> Counts:
    """Return ``before`` with the peaks since `start_counting`."""
    cuda = cuda or importlib.import_module("torch").cuda
    cuda.synchronize(device)
    return Counts(
        before.free,
        before.total,
        int(cuda.max_memory_allocated(device)),
        int(cuda.max_memory_reserved(device)),
    )
