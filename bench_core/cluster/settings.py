"""Configuration of a cluster: which kind, with which settings, read from one TOML file.

Nothing here imports Dask: commands and asv suites read a configuration in every process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

from bench_core.cluster.capacity import Capacity
from bench_core.errors import InputError
from bench_core.machine import available_cores
from bench_core.plugins import Registry
from bench_core.records import codec
from bench_core.toml import read_section, read_toml

VARIABLE = "RIDGEBENCH_CLUSTER"

MIXED = "RIDGEBENCH_ALLOW_MIXED"
"""Variable that is set where the suites accept nodes that differ."""

KINDS = Registry("kind of cluster", "bench_core.cluster.kinds", "KIND", group="ridgebench.clusters")
"""Kinds of cluster by name, built in and installed."""


@dataclass(frozen=True, kw_only=True)
class CommonSettings:
    """Keys that every kind of cluster has.

    Examples
    --------
    >>> CommonSettings(name="here").start_timeout
    120.0
    """

    name: Annotated[str | None, "what records call the cluster"] = None
    scratch: Annotated[Path | None, "folder for arrays, which nodes see if they can"] = None
    start_timeout: Annotated[float, "seconds until the nodes must serve"] = 120.0


@dataclass(frozen=True)
class NodeRequest:
    """Nodes that are asked of a cluster of any kind; see `bench_core.cluster.start`.

    Examples
    --------
    >>> NodeRequest(2, 4).kernels
    'default'
    """

    nodes: int
    threads: int
    blas: str | None = None
    kernels: str = "default"
    scratch: str | Path | None = None
    hardware_threads: bool = False
    allow_mixed: bool = False


@dataclass(frozen=True)
class ClusterKind:
    """One kind of cluster: a plug-in's ``KIND``.

    Parameters
    ----------
    settings : dataclass of its keys, a `CommonSettings`; every field is annotated with its meaning.
    start : called with the settings and a `NodeRequest`; returns a running
        `bench_core.cluster.Cluster`.
    capacity : returns what the cluster can hold, from its settings.
    clean_up : called with the settings and the scratch folder that `start` was given once the
        process that started the cluster has ended, in whatever way; None where nothing can be left.
    elsewhere : False where nodes are processes of this machine, and end with this process.

    Examples
    --------
    >>> KINDS.get("local").elsewhere
    False
    """

    settings: type[CommonSettings]
    start: Callable[[Any, NodeRequest], Any]
    capacity: Callable[[Any], Capacity]
    elsewhere: bool = True
    clean_up: Callable[[Any, str], None] | None = None


@dataclass(frozen=True)
class ClusterSettings:
    """A configuration that was read: small, and JSON in a worker's job.

    Parameters
    ----------
    kind : name in `KINDS`.
    label : name of the cluster in records and keys; "local" for this machine.
    values : the kind's settings as JSON values.
    source : the word or the path that it was read from, for another process to read it again.

    Examples
    --------
    >>> LOCAL.elsewhere, LOCAL.label
    (False, 'local')
    """

    kind: str = "local"
    label: str = "local"
    values: Mapping[str, Any] = field(default_factory=dict)
    source: str = field(default="local", compare=False)

    @property
    def elsewhere(self) -> bool:
        """True where nodes may be on other machines."""
        return self.kind != "local" and bool(KINDS.get(self.kind).elsewhere)

    @property
    def scratch(self) -> Path | None:
        """Folder for arrays that the configuration names, None without one."""
        found = self.values.get("scratch")
        return None if found is None else Path(found)

    def own(self) -> Any:
        """Return the kind's own settings."""
        kind: type[Any] = KINDS.get(self.kind).settings
        return codec.from_json(kind, json.dumps(dict(self.values)), f"{self.kind} cluster")

    def clean_up(self, scratch: str) -> None:
        """End what a process that was killed has left of its cluster, such as jobs in a queue.

        scratch : the folder that `bench_core.cluster.start` was given.
        """
        kind: ClusterKind = KINDS.get(self.kind)
        if kind.clean_up is not None:
            kind.clean_up(self.own(), scratch)

    def capacity(self) -> Capacity:
        """Return what the cluster can hold; a scheduler that runs is asked."""
        found: Capacity = KINDS.get(self.kind).capacity(self.own())
        return found


LOCAL = ClusterSettings()
"""Processes of this machine."""


def read_cluster(path: Path) -> ClusterSettings:
    """Return the configuration in a TOML file.

    Raises
    ------
    UnknownNameError : no such kind, or a key that the kind does not have; with near names.
    InputError : the file is absent or no TOML, or a key is missing or has a value of another type.
    """
    tables = read_toml(path)
    try:
        name = tables.pop("kind", None)
        if not isinstance(name, str):
            raise InputError(f"kind is {name!r}: give one of {', '.join(KINDS.names())}")
        kind: ClusterKind = KINDS.get(name)
        own = read_section(kind.settings, tables, "", path.resolve().parent)
        found = of_kind(name, own, own.name or path.stem)
        return found if found is LOCAL else replace(found, source=str(path.resolve()))
    except (InputError, LookupError) as error:
        raise type(error)(f"{path}: {error}") from error


def of_kind(name: str, own: CommonSettings, label: str) -> ClusterSettings:
    """Return the settings ``own`` of a kind as a configuration that records call ``label``."""
    if name == "local" and not any(
        getattr(own, each.name) != each.default for each in fields(own) if each.name != "name"
    ):
        return LOCAL
    values = codec.to_dict(replace(own, name=None))
    shown = name if name in ("local", label) else f"{name} {label}"
    return ClusterSettings(name, shown, values)


def parse_cluster(text: str) -> ClusterSettings:
    """Return the configuration that a word of the command line means.

    Parameters
    ----------
    text : "local"; the address of a scheduler that runs, ``tcp://…`` or ``tls://…``; or the path
        of a TOML file.

    Examples
    --------
    >>> parse_cluster("local") == LOCAL
    True
    >>> parse_cluster("tcp://127.0.0.1:8786").kind
    'scheduler'
    """
    if text == "local":
        return LOCAL
    if "://" in text:
        own = read_section(KINDS.get("scheduler").settings, {"address": text}, "", Path())
        return replace(of_kind("scheduler", own, "scheduler"), source=text)
    if not Path(text).is_file():
        raise InputError(
            f"cluster {text!r}: give 'local', the address of a scheduler such as "
            "tcp://127.0.0.1:8786, or a TOML file (docs/clusters.md)"
        )
    return read_cluster(Path(text))


def default_threads(cluster: ClusterSettings, nodes: int, *, hardware_threads: bool = False) -> int:
    """Return the most threads with which so many nodes fit: all cores of this machine, or there.

    Raises
    ------
    InputError : the configuration of another cluster does not say how many cores it has.
    """
    if not cluster.elsewhere:
        return max(1, available_cores(hardware_threads=hardware_threads) // nodes)
    capacity = cluster.capacity()
    cores = max((host.cores or 0 for host in capacity.hosts), default=0)
    if not cores:
        raise InputError(f"{cluster.label} does not say how many cores a node has: give --threads")
    fitting = [each for each in range(1, cores + 1) if capacity.refusal(nodes, each) is None]
    return max(fitting, default=1)


def chosen_cluster() -> ClusterSettings:
    """Return the configuration that ``RIDGEBENCH_CLUSTER`` names; this machine without it."""
    text = os.environ.get(VARIABLE)
    if not text:
        return LOCAL
    try:
        return parse_cluster(text)
    except (InputError, LookupError) as error:
        raise type(error)(f"{VARIABLE}: {error}") from error


def mixed_allowed() -> bool:
    """Return whether ``RIDGEBENCH_ALLOW_MIXED`` accepts nodes that differ: it is set, to a text."""
    return bool(os.environ.get(MIXED))
