"""Speed of an encoder: decoding, the network, both overlapped, and torch's matrix product.

Rates count the samples that enter the network. Decoding reads every frame of the video, so its
rate depends on the TR and the video's frame rate.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench_core.errors import InputError
from bench_core.files import write_json
from encoders import digests
from encoders.base import TorchEncoder
from encoders.prefetch import prefetch
from encoders.registry import make
from encoders.synthetic import numbered, write_video
from encoders.vgg.encoder import VGG16Encoder
from encoders.video import batches


@dataclass(frozen=True)
class Speed:
    """Rates of one encoder on one video.

    Parameters
    ----------
    decode_fps, network_fps, both_fps : samples per second decoded and preprocessed, put through
        the network, and both overlapped.
    overlap : ``both_fps`` divided by the smaller of the other two; 1 for a perfect overlap.
    network_gflops : useful GFLOP/s of the network alone; None when its flops are not known.
    matmul_gflops : GFLOP/s of torch's product of square float32 matrices, in the same process.
    fraction_of_matmul : ``network_gflops`` divided by ``matmul_gflops``.
    samples : number of samples in the video.
    """

    decode_fps: float
    network_fps: float
    both_fps: float
    overlap: float
    network_gflops: float | None
    matmul_gflops: float
    fraction_of_matmul: float | None
    samples: int

    def to_dict(self) -> dict[str, Any]:
        """Return all rates by name."""
        return asdict(self)


def measure(
    encoder: TorchEncoder,
    video: str | Path,
    layer: str,
    *,
    tr: float,
    batch: int = 16,
    flops: float | None = None,
) -> Speed:
    """Return the rates of ``encoder`` on ``video``, for one sample of ``layer`` per ``tr`` seconds.

    ``flops`` is the useful work of one sample. The network and the matrix product run once before
    they are timed.

    Raises `InputError` for a video without a sample.
    """

    def inputs() -> Iterable[Tensor]:
        for _, frames in batches(video, encoder.input_spec, batch, tr=tr):
            yield encoder.preprocess(frames)

    def network(ready: Iterable[Tensor]) -> int:
        return sum(len(encoder.extract(each, [layer])[layer].cpu()) for each in ready)

    decoded: list[Tensor] = []
    decode = _seconds(lambda: decoded.extend(inputs()))
    samples = sum(map(len, decoded))
    if not samples:
        raise InputError(
            f"{video} is too short for one sample of {encoder.name}: give a longer video"
        )
    network(decoded[:1])
    alone = _seconds(lambda: network(decoded))
    both = _seconds(lambda: network(prefetch(inputs())))
    rate = matmul_gflops(encoder.device)
    gflops = None if flops is None else samples * flops / alone / 1e9
    return Speed(
        decode_fps=samples / decode,
        network_fps=samples / alone,
        both_fps=samples / both,
        overlap=max(decode, alone) / both,
        network_gflops=gflops,
        matmul_gflops=rate,
        fraction_of_matmul=None if gflops is None else gflops / rate,
        samples=samples,
    )


def matmul_gflops(device: torch.device, size: int = 2048, repeats: int = 5) -> float:
    """Return GFLOP/s of the fastest of ``repeats`` products of float32 matrices of ``size``."""
    a, b = torch.rand(2, size, size, device=device)

    def product() -> None:
        torch.mm(a, b)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    product()
    return 2 * size**3 / min(_seconds(product) for _ in range(repeats)) / 1e9


def without_device(device: str) -> str | None:
    """Return the reason why ``device`` cannot be used, None when it can."""
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        return "torch finds no CUDA device here"
    return None


def measured(
    folder: Path,
    name: str,
    layer: str,
    *,
    device: str = "cpu",
    batch: int = 16,
    seconds: float = 12.0,
    tr: float = 0.5,
    frame: tuple[int, int] = (480, 640),
    **options: Any,
) -> dict[str, Any]:
    """Return the rates of the encoder ``name``, with random weights, on a synthetic video.

    The rates are cached as JSON in ``folder``, so that a second call with the same arguments
    measures nothing.

    Parameters
    ----------
    seconds, frame : duration and (height, width) of the video.
    tr : seconds per sample.
    options : of the encoder.
    """
    asked = [name, layer, device, batch, seconds, tr, list(frame), options]
    path = folder / f"encoder-speed-{digests.of_json(asked)[:16]}.json"
    if path.exists():
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return known
    encoder = make(name, offered={"tr": tr}, device=device, **options)
    if not isinstance(encoder, TorchEncoder):
        raise InputError(
            f"{name} is not a TorchEncoder, whose speed is compared with torch's matrix product: "
            "choose another encoder"
        )
    flops = encoder.flops() if isinstance(encoder, VGG16Encoder) else None
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        video = Path(scratch) / "video.mp4"
        sample_video(video, seconds, height=frame[0], width=frame[1])
        speed = measure(encoder, video, layer, tr=tr, batch=batch, flops=flops).to_dict()
    write_json(path, speed)
    return speed


def sample_video(path: str | Path, seconds: float, *, height: int, width: int) -> None:
    """Write a video of ``seconds`` at 30 frames per second in which no two frames are equal."""
    count = max(1, round(seconds * 30))
    write_video(
        path,
        (numbered(number % 65_536, height, width) for number in range(count)),
        [number / 30 for number in range(count)],
    )


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
