"""A case's strategy options and candidates as words of `ridgebench fit`."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench_core.penalties import THESIS_ALPHAS, penalties_text

_FLAGS = {"cv": "--cv", "scoring": "--scoring", "extend_alphas": "--extend-alphas"}
"""Options with a flag of their own that takes their value; other ways are below."""


def option_words(
    options: Mapping[str, Any],
    alphas: Sequence[float] | None = None,
    *,
    fit_intercept: bool = True,
) -> list[str]:
    """Return the words of `ridgebench fit` that stand for options and candidates of a strategy.

    What holds without a word has none. A path for coefficients has none either: the command writes
    them to its result folder.

    Parameters
    ----------
    options : of the strategy, JSON values. alphas : candidates, None for the thesis's.

    Examples
    --------
    >>> option_words({"cv": "gcv", "alpha_per_target": True}, [1.0, 10.0])
    ['--alphas', '1,10', '--alpha-per-target', '--cv', 'gcv']
    >>> option_words({"coef": None, "solver": "dual"})
    ['--no-coef', '--option', 'solver=dual']
    """
    words: list[str] = []
    if alphas is not None and tuple(alphas) != THESIS_ALPHAS:
        words += ["--alphas", penalties_text(alphas)]
    if not fit_intercept:
        words.append("--no-intercept")
    for name, value in sorted(options.items()):
        words += _words(name, value)
    return words


def _words(name: str, value: Any) -> list[str]:
    if name == "alpha_per_target" and isinstance(value, bool):
        return ["--alpha-per-target"] if value else []
    if name == "extend_alphas" and value == 0:
        return []
    if name == "coef":
        return ["--no-coef"] if value is None else []
    if name == "memory_limit" and isinstance(value, int):
        return ["--memory-limit", str(value)]
    if name in _FLAGS and isinstance(value, str | int):
        return [_FLAGS[name], str(value)]
    return ["--option", f"{name}={_text(value)}"]


def _text(value: Any) -> str:
    """Return a value as ``--option`` reads it: text as it is, unless it would be another value."""
    if not isinstance(value, str):
        return json.dumps(value)
    for parse in (json.loads, ast.literal_eval):
        try:
            parse(value)
        except (ValueError, SyntaxError):
            continue
        return json.dumps(value)
    return value
