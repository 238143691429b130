"""Types of command-line values that several commands take."""

from __future__ import annotations

import ast
import json
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click

from bench_core.penalties import log_spaced

if TYPE_CHECKING:
    from bench_core.cluster.settings import ClusterSettings

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY_UNITS = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


class ClusterChoice(click.ParamType):
    """local, the address of a Dask scheduler, or a TOML file."""

    name = "file|local|tcp://…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> ClusterSettings:
        """Return the configuration; raises what reading it raises, naming the key."""
        from bench_core.cluster.settings import ClusterSettings, parse_cluster

        return value if isinstance(value, ClusterSettings) else parse_cluster(str(value))


class Scale(click.ParamType):
    """A number such as 0.25, or a fraction such as 1/4."""

    name = "scale"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number; fail with an example otherwise."""
        try:
            return float(Fraction(str(value)))
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is not a number such as 0.25 or 1/4", param, ctx)


class Option(click.ParamType):
    """NAME=VALUE: the value is JSON (true, null, [1, 2]), else Python (True, None), else text."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Return name and value; fail with an example otherwise."""
        name, equals, text = str(value).partition("=")
        if not name or not equals:
            self.fail(f"{value!r} is not NAME=VALUE, such as gcv_mode=svd", param, ctx)
        for parse in (json.loads, ast.literal_eval):
            try:
                return name, parse(text)
            except (ValueError, SyntaxError):
                continue
        return name, text


class Bytes(click.ParamType):
    """A number of bytes, such as 8GB (10⁹) or 8GiB (2³⁰)."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes; fail with an example otherwise."""
        found = re.fullmatch(r"\s*([0-9.]+)\s*([kmgt]?i?)b?\s*", str(value), re.IGNORECASE)
        units = _UNITS | _BINARY_UNITS
        try:
            if found is None:
                raise ValueError
            count = int(float(found[1]) * units[found[2].lower()])
        except (ValueError, KeyError):
            count = 0
        if count < 1:
            self.fail(f"{value!r} is not a size such as 8GB, 8GiB or 8000000000", param, ctx)
        return count


class Folds(click.ParamType):
    """loo, gcv, run, or a number of folds."""

    name = "loo|gcv|K|run"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | int:
        """Return the word or the number; fail with the choices otherwise."""
        text = str(value).strip().lower()
        if text in ("loo", "gcv", "run"):
            return text
        if not text.isdigit() or int(text) < 2:
            self.fail(
                f"{value!r}: give loo (leave-one-out), gcv (generalised cross-validation), run "
                "(folds by run), or a number of folds from 2 on",
                param,
                ctx,
            )
        return int(text)


class Spaces(click.ParamType):
    """Names of feature spaces with their numbers of columns, or their ranges of columns."""

    name = "name=count,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, list[list[int]]]:
        """Return name → ranges; fail with what is wrong otherwise."""
        if isinstance(value, dict):
            return value
        from bench_core.data import FeatureSpaces
        from bench_core.errors import InputError

        try:
            return FeatureSpaces.parse(str(value)).to_json()
        except InputError as error:
            self.fail(str(error), param, ctx)


class Numbers(click.ParamType):
    """Numbers separated by commas; FIRST:LAST:COUNT stands for COUNT log-spaced ones."""

    name = "λ,λ,…|λ:λ:n"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Return the numbers; fail with an example otherwise."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(number for word in str(value).split(",") for number in _numbers(word))
        except ValueError:
            self.fail(
                f"{value!r} is neither numbers separated by commas, such as 1,10, nor positive "
                "FIRST:LAST:COUNT, such as 1e-3:1e7:15",
                param,
                ctx,
            )


class Words(click.ParamType):
    """Words separated by commas."""

    name = "name,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the words, each once; fail for none."""
        if isinstance(value, tuple):
            return value
        found = tuple(dict.fromkeys(filter(None, (word.strip() for word in value.split(",")))))
        if not found:
            self.fail(f"{value!r} names nothing: separate names by commas", param, ctx)
        return found


class Counts(click.ParamType):
    """Whole numbers from 1 on, separated by commas."""

    name = "n,n,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers, each once; fail with an example otherwise."""
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",")]
        if not all(word.isdecimal() and int(word) > 0 for word in words):
            self.fail(f"{value!r} is not whole numbers from 1 on, such as 1,2,4", param, ctx)
        return tuple(dict.fromkeys(map(int, words)))


class Duration(click.ParamType):
    """A time such as 90s, 30min or 2h; seconds without a unit."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds; fail with an example otherwise."""
        if isinstance(value, float):
            return value
        units = {"": 1, "s": 1, "min": 60, "h": 3600}
        found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(s|min|h|)\s*", str(value))
        seconds = float(found[1]) * units[found[2]] if found else 0.0
        if seconds <= 0:
            self.fail(f"{value!r} is not a time such as 90s, 30min or 2h", param, ctx)
        return seconds


def _numbers(word: str) -> list[float]:
    """Return the numbers that a word stands for; raise `ValueError` for any other word."""
    parts = word.split(":")
    if len(parts) == 1:
        return [float(word)]
    if len(parts) != 3:
        raise ValueError(word)
    return list(log_spaced(float(parts[0]), float(parts[1]), int(parts[2])))
