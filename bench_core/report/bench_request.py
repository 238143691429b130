"""Checks of what `ridgebench bench` was asked for, before an environment is built.

asv ends with the same status for a benchmark that failed and for an option that it does not know,
and it builds every environment before it finds that no benchmark matches.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench_core.errors import InputError, unknown

PROFILES = "profiles.toml"
SELECTION = "RIDGEBENCH_BENCH"
"""Variable of the patterns of ``--bench``, as JSON: what is measured in turns is asked of it."""
_KINDS = ("track_", "time_", "timeraw_", "mem_", "peakmem_")


def check_profile(benchmarks: Path, name: str) -> None:
    """Raise `UnknownNameError`, with near names, for a profile that the suites do not have."""
    path = benchmarks / PROFILES
    known = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if name not in known:
        raise unknown("profile", name, known)


def check_arguments(arguments: Sequence[str], benchmarks: Path) -> None:
    """Check further arguments of `asv run`.

    Raises
    ------
    UnknownNameError : an option that asv does not have, or a benchmark that no suite has.
    InputError : a range of commits, or a value that asv refuses.
    """
    from asv.commands import make_argparser

    parser, commands = make_argparser()
    run = commands.choices["run"]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            found, further = parser.parse_known_args(["run", *arguments])
    except SystemExit:
        last = said.getvalue().strip().rpartition("error: ")[2] or "it was not understood"
        raise InputError(f"asv run {' '.join(arguments)}: {last}") from None
    options = sorted(option for option in run._option_string_actions if option.startswith("--"))
    for word in further:
        if word.startswith("-"):
            raise unknown("option of asv run", word.partition("=")[0], options)
    if found.range is not None or further:
        given = found.range if found.range is not None else further[0]
        raise InputError(
            f"{given!r} is no option: `ridgebench bench` measures the commit that is checked out. "
            f"For other commits run `asv run {given}`, then `ridgebench report`"
        )
    names = sorted(benchmark_names(benchmarks))
    for pattern in found.bench or ():
        _check_pattern(pattern, names)


def split_benchmarks(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the patterns of ``--bench`` among further arguments of `asv run`, and the rest.

    >>> split_benchmarks(["--bench", "threads", "--show-stderr", "-b=kernels"])
    (['threads', 'kernels'], ['--show-stderr'])
    """
    patterns, rest = [], []
    words = iter(arguments)
    for word in words:
        option, equals, value = word.partition("=")
        if option in ("--bench", "-b"):
            patterns.append(value if equals else next(words, ""))
        else:
            rest.append(word)
    return patterns, rest


def suites_of(patterns: Sequence[str], benchmarks: Path) -> set[str]:
    """Return the suites that patterns of ``--bench`` name; all where there are none.

    What is in brackets, parameters, is left out of the comparison.
    """
    plain = [pattern.partition("(")[0].removesuffix("\\") for pattern in patterns]
    return {
        name.partition(".")[0]
        for name in benchmark_names(benchmarks)
        if not plain or any(re.search(one, name) for one in plain)
    }


def is_selected(suite: type, parameters: Sequence[Any], patterns: Sequence[str]) -> bool:
    r"""Return whether patterns of ``--bench`` select a suite with these parameters, as asv does.

    asv searches every pattern in MODULE.CLASS.METHOD(PARAMETERS). All are selected by no pattern.

    >>> class Threads:
    ...     def track_time(self): ...
    >>> Threads.__module__ = "benchmarks.threads"
    >>> is_selected(Threads, ("roi", 2), [r"track_time\('roi'"])
    True
    >>> is_selected(Threads, ("parcels", 2), [r"track_time\('roi'"])
    False
    """
    module = suite.__module__.rpartition(".")[2]
    words = ", ".join(map(repr, parameters))
    names = [
        f"{module}.{suite.__name__}.{method}({words})"
        for method in dir(suite)
        if method.startswith(_KINDS)
    ]
    return not patterns or any(re.search(one, name) for one in patterns for name in names)


def selection_variable(patterns: Sequence[str]) -> dict[str, str]:
    """Return the variable that tells suites what ``--bench`` selects; none where it is not given.

    >>> selection_variable([])
    {}
    """
    return {SELECTION: json.dumps(list(patterns))} if patterns else {}


def selected_patterns() -> list[str]:
    """Return the patterns that the environment has, from `selection_variable`."""
    found: list[str] = json.loads(os.environ.get(SELECTION) or "[]")
    return found


def _check_pattern(pattern: str, names: Sequence[str]) -> None:
    """Check a regular expression of asv's ``--bench``; parameters in brackets are left to asv."""
    plain = pattern.partition("(")[0].removesuffix("\\")
    try:
        matches = re.compile(plain)
    except re.error as error:
        raise InputError(f"--bench {pattern!r} is no regular expression: {error}") from None
    if not any(matches.search(name) for name in names):
        parts = {part for name in names for part in name.split(".")[:2]}
        raise unknown("benchmark", pattern, parts)


def benchmark_names(benchmarks: Path) -> Iterator[str]:
    """Yield the names MODULE.CLASS.METHOD of the benchmarks in a folder, without importing it."""
    for path in sorted(benchmarks.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for item in tree.body:
            if not isinstance(item, ast.ClassDef):
                continue
            for part in item.body:
                if isinstance(part, ast.FunctionDef) and part.name.startswith(_KINDS):
                    yield f"{path.stem}.{item.name}.{part.name}"
