"""Frames per second of an encoder: decoding, network and both, next to torch's own products."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.common import Suite, publish_figures

NEEDS = ("av", "h5py", "torch")


class Encoders(Suite):
    suite = "encoders"
    params = (["vgg16"], ["fc2"], ["cpu", "cuda"], [1, 8])
    param_names = ("encoder", "layer", "device", "batch")

    @classmethod
    def reason_to_skip(cls, *parameters: Any) -> str | None:
        absent = [name for name in NEEDS if find_spec(name) is None]
        if absent:
            return f"{', '.join(absent)} not installed here: pip install 'ridgebench[encoders]'"
        return super().reason_to_skip(*parameters)

    def prepare(self, session: str, encoder: str, layer: str, device: str, batch: int) -> None:
        from encoders.speed import measured, without_device

        reason = without_device(device)
        if reason is not None:
            raise NotImplementedError(reason)
        self.speed = speed = measured(Path(session), encoder, layer, device=device, batch=batch)
        figures = {
            "decoding": (speed["decode_fps"], "samples/s"),
            "network": (speed["network_fps"], "samples/s"),
            "both": (speed["both_fps"], "samples/s"),
            "overlap": (speed["overlap"], ""),
            "network rate": (speed["network_gflops"], "GFLOP/s"),
            "torch's product": (speed["matmul_gflops"], "GFLOP/s"),
        }
        parameters = {"encoder": encoder, "layer": layer, "device": device, "batch": batch}
        publish_figures(self.suite, parameters, figures)

    def track_decode_time(self, session: str, *parameters: Any) -> float:
        return 1 / self.speed["decode_fps"]

    def track_network_time(self, session: str, *parameters: Any) -> float:
        return 1 / self.speed["network_fps"]

    def track_both_time(self, session: str, *parameters: Any) -> float:
        return 1 / self.speed["both_fps"]

    def track_lost_by_overlap(self, session: str, *parameters: Any) -> float:
        return 1 / self.speed["overlap"]

    def track_matmul_over_network(self, session: str, *parameters: Any) -> float:
        return 1 / self.speed["fraction_of_matmul"]


Encoders.track_decode_time.unit = "seconds per frame"
Encoders.track_network_time.unit = "seconds per frame"
Encoders.track_both_time.unit = "seconds per frame"
Encoders.track_lost_by_overlap.unit = "of the slower part's time"
Encoders.track_matmul_over_network.unit = "matrix-product rate over the network's"
