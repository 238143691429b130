"""VideoGPT's features: the GPT's layers on a clip, given the clip before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench_core.errors import InputError
from encoders.alignment import THESIS_TR, Alignment
from encoders.base import TorchEncoder
from encoders.hooks import check_layers
from encoders.protocol import Frames, Takes
from encoders.videogpt.attention import MultiHeadAttention, Product
from encoders.videogpt.checkpoint import load_gpt
from encoders.videogpt.clips.resize import RECIPE, resize
from encoders.videogpt.config import Attention, preset
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.vqvae import to_video
from encoders.weights import file_info, random_info

# The block whose output the thesis takes: the fifth of its eight; with fewer layers, the last
# (table 4.4, which in its comparison of layers takes the last, 7, of eight too).
THESIS_BLOCK = 4


class VideoGPTEncoder(TorchEncoder):
    """GPT and VQ-VAE of VideoGPT on clips: a TR's own clip, given the clip before.

    A clip's frames are spread evenly over one TR, so that the clip before is the TR before. The
    thesis reads ``attn_stack.attn_nets.4.post_fc_dp``, 147,456 values per clip, three TRs before
    the volume (`alignment`), and does not say how it reduced them: choose a reducer.

    Layers are the modules' published dotted names; ``features`` is the thesis's. A layer of the
    VQ-VAE is taken on the TR's own clip. Those of its decoder take no part.

    Parameters
    ----------
    weights : a GPT's checkpoint, published or our own, or None for random weights from ``seed``.
    preset : sizes of the random network: thesis, thesis-4.3c, tiny.
    tr : seconds that a clip lasts.
    attention : ``"reference"`` to hook the attention matrix, ``….attn.attn.softmax``.
    """

    name = "videogpt"
    summary = "VideoGPT's GPT on clips of one TR each, given the clip before (thesis chapter 4)"
    alignment = Alignment(window=1, start=3)

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        seed: int = 0,
        device: str | torch.device = "cpu",
        preset: str = "thesis",
        tr: float = THESIS_TR,
        attention: Attention = "sdpa",
    ) -> None:
        if not tr > 0:
            raise InputError(f"TR {tr} must be a number of seconds above 0")
        network = _network(weights, seed, preset, attention)
        sizes = network.config.vqvae
        frames, side = sizes.sequence_length, sizes.resolution
        block = min(THESIS_BLOCK, network.config.gpt.layers - 1)
        super().__init__(
            network,
            takes=Takes(
                "clips", (side, side), frames=2 * frames, frame_rate=frames / tr, lead=frames
            ),
            preprocessing=f"{RECIPE}, {side} px, values in [-0.5, 0.5]",
            weights=random_info(network) if weights is None else file_info(weights),
            device=device,
            aliases={"features": f"attn_stack.attn_nets.{block}.post_fc_dp"},
        )

    def channel_axis(self, layer: str) -> int:
        """Return the last axis for the GPT's layers and inside attentions, 1 for convolutions."""
        check_layers([layer], self.layers())
        path = self.aliases.get(layer, layer).split(".")
        chain = [self.network.get_submodule(".".join(path[: i + 1])) for i in range(len(path))]
        if any(isinstance(module, Product) for module in chain):
            return 5
        inside = any(isinstance(module, MultiHeadAttention | nn.LayerNorm) for module in chain)
        return 1 if path[0] in ("vqvae", "resnet") and not inside else 4

    def preprocess(self, frames: Frames) -> Tensor:
        """Return uint8 (n, frames, side, side, 3), on the CPU."""
        n, count = frames.pixels.shape[:2]
        side = self.takes.size[0]
        small = resize(frames.pixels.reshape(n * count, *frames.pixels.shape[2:]), side)
        return torch.from_numpy(small.reshape(n, count, side, side, 3))

    def run(self, batch: Tensor) -> Any:
        """Return the logits (n, t, h, w, n_codes) of the clips' codes."""
        assert isinstance(self.network, VideoGPT)
        video = to_video(batch)
        frames = self.takes.lead
        # The clip itself first: hooks keep a layer's first output.
        codes = self.network.vqvae.encode(video[:, :, frames:])
        before = self.network.vqvae.encode(video[:, :, :frames])
        return self.network(before, codes)


def _network(weights: str | Path | None, seed: int, name: str, attention: Attention) -> VideoGPT:
    if weights is None:
        config = preset(name, attention=attention)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return VideoGPT(config)
    if weights == "fetch":
        raise InputError(
            "no weights of VideoGPT are published for this: train some, or give a file"
        )
    return load_gpt(Path(weights), attention=attention)


ENCODER = VideoGPTEncoder
