"""Checks of model sizes, with the nearest sizes that can be built."""

from __future__ import annotations

import math
from collections.abc import Callable

from bench_core.errors import InputError


def check_like(name: str, value: object, example: object, *, none: bool = False) -> None:
    """Raise `InputError` unless ``value`` is of the kind of ``example``, and finite.

    An integer is a number, and a list is like a tuple. ``none`` allows None.

    >>> check_like("learning_rate", 1, 3e-4)
    """
    if none and value is None:
        return
    if isinstance(example, bool) or not isinstance(example, int | float):
        kinds: tuple[type, ...] = (list, tuple) if isinstance(example, tuple) else (type(example),)
    else:
        kinds = (int,) if isinstance(example, int) else (int, float)
    fits = isinstance(value, kinds) and (isinstance(value, bool) <= isinstance(example, bool))
    if fits and isinstance(value, list | tuple) and isinstance(example, tuple):
        for each in value:
            check_like(name, each, example[0])
    if not fits or (isinstance(value, float) and not math.isfinite(value)):
        raise InputError(f"{name} is {value!r}: give a value such as {example!r}")


def at_least_one(name: str, value: int) -> None:
    """Raise `InputError` for a count below 1."""
    if value < 1:
        raise InputError(f"{name} {value} is below 1: use 1 or more")


def power_of_two(n: int) -> bool:
    """Return True for a power of two ``n`` ≥ 1."""
    return n & (n - 1) == 0


def multiple_of(factor: int) -> Callable[[int], bool]:
    """Return the test of divisibility by ``factor``."""
    return lambda n: n % factor == 0


def nearest(value: int, fits: Callable[[int], bool]) -> str:
    """Return the nearest sizes below and above ``value`` that fit, nearest first, as text.

    >>> nearest(1024, multiple_of(3))
    '1023 or 1026'
    """
    below = next((n for n in range(value - 1, 0, -1) if fits(n)), None)
    above = next(n for n in range(value + 1, 2 * value + 4096) if fits(n))
    found = [above] if below is None else sorted((below, above), key=lambda n: abs(n - value))
    return " or ".join(map(str, found))


def check_width(name: str, width: int, heads: int, truncate: bool) -> None:
    """Raise `InputError`, with the nearest width that fits, for a width that attention cannot have.

    A width must be divisible by 3 (for the position embedding) and by ``heads``. With ``truncate``
    the heads need not divide it.
    """

    def fits(n: int) -> bool:
        return n % 3 == 0 and (n % heads == 0 or (truncate and n >= heads))

    if fits(width):
        return
    reasons = []
    if width % 3:
        reasons.append("by 3 (each of the three position axes gets a third)")
    if width % heads and not truncate:
        reasons.append(f"by its {heads} heads")
    if not reasons:
        reasons.append(f"into {heads} heads of at least one dimension")
    message = f"{name} {width} is not divisible {' nor '.join(reasons)}: use "
    message += nearest(width, fits)
    if not truncate:
        by_three = nearest(width, lambda n: n % 3 == 0 and n >= heads) if width % 3 else str(width)
        if by_three != nearest(width, fits):
            message += f"; as the published code truncates (truncate_heads=True), {by_three}"
    raise InputError(message)
