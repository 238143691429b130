"""What an encoder is: the small protocol that the rest of this package relies on.

An encoder plug-in is a class (or any callable) that makes an `Encoder`::

    ENCODER(weights=None, *, seed=0, device="cpu", **options) -> Encoder

``weights`` is a file, the word ``"fetch"`` for the published file where there is one, or None for
seeded random weights. Most encoders need only subclass `encoders.base.TorchEncoder`, which
implements `Encoder.extract` with forward hooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Takes:
    """What one sample of an encoder's input is made of.

    Parameters
    ----------
    kind : ``"images"``, one frame for every sample, or ``"clips"``, several.
    size : height and width in pixels that the network sees.
    frames : frames per sample; 1 for images.
    frame_rate : frames per second of a clip; None for images.
    lead : how many of a clip's frames come before the sample's own time (conditioning frames).
    """

    kind: Literal["images", "clips"]
    size: tuple[int, int]
    frames: int = 1
    frame_rate: float | None = None
    lead: int = 0

    def __post_init__(self) -> None:
        if self.kind == "images" and (self.frames != 1 or self.frame_rate or self.lead):
            raise InputError("an encoder of images takes one frame at a time: use kind='clips'")
        if self.kind == "clips" and not (self.frame_rate and self.frame_rate > 0):
            raise InputError(f"frame rate {self.frame_rate} of clips must be above 0 frames/s")
        if self.frames < 1 or not 0 <= self.lead < max(self.frames, 1):
            raise InputError(f"{self.lead} leading frames of {self.frames}: lead must be smaller")

    @property
    def offsets(self) -> NDArray[np.float64]:
        """Seconds (frames,) from a sample's time to each of its frames."""
        rate = self.frame_rate or 1.0
        return (np.arange(self.frames) - self.lead) / rate


@dataclass(frozen=True)
class Frames:
    """A batch of decoded samples, before preprocessing.

    Parameters
    ----------
    pixels : (n, frames, height, width, 3) uint8, red, green, blue, at the video's own size.
    times : (n, frames) presentation time stamp of each frame, in seconds from the start of the
        video.
    """

    pixels: NDArray[np.uint8]
    times: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.pixels.ndim != 5 or self.pixels.shape[-1] != 3 or self.pixels.dtype != np.uint8:
            raise InputError(
                f"pixels are {self.pixels.dtype} of shape {self.pixels.shape}: "
                "they must be uint8 of shape (n, frames, height, width, 3)"
            )
        if self.times.shape != self.pixels.shape[:2]:
            raise InputError(
                f"times have shape {self.times.shape}: {self.pixels.shape[:2]} frames need one each"
            )

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True)
class WeightsInfo:
    """Where an encoder's weights come from.

    Parameters
    ----------
    source : the file's name, or ``"random"``.
    digest : hex SHA-256 of the file, or of the recipe for random weights.
    trained : False for random weights; every output says so.
    """

    source: str
    digest: str
    trained: bool

    def __str__(self) -> str:
        what = self.source if self.trained else "untrained (random weights)"
        return f"{what}, sha256 {self.digest[:12]}"


class Encoder(Protocol):
    """A network that turns frames into features.

    ``preprocessing`` is text that changes whenever the pixels given to the network would: it is
    part of the key under which features are stored.
    """

    name: str
    summary: str
    takes: Takes
    preprocessing: str
    weights: WeightsInfo

    def layers(self) -> Sequence[str]:
        """Return every layer name that `extract` answers to."""

    def channel_axis(self, layer: str) -> int:
        """Return the axis (n counts) of ``layer``'s output that holds channels, not positions."""

    def preprocess(self, frames: Frames) -> Tensor:
        """Return the network's input for ``frames``, in memory of the CPU.

        Called in the decoding thread, so that it overlaps with the network.
        """

    def forward(self, batch: Tensor) -> Any:
        """Return the network's own output for a preprocessed batch."""

    def extract(self, batch: Tensor, layers: Sequence[str]) -> Mapping[str, Tensor]:
        """Return the output (n, …) of every named layer, all of one forward pass.

        Raises `bench_core.errors.UnknownNameError`, with near names, for a layer it does not have.
        """
