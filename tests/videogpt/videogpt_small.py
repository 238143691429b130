"""Models and clips small enough for tests, and an independent forward pass to hold them to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from encoders.videogpt import VideoGPTConfig, preset
from encoders.videogpt.clips.store import ClipStore, Stretch, write_run

SIDE = 16


def small(**changes: Any) -> VideoGPTConfig:
    """Return sizes below ``tiny``: clips of 4 frames of 16 px, a grid of 2 × 4 × 4 codes."""
    sizes: dict[str, Any] = {
        "n_hiddens": 12,
        "embedding_dim": 8,
        "n_codes": 32,
        "sequence_length": 4,
        "resolution": SIDE,
        "downsample": (2, 4, 4),
        "hidden_dim": 24,
        "cond_dim": 12,
        "dropout": 0.0,
        "attn_dropout": 0.0,
    }
    return preset("tiny", **{**sizes, **changes})


def moving_square(frames: int, seed: int, side: int = SIDE) -> NDArray[np.uint8]:
    """Return (frames, side, side, 3): a bright square that bounces, its start drawn by a seed."""
    generator = np.random.default_rng(seed)
    room = side - side // 4
    place, step = generator.integers(0, room, 2), generator.choice([-1, 1], 2)
    colour = generator.integers(80, 256, 3)
    video = np.zeros((frames, side, side, 3), np.uint8)
    for picture in video:
        y, x = place
        picture[y : y + side // 4, x : x + side // 4] = colour
        step = np.where((place + step < 0) | (place + step > room), -step, step)
        place = place + step
    return video


def make_store(folder: Path, runs: int = 4, frames: int = 24) -> ClipStore:
    """Return a store of ``runs`` runs by two subjects."""
    for run in range(runs):
        stretch = Stretch(moving_square(frames, run), np.arange(frames) / 10)
        write_run(folder, f"run-{run}", [stretch], subject=f"sub-{run % 2}", source="made")
    return ClipStore(folder)


def reference_gpt(
    state: dict[str, Tensor], before: Tensor, codes: Tensor, *, heads: int, layers: int
) -> Tensor:
    """Return the logits of the published GPT, from its weights and its description alone.

    Written position by position in double precision: attention as explicit sums over the
    allowed keys, the published layer normalisation, no module of the package.
    """
    w = {name: value.double() for name, value in state.items()}
    grid = codes.shape[1:]
    count = codes[0].numel()

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scale = 1e-5 + 1 / centred.pow(2).mean(-1, keepdim=True).sqrt()
        return centred * scale * w[f"{name}.g"] + w[f"{name}.b"]

    def places(name: str) -> Tensor:
        d = [w[f"{name}.emb.d_{i}"] for i in range(3)]
        rows = [
            torch.cat([d[0][t], d[1][y], d[2][x]])
            for t in range(grid[0])
            for y in range(grid[1])
            for x in range(grid[2])
        ]
        return torch.stack(rows)

    def attend(x: Tensor, source: Tensor, name: str, causal: bool) -> Tensor:
        q, k, v = (
            (y @ w[f"{name}.{part}.weight"].T).reshape(len(y), heads, -1)
            for y, part in ((x, "w_qs"), (source, "w_ks"), (source, "w_vs"))
        )
        rows = []
        for i in range(len(x)):
            last = i + 1 if causal else len(source)
            heads_out = []
            for h in range(heads):
                scores = k[:last, h] @ q[i, h] / q.shape[-1] ** 0.5
                heads_out.append(torch.softmax(scores, 0) @ v[:last, h])
            rows.append(torch.cat(heads_out))
        return torch.stack(rows) @ w[f"{name}.fc.weight"].T + w[f"{name}.fc.bias"]

    def channel_norm(x: Tensor, name: str) -> Tensor:
        gain, offset = w[f"{name}.norm.norm.weight"], w[f"{name}.norm.norm.bias"]
        centred = x - x.mean(0)
        scaled = centred / (centred.pow(2).mean(0) + 1e-5).sqrt()
        return scaled * gain[:, None, None, None] + offset[:, None, None, None]

    def condition(clip: Tensor) -> Tensor:
        x = w["vqvae.codebook.embeddings"][clip].movedim(-1, 0)
        shortcut = channel_norm(F.conv3d(x, w["resnet.proj_conv.weight"]), "resnet.proj_bnr")
        y = F.relu(channel_norm(F.conv3d(x, w["resnet.conv1.weight"], padding=1), "resnet.bnr1"))
        y = F.relu(channel_norm(F.conv3d(y, w["resnet.conv2.weight"], padding=1), "resnet.bnr2"))
        return F.relu(y + shortcut).flatten(1).T + places("cond_pos_embd")

    logits = []
    for clip, previous in zip(codes, before, strict=True):
        source = condition(previous)
        x = w["vqvae.codebook.embeddings"][clip.flatten()] @ w["fc_in.weight"].T
        x = torch.cat([w["attn_stack.right_shift.sos"][None], x[: count - 1]])
        x = x + places("attn_stack.pos_embd")
        for i in range(layers):
            block = f"attn_stack.attn_nets.{i}"
            h = norm(x, f"{block}.pre_attn_norm")
            x = x + attend(h, h, f"{block}.attn", True)
            x = x + attend(norm(x, f"{block}.pre_enc_norm"), source, f"{block}.enc_attn", False)
            h = norm(x, f"{block}.pre_fc_norm")
            h = h @ w[f"{block}.fc_block.0.weight"].T + w[f"{block}.fc_block.0.bias"]
            h = h / (1 + torch.exp(-1.702 * h))
            x = x + h @ w[f"{block}.fc_block.2.weight"].T + w[f"{block}.fc_block.2.bias"]
        logits.append((norm(x, "norm") @ w["fc_out.weight"].T).reshape(*grid, -1))
    return torch.stack(logits)
