"""VideoGPT: seconds per training step and per feature clip, and peak memory, by how it is run."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.common import Suite, profile, publish_figures

NEEDS = ("av", "h5py", "torch")
DEVICES = ["cpu", "cuda"]
PRECISIONS = ["fp32", "bf16", "fp16"]


class VideoGPTSuite(Suite):
    suite = "videogpt"
    work: ClassVar[str] = "training"

    @classmethod
    def reason_to_skip(cls, *parameters: Any) -> str | None:
        absent = [name for name in NEEDS if importlib.util.find_spec(name) is None]
        if absent:
            return f"{', '.join(absent)} not installed here: pip install 'ridgebench[videogpt]'"
        reason = super().reason_to_skip(*parameters)
        if reason is not None:
            return reason
        named = dict(zip(cls.param_names, parameters, strict=True))
        if named.get("device") == "cuda" and not _has_cuda():
            return "torch finds no CUDA device here"
        if (
            named.get("compiled") == "compiled"
            and named["device"] == "cpu"
            and profile()["name"] == "small"
        ):
            return "profile small leaves out compiling on a CPU, which takes minutes"
        return None

    def measured(self, session: str, device: str, **options: Any) -> dict[str, float]:
        """Return this session's measurement: the thesis's sizes on a GPU, small ones on a CPU."""
        from encoders.videogpt.speed import Workload, measured

        preset = "thesis" if device == "cuda" else "tiny"
        load = Workload(work=self.work, preset=preset, device=device, **options)
        found = measured(Path(session), load)
        words = {
            name: "; ".join(f"{k} {v}" for k, v in value) if name == "sizes" else value
            for name, value in options.items()
        }
        parameters = {"work": self.work, "preset": preset, "device": device, **words}
        figures = {
            "a batch": (found["seconds"], "s"),
            "clips": (found["clips_per_second"], "clips/s"),
            "peak memory": (found["peak_bytes"], "bytes"),
        }
        publish_figures(self.suite, parameters, figures)
        return found


class TrainingBySize(VideoGPTSuite):
    params = (DEVICES, [48, 192, 576], [1, 2, 4, 8], [1, 2, 4, 8])
    param_names = ("device", "hidden", "layers", "heads")

    @classmethod
    def reason_to_skip(cls, *parameters: Any) -> str | None:
        device, hidden, layers, heads = parameters
        if device == "cpu" and (hidden > 192 or layers > 2 or heads not in (1, 4)):
            return "small sizes only on a CPU: hidden up to 192, 1 or 2 layers, 1 or 4 heads"
        return super().reason_to_skip(*parameters)

    def prepare(self, session: str, device: str, hidden: int, layers: int, heads: int) -> None:
        sizes = (("hidden_dim", hidden), ("layers", layers), ("heads", heads))
        precision = "bf16" if device == "cuda" else "fp32"
        self.found = self.measured(session, device, sizes=sizes, precision=precision)

    def track_step(self, session: str, *parameters: Any) -> float:
        return self.found["seconds"]

    def track_peak_memory(self, session: str, *parameters: Any) -> float:
        return self.found["peak_bytes"]


class TrainingByPath(VideoGPTSuite):
    params = (
        DEVICES,
        PRECISIONS,
        ["sdpa", "reference"],
        ["eager", "compiled"],
        ["cached", "encoded"],
    )
    param_names = ("device", "precision", "attention", "compiled", "codes")

    def prepare(
        self, session: str, device: str, precision: str, attention: str, compiled: str, codes: str
    ) -> None:
        self.found = self.measured(
            session,
            device,
            precision=precision,
            attention=attention,
            compiled=compiled == "compiled",
            cached_codes=codes == "cached",
        )

    def track_step(self, session: str, *parameters: Any) -> float:
        return self.found["seconds"]

    def track_peak_memory(self, session: str, *parameters: Any) -> float:
        return self.found["peak_bytes"]


class Features(VideoGPTSuite):
    work = "features"
    params = (DEVICES, PRECISIONS, ["sdpa", "reference"], ["eager", "compiled"])
    param_names = ("device", "precision", "attention", "compiled")

    def prepare(
        self, session: str, device: str, precision: str, attention: str, compiled: str
    ) -> None:
        self.found = self.measured(
            session,
            device,
            precision=precision,
            attention=attention,
            compiled=compiled == "compiled",
        )

    def track_clip(self, session: str, *parameters: Any) -> float:
        return 1 / self.found["clips_per_second"]


class Recipe(VideoGPTSuite):
    """The thesis's sizes on a GPU: ours next to the published way to train them."""

    params = (["published", "fp16", "bf16"],)
    param_names = ("recipe",)

    @classmethod
    def reason_to_skip(cls, *parameters: Any) -> str | None:
        reason = super().reason_to_skip(*parameters)
        if reason is None and not _has_cuda():
            return "torch finds no CUDA device here, and the thesis's sizes take hours on a CPU"
        return reason

    def prepare(self, session: str, recipe: str) -> None:
        from encoders.videogpt.speed import PUBLISHED

        options = PUBLISHED if recipe == "published" else {"precision": recipe, "compiled": True}
        self.found = self.measured(session, "cuda", **options)
        self.published = self.measured(session, "cuda", **PUBLISHED)

    def track_step(self, session: str, recipe: str) -> float:
        return self.found["seconds"]

    def track_fraction_of_published(self, session: str, recipe: str) -> float:
        return self.found["seconds"] / self.published["seconds"]


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


TrainingBySize.track_step.unit = "seconds per step of 16 samples"
TrainingBySize.track_peak_memory.unit = "bytes"
TrainingByPath.track_step.unit = "seconds per step of 16 samples"
TrainingByPath.track_peak_memory.unit = "bytes"
Features.track_clip.unit = "seconds per clip"
Recipe.track_step.unit = "seconds per step of 16 samples"
Recipe.track_fraction_of_published.unit = "of the published recipe's time"
