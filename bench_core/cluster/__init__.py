"""Clusters: several worker processes with their own BLAS threads and cores, all on Dask.

``local(nodes, threads)`` starts them on this machine. Another kind of cluster is one more module
here whose function ``connect`` returns a `Cluster`; `get` finds it by name.
"""

from __future__ import annotations

from collections.abc import Callable

from bench_core.cluster.arrays import ArrayRef, RowFile, forget_pages
from bench_core.cluster.base import Cluster, NodeInfo, NodeLostError
from bench_core.cluster.cores import pin, whole_cores_first
from bench_core.cluster.kinds.local import local
from bench_core.plugins import Registry

__all__ = [
    "ArrayRef",
    "Cluster",
    "NodeInfo",
    "NodeLostError",
    "RowFile",
    "forget_pages",
    "get",
    "local",
    "names",
    "pin",
    "whole_cores_first",
]

CLUSTERS = Registry("cluster", "bench_core.cluster", "connect")


def names() -> list[str]:
    """Return the kinds of cluster, sorted."""
    return CLUSTERS.names()


def get(name: str) -> Callable[..., Cluster]:
    """Return the function that starts a cluster of this kind.

    Raises `UnknownNameError` otherwise.
    """
    found: Callable[..., Cluster] = CLUSTERS.get(name)
    return found
