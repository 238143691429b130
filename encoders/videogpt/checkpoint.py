"""Checkpoints: published ones (also from Lightning), and those of `encoders.videogpt.training`.

No code in them runs. Besides tensors and plain values
only `argparse.Namespace` is allowed, in which published checkpoints store hyper-parameters.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from bench_core.errors import InputError
from encoders.torch_files import load_plain
from encoders.videogpt import published
from encoders.videogpt.config import Attention, LayerNormKind, VideoGPTConfig
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.vqvae import VQVAE
from encoders.weights import read_tensors

FORMAT = "ridgebench-videogpt/1"


def read(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint: its ``state_dict`` and, if stored, its sizes.

    Raises `InputError` for a file that is missing, truncated, or holds code.
    """
    if path.suffix == ".safetensors":
        return {"state_dict": read_tensors(path)}
    content = load_plain(path, allowed=[argparse.Namespace])
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__}: save a state_dict instead")
    if "state_dict" in content:
        return dict(content)
    if content and all(isinstance(value, Tensor) for value in content.values()):
        return {"state_dict": dict(content)}
    raise InputError(
        f"{path} has no state_dict, but {', '.join(map(str, content)) or 'nothing'}: save the "
        "state_dict under that key"
    )


def load(
    path: Path,
    *,
    config: VideoGPTConfig | None = None,
    attention: Attention = "sdpa",
    layer_norm: LayerNormKind | None = None,
) -> VideoGPT | VQVAE:
    """Return the model in a checkpoint, in evaluation mode.

    Parameters
    ----------
    config : sizes; needed where the file does not have them (a bare state dict) or has wrong ones.
    attention : implementation of the attention, which is independent of the weights.
    layer_norm : None chooses the published kind for published hyper-parameters, and the stored one
        for checkpoints of `encoders.videogpt.training`.

    Raises `InputError` for names or shapes that differ from the model's, and for a conditioning
    other than on the previous clip's embeddings.
    """
    content = read(path)
    state: dict[str, Tensor] = content["state_dict"]
    is_gpt = any(name.startswith("attn_stack.") for name in state)
    if config is None:
        config = _config_of(content, state, path)
    kind = layer_norm or config.gpt.layer_norm
    config = config.with_sizes(attention=attention, layer_norm=kind)
    model: VideoGPT | VQVAE
    model = VideoGPT(config) if is_gpt else VQVAE(config.vqvae, attention)
    _fill(model, state, path)
    return model.eval()


def load_gpt(path: Path, **options: Any) -> VideoGPT:
    """Return the GPT of a checkpoint; raise `InputError` if it has a VQ-VAE alone."""
    model = load(path, **options)
    if not isinstance(model, VideoGPT):
        raise InputError(f"{path} holds a VQ-VAE alone: give a checkpoint of a GPT")
    return model


def load_vqvae(path: Path, **options: Any) -> VQVAE:
    """Return the VQ-VAE of a checkpoint, alone or inside a GPT."""
    model = load(path, **options)
    return model.vqvae if isinstance(model, VideoGPT) else model


def _fill(model: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load ``state`` strictly, except for causal masks, which are not weights."""
    wanted = model.state_dict()
    missing = [n for n in wanted if n not in state and not n.endswith(".attn.attn.mask")]
    surplus = [n for n in state if n not in wanted]
    shapes = [
        f"{n} is {tuple(state[n].shape)}, not {tuple(wanted[n].shape)}"
        for n in wanted
        if n in state and state[n].shape != wanted[n].shape
    ]
    for problem, names in (("lacks", missing), ("has unknown", surplus), ("differs:", shapes)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise InputError(
                f"{path} does not fit the model: it {problem} {', '.join(names[:3])}{more}; give "
                "the sizes that it was trained with"
            )
    model.load_state_dict(dict(state), strict=False)


def _config_of(
    content: Mapping[str, Any], state: Mapping[str, Tensor], path: Path
) -> VideoGPTConfig:
    if content.get("format") == FORMAT:
        try:
            return VideoGPTConfig.from_dict(content["config"])
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} states sizes that no model here has ({error!r}): give another checkpoint"
            ) from None
    hyper = published.hyper_parameters(content)
    if hyper is None:
        raise InputError(
            f"{path} does not state its sizes: give the checkpoint (.pt) that training wrote, or, "
            "from Python, the sizes as config=preset(…)"
        )
    try:
        return published.sizes(hyper, state)
    except (KeyError, InputError) as error:
        raise InputError(f"{path} is not a VideoGPT that can be built: {error}") from None
