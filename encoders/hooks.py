"""Outputs of a network's layers, by dotted module name, all from one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench_core.errors import InputError
from encoders.outputs import check_layers


class _AllCaptured(Exception):
    """Ends a forward pass as soon as all layers have been captured."""


def module_names(network: nn.Module) -> list[str]:
    """Return the dotted names of all modules inside ``network``, in order of definition."""
    return [name for name, _ in network.named_modules() if name]


def extract(
    network: nn.Module,
    batch: Tensor,
    layers: Sequence[str],
    *,
    forward: Callable[[Tensor], Any] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> dict[str, Tensor]:
    """Return the outputs of ``layers`` for ``batch`` from one pass, which ends with the last layer.

    A layer that runs more than once in a pass gives its first output.

    Parameters
    ----------
    forward : function that runs the network on a batch; None calls ``network(batch)``.
    aliases : further layer name → dotted module name.

    Raises
    ------
    UnknownNameError : ``network`` has no such layer; the message has near names.
    InputError : no layer is given, or one returns no tensor or does not run in the pass.

    Examples
    --------
    >>> network = nn.Sequential(nn.ReLU(), nn.Flatten())
    >>> extract(network, torch.tensor([[[-1.0, 2.0]]]), ["0", "1"])["1"].tolist()
    [[0.0, 2.0]]
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
                raise InputError(
                    f"layer {name!r} returns {type(output).__name__}, not one tensor: choose a "
                    "layer inside it"
                )
            # Cloned, because an in-place activation may follow and would change it.
            found.setdefault(name, output.detach().clone())
            if len(found) == len(wanted):
                raise _AllCaptured

        return hook

    handles = [modules[name].register_forward_hook(keep(name)) for name in wanted]
    try:
        with torch.inference_mode():
            (forward or network)(batch)
    except _AllCaptured:
        pass
    finally:
        for handle in handles:
            handle.remove()
    missing = [layer for layer, name in targets.items() if name not in found]
    if missing:
        raise InputError(
            f"layer {missing[0]!r} does not run in the forward pass: choose another layer"
        )
    return {layer: found[name] for layer, name in targets.items()}
