"""Clusters: several worker processes with their own BLAS threads and cores, all on Dask.

``local(nodes, threads)`` starts them on this machine. Another kind of cluster is one more module
here, or an entry point in the group ``ridgebench.clusters``, whose function ``connect`` takes the
same parameters and returns a `Cluster`. `start` is the one place where a cluster is chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from bench_core.cluster._arrays import ArrayRef, RowFile, forget_pages, share_array
from bench_core.cluster._base import Cluster, NodeInfo, NodeLostError
from bench_core.cluster._cores import pin, whole_cores_first
from bench_core.cluster.local import local
from bench_core.plugins import Registry

__all__ = [
    "ArrayRef",
    "Cluster",
    "NodeInfo",
    "NodeLostError",
    "RowFile",
    "forget_pages",
    "local",
    "names",
    "pin",
    "share_array",
    "start",
    "whole_cores_first",
]

CLUSTERS = Registry("cluster", "bench_core.cluster", "connect", group="ridgebench.clusters")


def names() -> list[str]:
    """Return the kinds of cluster, built in and installed, sorted."""
    return CLUSTERS.names()


def start(
    kind: str,
    nodes: int,
    threads: int,
    *,
    blas: str | None = None,
    kernels: Literal["default", "best"] = "default",
    scratch: Path | None = None,
) -> Cluster:
    """Start a cluster of this kind, a context manager that stops it.

    Parameters
    ----------
    kind : one of `names`. The other parameters are those of `local`.

    Raises
    ------
    UnknownNameError : no such kind of cluster.
    """
    connect: Callable[..., Cluster] = CLUSTERS.get(kind)
    return connect(nodes, threads, blas=blas, kernels=kernels, scratch=scratch)
