"""Encoders by name: one file each in `encoders.plugins`, or an entry point of somebody else's."""

from __future__ import annotations

from typing import Any

from bench_core.plugins import Registry
from encoders.protocol import Encoder

ENCODERS = Registry("encoder", "encoders.plugins", "ENCODER", "ridgebench.encoders")


def names() -> list[str]:
    """Return the names of all encoders, sorted, without importing any."""
    return ENCODERS.names()


def make(name: str, weights: object = None, **options: Any) -> Encoder:
    """Return the encoder ``name``, with ``weights`` and its own ``options``.

    Raises `bench_core.errors.UnknownNameError` with near names.
    """
    encoder: Encoder = ENCODERS.get(name)(weights, **options)
    return encoder
