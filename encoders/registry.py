"""Encoders by name: modules of `encoders.plugins`, and entry points of other packages."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, isclass, signature
from typing import Any

from bench_core.errors import RidgebenchError, install_command, unknown
from bench_core.plugins import Registry
from encoders.protocol import Encoder

ENCODERS = Registry("encoder", "encoders.plugins", "ENCODER", "ridgebench.encoders")

NETWORK_PACKAGES = ("torch", "safetensors")
"""Packages that encoders with a network need, and others do not."""


def names() -> list[str]:
    """Return the names of all encoders, sorted; no encoder is imported.

    >>> "vgg16" in names()
    True
    """
    return ENCODERS.names()


def make(
    name: str, weights: object = None, *, offered: Mapping[str, Any] | None = None, **options: Any
) -> Encoder:
    """Return the encoder ``name``, made with ``weights`` and its own ``options``.

    Parameters
    ----------
    offered : options of the caller's own, such as the TR. Those that the encoder's constructor
        names are passed on to it.

    Raises `bench_core.errors.UnknownNameError`, with near names, for an unknown encoder, or an
    option that it does not have, and `RidgebenchError` where it needs torch and that is absent.
    """
    factory = factory_of(name)
    named = signature(factory).parameters
    known = option_names(factory)
    for key in options:
        if known is not None and key not in known:
            raise unknown(f"option of {name}", key, known)
    taken = {key: value for key, value in (offered or {}).items() if key in named}
    encoder: Encoder = factory(weights, **{**taken, **options})
    return encoder


def factory_of(name: str) -> Any:
    """Return what makes the encoder ``name``; raise as `make` does."""
    try:
        return ENCODERS.get(name)
    except ModuleNotFoundError as error:
        if error.name not in NETWORK_PACKAGES:
            raise
        raise RidgebenchError(
            f"encoder {name} needs {error.name}: {install_command('encoders')}"
        ) from error


def summaries() -> dict[str, str]:
    """Return a line on each encoder, or what it needs to be imported, by its name."""
    found = {}
    for name in names():
        try:
            found[name] = str(getattr(factory_of(name), "summary", ""))
        except RidgebenchError as error:
            found[name] = str(error)
    return found


def option_names(factory: Any) -> list[str] | None:
    """Return the names of a factory's options besides ``weights``; None where any may be given.

    An option that a class passes on, as ``**options``, is one of its base's.

    >>> "interpolation" in option_names(ENCODERS.get("vgg16-keras"))
    True
    """
    found: list[str] = []
    for each in factory.__mro__ if isclass(factory) else (factory,):
        if isclass(factory) and "__init__" not in vars(each):
            continue
        parameters = signature(each).parameters.values()
        found += [one.name for one in parameters if one.kind is Parameter.KEYWORD_ONLY]
        if not any(one.kind is Parameter.VAR_KEYWORD for one in parameters):
            return list(dict.fromkeys(found))
    return None


def default_layer(encoder: Encoder) -> str:
    """Return the layer that is meant where none is named: ``default_layer``, else the first."""
    own = getattr(encoder, "default_layer", None)
    return str(encoder.layers()[0] if own is None else own)
