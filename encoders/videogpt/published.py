"""Sizes of published checkpoints, from their weights and hyper-parameters."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from torch import Tensor

from bench_core.errors import InputError
from encoders.videogpt.config import GPTConfig, Grid, VideoGPTConfig, VQVAEConfig


def hyper_parameters(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a checkpoint's hyper-parameters, None if it has none.

    Lightning stores those of a model with the parameter ``args`` as ``hyper_parameters["args"]``,
    a namespace.
    """
    found = content.get("hyper_parameters", content.get("hparams"))
    if isinstance(found, Mapping) and "args" in found:
        found = found["args"]
    if isinstance(found, argparse.Namespace):
        found = vars(found)
    return dict(found) if isinstance(found, Mapping) else None


def sizes(hyper: Mapping[str, Any], state: Mapping[str, Tensor]) -> VideoGPTConfig:
    """Return the sizes of the model with these hyper-parameters and weights.

    Raises `KeyError` for a size that neither states, and `InputError` for another kind of model.
    """
    if not any(name.startswith("attn_stack.") for name in state):
        return VideoGPTConfig(
            vqvae=_vqvae(state, "", _grid(hyper["downsample"]), hyper["sequence_length"], hyper)
        )
    if hyper.get("class_cond") or hyper.get("n_cond_frames"):
        raise InputError(
            "it is conditioned on classes or frames: give a model that is conditioned on the "
            "previous clip's embeddings (emb_cond)"
        )
    grid = _grid([state[f"attn_stack.pos_embd.emb.d_{i}"].shape[0] for i in range(3)])
    if "downsample" in hyper:
        downsample = _grid(hyper["downsample"])
    else:
        # A GPT stores its own hyper-parameters and not its VQ-VAE's: the downsampling follows from
        # the grid. Its sequence_length is that of a sample, which is two clips.
        frames, side = int(hyper["sequence_length"]) // 2, int(hyper["resolution"])
        downsample = (frames // grid[0], side // grid[1], side // grid[2])
    vqvae = _vqvae(state, "vqvae.", downsample, downsample[0] * grid[0], hyper)
    return VideoGPTConfig(vqvae=vqvae, gpt=_gpt(hyper, state))


def _grid(values: Any) -> Grid:
    t, h, w = (int(value) for value in values)
    return (t, h, w)


def _vqvae(
    state: Mapping[str, Tensor],
    prefix: str,
    downsample: Grid,
    frames: int,
    hyper: Mapping[str, Any],
) -> VQVAEConfig:
    n_codes, embedding_dim = state[f"{prefix}codebook.embeddings"].shape
    stack = f"{prefix}encoder.res_stack."
    blocks = {
        name.removeprefix(stack).split(".")[0]
        for name in state
        if name.startswith(stack) and ".block." in name
    }
    return VQVAEConfig(
        embedding_dim=embedding_dim,
        n_codes=n_codes,
        n_hiddens=state[f"{prefix}pre_vq_conv.conv.weight"].shape[1],
        n_res_layers=len(blocks),
        downsample=downsample,
        sequence_length=int(frames),
        resolution=int(hyper["resolution"]),
    )


def _gpt(hyper: Mapping[str, Any], state: Mapping[str, Tensor]) -> GPTConfig:
    known = {field.name for field in fields(GPTConfig)}
    given = {name: value for name, value in hyper.items() if name in known and value is not None}
    hidden, cond = state["fc_in.weight"].shape[0], state["resnet.conv1.weight"].shape[0]
    heads, blocks = int(hyper["heads"]), "attn_stack.attn_nets."
    given |= {
        "hidden_dim": hidden,
        "cond_dim": cond,
        "layers": len({n.split(".")[2] for n in state if n.startswith(blocks)}),
        "layer_norm": "published",
        "truncate_heads": bool(hidden % heads or cond % heads),
    }
    return GPTConfig(**given)
