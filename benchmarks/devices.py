"""Solvers of one problem on a GPU, on the processor in torch, and on the processor in numpy.

`ridgebench bench --device cuda` runs the fits on "cuda", and those on "cpu" that they are held
against in the same run. Times include the way of the data to the GPU and back.
"""

from __future__ import annotations

import functools
import math
import os
from typing import Any

from benchmarks import common
from benchmarks.common import THREADS, FitSuite, make_case, measured, samples

DEVICES = ["cpu", "torch", "cuda"]

# Solver: strategy, its options beside the device, and the precision of the problem.
SOLVERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "ridgecv": ("ridgecv", {}, "float64"),
    "himalaya float32": ("himalaya", {}, "float32"),
    "multitarget": ("multitarget", {}, "float64"),
    "multitarget float32": ("multitarget", {}, "float32"),
    "multitarget no coef float32": ("multitarget", {"coef": None}, "float32"),
    "multitarget per target float32": ("multitarget", {"alpha_per_target": True}, "float32"),
}
BACKENDS = {"cpu": "numpy", "torch": "torch", "cuda": "torch_cuda"}
"""himalaya's names of devices."""


@functools.lru_cache(maxsize=1)
def missing(device: str) -> str | None:
    """Return why this environment has no such device, None where it has."""
    from bench_core.errors import InputError
    from bench_core.ridge.arrays.backend import find_device

    try:
        find_device(device)
    except InputError as error:
        return str(error)
    return None


def device_options(strategy: str, device: str) -> dict[str, Any]:
    """Return the options by which a strategy computes on a device; none for numpy."""
    if device == "cpu":
        return {}
    return {"backend": BACKENDS[device]} if strategy == "himalaya" else {"device": device}


class Devices(FitSuite):
    suite = "devices"
    on_device = True
    params = (list(SOLVERS), ["whole-brain-bmor", "parcels"], ["1/24", "1/8", "1/4", "1"], DEVICES)
    param_names = ("solver", "problem", "scale", "device")

    @classmethod
    def reason_to_skip(cls, *parameters: Any) -> str | None:
        reason = super().reason_to_skip(*parameters)
        if reason is not None:
            return reason
        asked, device = os.environ[common.DEVICE], parameters[3]
        if device not in ("cpu", asked):
            return f"another device than {device} was asked for"
        return missing(asked)

    def case(self, solver: str, problem: str, scale: str, device: str) -> Any:
        strategy, options, dtype = SOLVERS[solver]
        return make_case(
            self.suite,
            problem,
            scale,
            strategy=strategy,
            options={**options, **device_options(strategy, device)},
            nodes=1,
            threads=max(one for one in THREADS if one <= common.available_cores()),
            dtype=dtype,
            null="skip",
        )

    def track_time(self, session: str, *parameters: Any) -> dict[str, Any]:
        return samples(self.record.times)

    track_time.unit = "seconds"

    def track_time_with_predictions(self, session: str, *parameters: Any) -> float:
        """Fit and prediction of the held-out samples: what an encoding map takes."""
        return self.record.times.median_s + self.record.times.predict_s

    track_time_with_predictions.unit = "seconds"

    def track_over_processor(
        self, session: str, solver: str, problem: str, scale: str, device: str
    ) -> float:
        """The time over that of the same solver on the processor, in the same run."""
        if device == "cpu":
            return math.nan  # not available: this is what devices are held against
        own = measured(session, self.case(solver, problem, scale, "cpu"))
        return self.record.times.median_s / own.times.median_s

    track_over_processor.unit = "of the processor's time"

    def track_device_memory(self, session: str, *parameters: Any) -> float:
        """Peak bytes on the GPU, as torch's allocator counts them."""
        if not self.record.device_memory:
            return math.nan  # not available: there is no GPU in this fit
        return float(sum(one.peak_bytes for one in self.record.device_memory))

    track_device_memory.unit = "bytes"
