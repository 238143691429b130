"""Sums over nodes of what tasks return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Future

    from bench_core.cluster import Cluster


def summed(cluster: Cluster, parts: Mapping[int, Future], add: Callable[[Any, Any], Any]) -> Future:
    """Return the sum of parts by node, added in pairs in the order of nodes.

    Half the nodes send in every round. ``add`` returns the sum of two parts, and may overwrite the
    first.
    """
    left = sorted(parts.items())
    while len(left) > 1:
        pairs = zip(left[::2], left[1::2], strict=False)
        sums = [(node, cluster.submit(node, add, a, b)) for (node, a), (_, b) in pairs]
        left = sums + left[len(left) - len(left) % 2 :]
    return left[0][1]
