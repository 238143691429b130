"""An encoder around a `torch.nn.Module`: layers by dotted name through forward hooks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from encoders import hooks
from encoders.protocol import Frames, Takes, WeightsInfo


class TorchEncoder(ABC):
    """Base of encoders whose layers are modules of one network.

    A subclass gives ``name``, ``summary`` and `preprocess`, and calls ``__init__`` with the rest.

    Parameters
    ----------
    network : put into evaluation mode and moved to ``device``.
    takes, preprocessing, weights : as in `encoders.protocol.Encoder`.
    aliases : further layer names, each with the dotted module name it stands for; listed first.
    """

    name: str
    summary: str

    def __init__(
        self,
        network: nn.Module,
        *,
        takes: Takes,
        preprocessing: str,
        weights: WeightsInfo,
        device: str | torch.device = "cpu",
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.network = network.eval().requires_grad_(False).to(self.device)
        self.takes = takes
        self.preprocessing = preprocessing
        self.weights = weights
        self.aliases = dict(aliases or {})

    def layers(self) -> list[str]:
        """Return the aliases, then the dotted names of all modules."""
        return [*self.aliases, *hooks.module_names(self.network)]

    def channel_axis(self, layer: str) -> int:
        """Return the axis of ``layer``'s output that holds channels: 1, unless overridden."""
        hooks.check_layers([layer], self.layers())
        return 1

    @abstractmethod
    def preprocess(self, frames: Frames) -> Tensor:
        """Return the network's input for ``frames``, on the CPU."""

    def forward(self, batch: Tensor) -> Any:
        """Return the network's own output for a preprocessed batch."""
        with torch.inference_mode():
            return self.run(self.to_device(batch))

    def extract(self, batch: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Return the output (n, …) of every named layer, all of one forward pass."""
        return hooks.extract(
            self.network, self.to_device(batch), layers, forward=self.run, aliases=self.aliases
        )

    def run(self, batch: Tensor) -> Any:
        """Run the network on a batch that is on its device; override for another entry point."""
        return self.network(batch)

    def to_device(self, batch: Tensor) -> Tensor:
        """Return ``batch`` where the network is."""
        return batch.to(self.device, non_blocking=True)
