"""Clusters: worker processes with their own BLAS threads and cores, behind one Dask scheduler.

`start` is the one place where a cluster is chosen. A kind of cluster is one module in
`bench_core.cluster.kinds`, or an entry point in the group ``ridgebench.clusters``: its ``KIND``, a
`ClusterKind`, says which settings it has, how it is started and what it can hold.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_core.lazy import lazy

if TYPE_CHECKING:
    from bench_core.cluster.arrays import ArrayRef, RowFile, forget_pages, share_array
    from bench_core.cluster.base import Cluster
    from bench_core.cluster.cores import pin, place_nodes, whole_cores_first
    from bench_core.cluster.dispatch import NodeInfo
    from bench_core.cluster.kinds.local import local
    from bench_core.cluster.ledger import Ledger, LedgerFolder, count_finished, remove_empty
    from bench_core.cluster.losses import NodeLostError, Recovery, RetriesUsedError
    from bench_core.cluster.settings import (
        KINDS,
        LOCAL,
        ClusterKind,
        ClusterSettings,
        CommonSettings,
        NodeRequest,
        chosen_cluster,
        parse_cluster,
        read_cluster,
    )
    from bench_core.cluster.task_times import task_phases, timed_task

__all__ = [
    "KINDS",
    "LOCAL",
    "ArrayRef",
    "Cluster",
    "ClusterKind",
    "ClusterSettings",
    "CommonSettings",
    "Ledger",
    "LedgerFolder",
    "NodeInfo",
    "NodeLostError",
    "NodeRequest",
    "Recovery",
    "RetriesUsedError",
    "RowFile",
    "chosen_cluster",
    "count_finished",
    "forget_pages",
    "local",
    "parse_cluster",
    "pin",
    "place_nodes",
    "read_cluster",
    "remove_empty",
    "share_array",
    "start",
    "task_phases",
    "timed_task",
    "whole_cores_first",
]


def start(
    cluster: ClusterSettings | str,
    nodes: int,
    threads: int,
    *,
    blas: str | None = None,
    kernels: str = "default",
    scratch: str | Path | None = None,
    hardware_threads: bool = False,
    allow_mixed: bool = False,
) -> Cluster:
    """Start a cluster and wait until its nodes serve; leaving its context ends it.

    Parameters
    ----------
    cluster : a configuration (`read_cluster`, `parse_cluster`), or the name of a kind in `KINDS`
        that needs no settings, such as "local".
    nodes, threads : worker processes, and BLAS threads of each.
    blas : library that every node must prove it calls; None: the one that the variable
        ``RIDGEBENCH_BLAS`` declares, if it does.
    kernels : "default", "best" or the name of kernels; see
        `bench_core.blas.kernel_environment`.
    scratch : folder for shared arrays and results, visible to every node if it can be; None: the
        folder for temporary files. The configuration's own comes first.
    hardware_threads : let threads share physical cores, where there are more of them than cores.
    allow_mixed : accept nodes that differ in processor, BLAS, kernels or versions.

    Raises
    ------
    UnknownNameError : no such kind of cluster.
    InputError : this site's configuration of Dask is broken, or allows no such cluster; or nodes
        differ.
    InputError, ResourceError, BlasMismatchError, NodeLostError : as `local` does.
    """
    from bench_core.cluster.settings import KINDS, ClusterSettings, NodeRequest
    from bench_core.cluster.site_settings import check_dask

    check_dask()
    chosen = ClusterSettings(cluster) if isinstance(cluster, str) else cluster
    kind: ClusterKind = KINDS.get(chosen.kind)
    request = NodeRequest(nodes, threads, blas, kernels, scratch, hardware_threads, allow_mixed)
    found: Cluster = kind.start(chosen.own(), request)
    return found


# Imported when asked for: Dask takes a second, which no process without a cluster has to wait, and
# numpy and the types of records half of one, which the start of a node has no use for.
_PLACES = {
    "KINDS": "settings",
    "LOCAL": "settings",
    "ArrayRef": "arrays",
    "Cluster": "base",
    "ClusterKind": "settings",
    "ClusterSettings": "settings",
    "CommonSettings": "settings",
    "Ledger": "ledger",
    "LedgerFolder": "ledger",
    "NodeInfo": "dispatch",
    "NodeLostError": "losses",
    "NodeRequest": "settings",
    "Recovery": "losses",
    "RetriesUsedError": "losses",
    "RowFile": "arrays",
    "chosen_cluster": "settings",
    "count_finished": "ledger",
    "forget_pages": "arrays",
    "local": "kinds.local",
    "parse_cluster": "settings",
    "pin": "cores",
    "place_nodes": "cores",
    "read_cluster": "settings",
    "remove_empty": "ledger",
    "share_array": "arrays",
    "task_phases": "task_times",
    "timed_task": "task_times",
    "whole_cores_first": "cores",
}
_WITH_DASK = {"Cluster", "NodeInfo", "local"}
_find = lazy(__name__, _PLACES)


def __getattr__(name: str) -> Any:
    if name in _WITH_DASK:
        importlib.import_module("bench_core.cluster.site_settings").check_dask()
    return _find(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
