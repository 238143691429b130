"""Outputs of layers inside a network, by dotted module name, several in one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench_core.errors import InputError, unknown


class _Enough(Exception):
    """Stops a forward pass once every wanted layer has answered."""


def module_names(network: nn.Module) -> list[str]:
    """Return the dotted names of all modules inside ``network``, in order of definition."""
    return [name for name, _ in network.named_modules() if name]


def check_layers(layers: Sequence[str], known: Sequence[str]) -> None:
    """Raise `UnknownNameError`, with near names, unless all ``layers`` are ``known``."""
    if not layers:
        raise InputError("no layer was asked for: name one or more")
    for layer in layers:
        if layer not in known:
            raise unknown("layer", layer, known)


def extract(
    network: nn.Module,
    batch: Tensor,
    layers: Sequence[str],
    *,
    forward: Callable[[Tensor], Any] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> dict[str, Tensor]:
    """Return the outputs of ``layers`` for ``batch`` from one pass, which ends with the last.

    Parameters
    ----------
    forward : what runs the network, if not ``network(batch)`` itself.
    aliases : further layer names and the dotted module name that each stands for.

    A layer that runs more than once in a pass gives its first output. Raises `UnknownNameError` for
    a layer that is not there, `InputError` for one that gives no tensor or is never reached.
    """
    aliases = aliases or {}
    modules = dict(network.named_modules())
    check_layers(layers, [*module_names(network), *aliases])
    targets = {layer: aliases.get(layer, layer) for layer in layers}
    found: dict[str, Tensor] = {}
    wanted = set(targets.values())

    def keep(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                raise InputError(f"layer {name!r} gives {type(output).__name__}, not one tensor")
            # Cloned: a later in-place activation would change the tensor that is kept here.
            found.setdefault(name, output.detach().clone())
            if len(found) == len(wanted):
                raise _Enough

        return hook

    handles = [modules[name].register_forward_hook(keep(name)) for name in wanted]
    try:
        with torch.inference_mode():
            (forward or network)(batch)
    except _Enough:
        pass
    finally:
        for handle in handles:
            handle.remove()
    silent = [layer for layer, name in targets.items() if name not in found]
    if silent:
        raise InputError(f"layer {silent[0]!r} takes no part in the forward pass")
    return {layer: found[name] for layer, name in targets.items()}
