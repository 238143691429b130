"""Quantities as people read them."""

from __future__ import annotations


def seconds_text(seconds: float) -> str:
    """Return a time with three significant digits and its unit."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:,.0f} s"
