"""An encoder around a `torch.nn.Module`: layers by dotted name through forward hooks."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from encoders import hooks
from encoders.devices import checked_device
from encoders.outputs import check_layers
from encoders.protocol import Frames, InputSpec, WeightsInfo


class TorchEncoder(ABC):
    """Base of encoders whose layers are modules of one network.

    A subclass defines ``name``, ``summary`` and `preprocess`, and calls ``__init__``.

    Parameters
    ----------
    network : put into evaluation mode and moved to ``device``.
    input_spec, preprocessing, weights : as in `encoders.protocol.Encoder`.
    aliases : further layer names, each with its module's dotted name; listed first.

    Examples
    --------
    >>> import numpy as np
    >>> from encoders.weights import random_info
    >>> class Means(TorchEncoder):
    ...     name = "means"
    ...     summary = "mean of each colour"
    ...
    ...     def __init__(self, weights=None, *, seed=0, device="cpu"):
    ...         network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    ...         super().__init__(
    ...             network,
    ...             input_spec=InputSpec("images", (8, 8)),
    ...             preprocessing="none",
    ...             weights=random_info(network),
    ...             device=device,
    ...             aliases={"colours": "1"},
    ...         )
    ...
    ...     def preprocess(self, frames):
    ...         self.input_spec.check(frames)
    ...         return torch.from_numpy(frames.pixels[:, 0]).permute(0, 3, 1, 2).float()
    >>> encoder = Means()
    >>> encoder.layers()
    ['colours', '0', '1']
    >>> grey = Frames(np.full((1, 1, 8, 8, 3), 128, np.uint8), np.zeros((1, 1)))
    >>> encoder.extract(encoder.preprocess(grey), ["colours"])["colours"].tolist()
    [[128.0, 128.0, 128.0]]
    """

    name: str
    summary: str

    def __init__(
        self,
        network: nn.Module,
        *,
        input_spec: InputSpec | None = None,
        preprocessing: str,
        weights: WeightsInfo,
        device: str | torch.device = "cpu",
        aliases: Mapping[str, str] | None = None,
        takes: InputSpec | None = None,
    ) -> None:
        if takes is not None:
            _warn_of_takes("takes=", "input_spec=")
            input_spec = input_spec or takes
        if input_spec is None:
            raise TypeError("TorchEncoder needs input_spec=InputSpec(…)")
        self.device = checked_device(device)
        self.network = network.eval().requires_grad_(False).to(self.device)
        self.input_spec = input_spec
        self.preprocessing = preprocessing
        self.weights = weights
        self.aliases = dict(aliases or {})

    @property
    def takes(self) -> InputSpec:
        """`input_spec` under its old name."""
        _warn_of_takes("takes", "input_spec")
        return self.input_spec

    def layers(self) -> list[str]:
        """Return the aliases, then the dotted names of all modules."""
        return [*self.aliases, *hooks.module_names(self.network)]

    def channel_axis(self, layer: str) -> int:
        """Return the axis of ``layer``'s output that holds channels: 1, unless overridden."""
        check_layers([layer], self.layers())
        return 1

    @abstractmethod
    def preprocess(self, frames: Frames) -> Tensor:
        """Return the network's input for ``frames``, on the CPU."""

    def forward(self, batch: Tensor) -> Any:
        """Return the network's own output for a preprocessed batch."""
        with torch.inference_mode():
            return self.run(self.to_device(batch))

    def extract(self, batch: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Return the output (n, …) of each named layer from one forward pass."""
        return hooks.extract(
            self.network, self.to_device(batch), layers, forward=self.run, aliases=self.aliases
        )

    def run(self, batch: Tensor) -> Any:
        """Run the network on a batch that is on its device; override for another entry point."""
        return self.network(batch)

    def to_device(self, batch: Tensor) -> Tensor:
        """Return ``batch`` on the network's device."""
        return batch.to(self.device, non_blocking=True)


def _warn_of_takes(old: str, new: str) -> None:
    warnings.warn(
        f"{old} is now {new}; the old name goes with the next release",
        DeprecationWarning,
        stacklevel=3,
    )
