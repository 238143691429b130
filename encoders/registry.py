"""Encoders by name: modules of `encoders.plugins`, and entry points of other packages."""

from __future__ import annotations

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


def make(name: str, weights: object = None, **options: Any) -> Encoder:
    """Return the encoder ``name``, made with ``weights`` and its own ``options``.

    Raises `bench_core.errors.UnknownNameError`, with near names, for an unknown encoder.
    """
    encoder: Encoder = ENCODERS.get(name)(weights, **options)
    return encoder
