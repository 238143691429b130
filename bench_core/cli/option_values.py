"""Values of the common options as commands use them: pairs, lists, threads, former names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from bench_core.cli.options import PENALTY_OPTIONS

if TYPE_CHECKING:
    from bench_core.cluster.settings import ClusterSettings

T = TypeVar("T")


def renamed(old: str, new: str, former: T | None, value: T) -> T:
    """Return what the hidden option ``old`` was given, with a line that says so, else ``value``."""
    if former is None:
        return value
    click.echo(f"{old} is now {new}; the old name goes with the next release", err=True)
    return former


def threads_per_node(
    threads: int | None,
    nodes: int,
    *,
    hardware_threads: bool = False,
    cluster: ClusterSettings | None = None,
) -> int:
    """Return the threads of each node: those given, else all cores divided by the nodes.

    On another cluster than this machine, the most with which so many nodes fit.

    Raises
    ------
    InputError : no number is given, and the cluster's configuration does not say its cores.
    """
    from bench_core.cluster.settings import LOCAL, default_threads

    return threads or default_threads(cluster or LOCAL, nodes, hardware_threads=hardware_threads)


def named_values(pairs: tuple[tuple[str, Any], ...], flag: str = "--option") -> dict[str, Any]:
    """Return NAME=VALUE pairs as a mapping.

    Raises
    ------
    UsageError : a name is given twice.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise click.UsageError(f"{flag} {name} is given twice: give it once")
        found[name] = value
    return found


def listed_words(given: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Return the words of an option that takes several and may be repeated, each once."""
    return tuple(dict.fromkeys(word for words in given for word in words))


def strategy_options(
    strategy: str,
    pairs: tuple[tuple[str, Any], ...],
    flags: dict[str, Any],
) -> dict[str, Any]:
    """Return a strategy's options: those of ``--option`` and those with a flag of their own.

    What was not given is left out: the strategy's own default holds. Those with a flag, all of
    `PENALTY_OPTIONS` but the candidates, are taken out of the command's ``flags``.

    Raises
    ------
    UsageError : an option is given twice.
    InputError : the strategy has no such option; the message names those that do.
    """
    from bench_core import strategies
    from bench_core.errors import InputError

    found = named_values(pairs)
    kind = strategies.get(strategy)
    names = [name.replace("-", "_") for name in PENALTY_OPTIONS if name != "alphas"]
    taken = {name: flags.pop(name) for name in names}
    # 0 decades and a flag that is off are what holds without them.
    given = {name: value for name, value in taken.items() if value}
    for name, value in given.items():
        flag = f"--{name.replace('_', '-')}"
        if name in found:
            raise click.UsageError(f"{flag} and --option {name} say the same: give one")
        if name not in kind.supports:
            able = [one for one in strategies.names() if name in strategies.get(one).supports]
            raise InputError(f"{strategy} has no {flag} ({value}): {', '.join(able)} have it")
    if kind.is_default_cv(given.get("cv")):
        del given["cv"]
    return found | given
