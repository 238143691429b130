"""Pairs of cases: the same fit in two environments, strategies, machines or commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench_core.comparison.cases import Measured
from bench_core.errors import InputError, unknown
from bench_core.records.runs import whole_commits

Dimension = Literal["environment", "strategy", "machine", "commit"]


@dataclass(frozen=True)
class Pairing:
    """Pairs of the first and the second side, and what has no partner.

    Parameters
    ----------
    first, second : the two sides in words.
    unpaired : a line for every case of one side alone, with the reason.
    notes : choices that were made where the names left one.

    Examples
    --------
    >>> Pairing("mkl", "openblas", (), (), ()).pairs
    ()
    """

    first: str
    second: str
    pairs: tuple[tuple[Measured, Measured], ...]
    unpaired: tuple[str, ...]
    notes: tuple[str, ...]


def pair(measured: Sequence[Measured], dimension: Dimension, first: str, second: str) -> Pairing:
    """Pair the cases of ``first`` with those of ``second``, two values of one ``dimension``.

    Everything else is equal in a pair. Environments and strategies are compared at the newest
    commit of each machine that has both; machines at the newest commit that both have, else each
    at its own. The newest is the one that was measured last, whole and not in part.

    Raises
    ------
    UnknownNameError : no record of this name; the message offers near ones.
    InputError : a name of several environments, or two names of one.
    """
    if not measured:
        raise InputError(
            "no collected record of a fit: run `ridgebench bench` or `ridgebench report`"
        )
    notes: list[str] = []
    choose = {
        "environment": _environment,
        "strategy": _strategy,
        "machine": _machine,
        "commit": _commit,
    }[dimension]
    is_first, is_second = (choose(measured, name, notes) for name in (first, second))
    sides = [[one for one in measured if chosen(one)] for chosen in (is_first, is_second)]
    if any(is_first(one) and is_second(one) for one in measured):
        raise InputError(f"{first} and {second} are the same {dimension}: name two")
    names = [
        _name(side, dimension, name) for side, name in zip(sides, (first, second), strict=True)
    ]
    sides = _at_newest(sides, dimension, notes)
    keyed = [{_key(one, dimension): one for one in side} for side in sides]
    return _paired(keyed, (names[0], names[1]), notes)


Chosen = Callable[[Measured], bool]


def _environment(measured: Iterable[Measured], name: str, notes: list[str]) -> Chosen:
    """Return which cases are of the environment that ``name`` means.

    That is its whole name, or words of what answered in it: library, version, kernels.
    """
    labels: dict[str, set[str]] = {}
    usable: set[str] = set()
    for one in measured:
        labels.setdefault(one.place.environment, set()).add(one.label)
        if one.runs:
            usable.add(one.place.environment)
    if name in labels:
        return lambda one: one.place.environment == name
    wanted = set(name.lower().split())
    found = [
        environment
        for environment, texts in sorted(labels.items())
        if any(wanted and wanted <= _words(environment, text) for text in texts)
    ]
    found = [one for one in found if one in usable] or found
    if not found:
        texts = {text for these in labels.values() for text in these}
        raise unknown(
            "environment", name, {text.split()[0] for text in texts} | texts | set(labels)
        )
    if len(found) > 1:
        default = [one for one in found if one.endswith("default")]
        if len(default) != 1:
            raise InputError(
                f"environment {name!r} is one of {len(found)}: name one of {', '.join(found)}"
            )
        others = ", ".join(one for one in found if one not in default)
        notes.append(f"{name} is {default[0]}; by its whole name you compare {others}")
        found = default
    return lambda one: one.place.environment == found[0]


def _words(environment: str, label: str) -> set[str]:
    words = set(label.lower().split())
    # asv's name of an environment ends with the kernels asked for.
    return words | {environment.rpartition("KERNELS")[2].lower()}


def _strategy(measured: Iterable[Measured], name: str, notes: list[str]) -> Chosen:
    known = {one.case.strategy for one in measured}
    if name not in known:
        raise unknown("strategy", name, known)
    return lambda one: one.case.strategy == name


def _machine(measured: Iterable[Measured], name: str, notes: list[str]) -> Chosen:
    known = {one.place.machine for one in measured}
    if name not in known:
        raise unknown("machine", name, known)
    return lambda one: one.place.machine == name


def _commit(measured: Iterable[Measured], name: str, notes: list[str]) -> Chosen:
    known = {one.place.commit for one in measured}
    found = {
        one for one in known if len(name) >= 4 and (one.startswith(name) or name.startswith(one))
    }
    if not found:
        raise unknown("commit", name, known)
    if len(found) > 1:
        raise InputError(f"commit {name!r} is one of {', '.join(sorted(found))}: give more digits")
    return lambda one: one.place.commit in found


def _name(side: Sequence[Measured], dimension: Dimension, name: str) -> str:
    """Return a side in words: an environment by the BLAS that answered in it."""
    labels = sorted({one.label for one in side})
    return labels[0] if dimension == "environment" and len(labels) == 1 else name


def _key(one: Measured, dimension: Dimension) -> Hashable:
    """Return what is equal in a pair."""
    machine, environment, case = one.place.machine, one.place.environment, one.case
    if dimension == "environment":
        return machine, case
    if dimension == "strategy":
        return machine, environment, replace(case, strategy="")
    if dimension == "machine":
        return environment, case
    return machine, environment, case


def _at_newest(
    sides: list[list[Measured]], dimension: Dimension, notes: list[str]
) -> list[list[Measured]]:
    """Return both sides at one commit per machine; commits are not chosen where they compare."""
    if dimension == "commit":
        shared = {one.place.machine for one in sides[0]} & {one.place.machine for one in sides[1]}
        alone = {one.place.machine for side in sides for one in side} - shared
        notes += [f"machine {one} has one of the two commits only" for one in sorted(alone)]
        return [
            [one for one in side if one.place.machine in shared or not shared] for side in sides
        ]
    if dimension == "machine":
        common = _newest(sides, notes)
        chosen = [common or _newest([side], notes) for side in sides]
        if common is None:
            notes.append(f"no common commit: compared are {chosen[0]} and {chosen[1]}")
        return [
            [one for one in side if one.place.commit == commit]
            for side, commit in zip(sides, chosen, strict=True)
        ]
    found: list[list[Measured]] = [[], []]
    for machine in sorted({one.place.machine for side in sides for one in side}):
        own = [[one for one in side if one.place.machine == machine] for side in sides]
        commit = _newest(own, notes)
        for number, side in enumerate(own):
            at = commit or _newest([side], notes)
            found[number] += [one for one in side if one.place.commit == at]
    return found


def _newest(sides: Sequence[Sequence[Measured]], notes: list[str]) -> str | None:
    """Return the commit that all sides have and that was measured last; whole, not in part."""
    common = set.intersection(*({one.place.commit for one in side} for side in sides))
    started: dict[str, str] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for number, side in enumerate(sides):
        for one in side:
            commit = one.place.commit
            if commit in common:
                started[commit] = max(started.get(commit, ""), one.started)
                counts[str(number), commit] += 1
    if not started:
        return None
    whole = whole_commits(counts)
    chosen = max(whole, key=lambda commit: (started[commit], commit))
    later = sorted(one for one in started if started[one] > started[chosen])
    if later:
        names = ", ".join(one[:8] for one in later)
        notes.append(f"compared at {chosen[:8]}; measured later, but in part: {names}")
    return chosen


def _paired(
    keyed: list[dict[Hashable, Measured]], names: tuple[str, str], notes: list[str]
) -> Pairing:
    pairs, unpaired = [], []
    for key in dict.fromkeys([*keyed[0], *keyed[1]]):
        found = [side.get(key) for side in keyed]
        first, second = found
        if first is not None and second is not None and first.runs and second.runs:
            pairs.append((first, second))
            continue
        unpaired.append(_reason(first, second, names))
    return Pairing(*names, tuple(pairs), tuple(unpaired), tuple(notes))


def _reason(first: Measured | None, second: Measured | None, names: tuple[str, str]) -> str:
    """Return why a case has no pair, in one line."""
    one = first or second
    assert one is not None
    sides = zip((first, second), names, strict=True)
    said = {
        name: "not measured" if side is None else side.trouble
        for side, name in sides
        if side is None or side.trouble is not None
    }
    if len(said) == 2 and len(set(said.values())) == 1:
        return f"{one.case}: {said[names[0]]} with both"
    return f"{one.case}: " + "; ".join(f"{why} with {name}" for name, why in said.items())
