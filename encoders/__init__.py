"""Feature extractors for brain encoding, each a plug-in; independent of the fitting strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from encoders.conformance import check_encoder

__all__ = ["check_encoder"]


def __getattr__(name: str) -> Any:
    if name == "check_encoder":
        from encoders.conformance import check_encoder

        return check_encoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
