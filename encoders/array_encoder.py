"""An encoder that computes in numpy, without a network and without torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from encoders.outputs import check_layers
from encoders.protocol import Frames, InputSpec, WeightsInfo

NO_WEIGHTS = WeightsInfo("none needed", "0" * 64, trained=True)
"""Weights of an encoder that has none; what it computes is described by its preprocessing."""


class ArrayEncoder(ABC):
    """Base of encoders whose layers are arrays that `compute` returns.

    A subclass defines ``name``, ``summary``, `preprocess` and `compute`, and calls ``__init__``.

    Parameters
    ----------
    layers : names of all layers, the default one first.
    input_spec, preprocessing, weights : as in `encoders.protocol.Encoder`. ``preprocessing``
        describes all that is computed where there are no weights.

    Examples
    --------
    >>> import numpy as np
    >>> class Means(ArrayEncoder):
    ...     name = "means"
    ...     summary = "mean of each colour"
    ...
    ...     def __init__(self, weights=None, *, seed=0, device="cpu"):
    ...         super().__init__(
    ...             ["colours"], input_spec=InputSpec("images", (8, 8)), preprocessing="means"
    ...         )
    ...
    ...     def preprocess(self, frames):
    ...         self.input_spec.check(frames)
    ...         return frames.pixels[:, 0].mean(axis=(1, 2), dtype="float32")
    ...
    ...     def compute(self, batch, layers):
    ...         return {"colours": batch}
    >>> encoder = Means()
    >>> grey = Frames(np.full((1, 1, 8, 8, 3), 128, np.uint8), np.zeros((1, 1)))
    >>> encoder.extract(encoder.preprocess(grey), ["colours"])["colours"].tolist()
    [[128.0, 128.0, 128.0]]
    """

    name: str
    summary: str

    def __init__(
        self,
        layers: Sequence[str],
        *,
        input_spec: InputSpec,
        preprocessing: str,
        weights: WeightsInfo = NO_WEIGHTS,
    ) -> None:
        self._layers = list(layers)
        self.input_spec = input_spec
        self.preprocessing = preprocessing
        self.weights = weights

    def layers(self) -> list[str]:
        """Return the names of all layers."""
        return list(self._layers)

    def channel_axis(self, layer: str) -> int:
        """Return the axis of ``layer``'s output that holds channels: 1, unless overridden."""
        check_layers([layer], self._layers)
        return 1

    @abstractmethod
    def preprocess(self, frames: Frames) -> NDArray[Any]:
        """Return the input (n, …) of `compute` for ``frames``."""

    @abstractmethod
    def compute(self, batch: NDArray[Any], layers: Sequence[str]) -> Mapping[str, NDArray[Any]]:
        """Return the output (n, …), floating point, of each of ``layers``, and perhaps of more."""

    def forward(self, batch: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        """Return the outputs of all layers for a preprocessed batch."""
        return self.compute(batch, self._layers)

    def extract(self, batch: NDArray[Any], layers: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return the output (n, …) of each named layer."""
        check_layers(layers, self._layers)
        found = self.compute(batch, layers)
        return {layer: found[layer] for layer in layers}
