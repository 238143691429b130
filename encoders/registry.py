"""Encoders by name: modules of `encoders.plugins`, and entry points of other packages."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

from bench_core.plugins import Registry
from encoders.protocol import Encoder

ENCODERS = Registry("encoder", "encoders.plugins", "ENCODER", "ridgebench.encoders")


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

    Raises `bench_core.errors.UnknownNameError`, with near names, for an unknown encoder.
    """
    factory = ENCODERS.get(name)
    named = signature(factory).parameters
    taken = {key: value for key, value in (offered or {}).items() if key in named}
    encoder: Encoder = factory(weights, **taken, **options)
    return encoder
