"""VideoGPT's features: the layers of the GPT on a clip, given the previous clip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench_core.errors import InputError, unknown
from encoders import digests
from encoders.alignment import THESIS_TR, Alignment
from encoders.base import TorchEncoder
from encoders.int8_linear import quantise_linears, weight_bytes
from encoders.outputs import check_layers
from encoders.protocol import Frames, InputSpec
from encoders.videogpt.attention import MultiHeadAttention, Product
from encoders.videogpt.checkpoint import load_gpt
from encoders.videogpt.clips.resize import RECIPE, resize
from encoders.videogpt.config import QUANTISATIONS, Attention, Quantisation, preset
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.vqvae import to_video
from encoders.weights import file_info, random_info

# The thesis reads the fifth of eight blocks, and with fewer blocks the last. (Its comparison of
# layers, table 4.4, reads the last block throughout: block 7 of eight.)
THESIS_BLOCK = 4


class VideoGPTEncoder(TorchEncoder):
    """GPT and VQ-VAE of VideoGPT on the clip of each TR, given the previous clip.

    A clip's frames are spread evenly over one TR, so that the previous clip is the previous TR.
    The thesis reads ``attn_stack.attn_nets.4.post_fc_dp``, 147,456 values per clip, three TRs
    before the volume (`alignment`). It does not state how it reduced them: choose a reducer.

    Layers are the modules' published dotted names; ``features`` is the thesis's layer. A layer of
    the VQ-VAE is read on the TR's own clip. Its decoder does not run.

    Parameters
    ----------
    weights : a checkpoint of a GPT, published or from `encoders.videogpt.training`, or None for
        random weights from ``seed``.
    preset : sizes of the random network: thesis, thesis-4.3c, tiny.
    tr : duration of a clip in seconds.
    attention : ``"reference"`` computes the attention matrix, the layer ``….attn.attn.softmax``.
    quantisation : ``"int8"`` runs the GPT's linear layers in int8 (`encoders.int8_linear`); the
        VQ-VAE, whose codes would change, stays as it is.

    Raises `InputError` for a TR that is not above 0 and for a file that is no checkpoint of a GPT,
    `UnknownNameError` for another quantisation.

    Examples
    --------
    >>> encoder = VideoGPTEncoder(preset="tiny", tr=2.0)
    >>> encoder.input_spec.frames, encoder.input_spec.frame_rate, encoder.input_spec.lead
    (16, 4.0, 8)
    """

    name = "videogpt"
    summary = "VideoGPT's GPT on clips of one TR each, given the clip before (thesis chapter 4)"
    alignment = Alignment(window=1, start=3)
    default_layer = "features"

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        seed: int = 0,
        device: str | torch.device = "cpu",
        preset: str = "thesis",
        tr: float = THESIS_TR,
        attention: Attention = "sdpa",
        quantisation: Quantisation = "none",
    ) -> None:
        if not 0 < tr < float("inf"):
            raise InputError(f"TR {tr} s must be above 0 and finite")
        if quantisation not in QUANTISATIONS:
            raise unknown("quantisation", quantisation, QUANTISATIONS)
        self.tr = tr
        network = _network(weights, seed, preset, attention)
        info = random_info(network) if weights is None else file_info(weights)
        if quantisation == "int8":
            quantise_linears(network, but=["vqvae"])
            # Other weights: features of the float network are not theirs.
            info = replace(info, digest=digests.of_json([info.digest, "int8, channels and rows"]))
        sizes = network.config.vqvae
        frames, side = sizes.sequence_length, sizes.resolution
        block = min(THESIS_BLOCK, network.config.gpt.layers - 1)
        super().__init__(
            network,
            input_spec=InputSpec(
                "clips", (side, side), frames=2 * frames, frame_rate=frames / tr, lead=frames
            ),
            preprocessing=f"{RECIPE}, {side} px, values in [-0.5, 0.5]",
            weights=info,
            device=device,
            aliases={"features": f"attn_stack.attn_nets.{block}.post_fc_dp"},
        )

    def weight_bytes(self) -> int:
        """Return the bytes of the GPT's weights as it runs, without the VQ-VAE."""
        assert isinstance(self.network, VideoGPT)
        return weight_bytes(self.network) - weight_bytes(self.network.vqvae)

    def channel_axis(self, layer: str) -> int:
        """Return the channel axis of ``layer``'s output.

        It is the last axis for layers of the GPT and inside attentions, and axis 1 for
        convolutions and for the heads of an attention matrix.
        """
        check_layers([layer], self.layers())
        path = self.aliases.get(layer, layer).split(".")
        chain = [self.network.get_submodule(".".join(path[: i + 1])) for i in range(len(path))]
        if any(isinstance(module, Product) for module in chain):
            return 5 if isinstance(chain[-1], Product) else 1
        inside = any(isinstance(module, MultiHeadAttention | nn.LayerNorm) for module in chain)
        return 1 if path[0] in ("vqvae", "resnet") and not inside else 4

    def preprocess(self, frames: Frames) -> Tensor:
        """Return uint8 (n, frames, side, side, 3), on the CPU."""
        self.input_spec.check(frames)
        n, count = frames.pixels.shape[:2]
        side = self.input_spec.size[0]
        small = resize(frames.pixels.reshape(n * count, *frames.pixels.shape[2:]), side)
        return torch.from_numpy(small.reshape(n, count, side, side, 3))

    def run(self, batch: Tensor) -> Any:
        """Return the logits (n, t, h, w, n_codes) of the clips' codes."""
        assert isinstance(self.network, VideoGPT)
        video = to_video(batch)
        frames = self.input_spec.lead
        # The TR's own clip first: hooks keep a layer's first output.
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
            "weights 'fetch': VideoGPT has no published weights; train a GPT or give a file"
        )
    return load_gpt(Path(weights), attention=attention)


ENCODER = VideoGPTEncoder
