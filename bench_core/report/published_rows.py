"""The thesis's published times as rows, beside those that were measured."""

from __future__ import annotations

from functools import cache

from bench_core.report.rows import Row
from bench_core.scaling.published_times import PublishedTime, published_times
from bench_core.scaling.ratios import distributed_speed_up, parallel_efficiency, speed_up

MACHINE = "thesis 2025"


@cache
def published_rows() -> tuple[Row, ...]:
    """Return a row for every published configuration: means over subjects, ratios of these.

    ``suite`` names the figure, ``environment`` the BLAS. What was not published is None or empty:
    intervals, precision, accuracy.

    Examples
    --------
    >>> rows = published_rows()
    >>> len(rows), rows[0].machine, rows[0].scale
    (70, 'thesis 2025', '1')
    """
    groups: dict[tuple[str, str, str, str, int, int], list[PublishedTime]] = {}
    for one in published_times():
        key = (one.figure, one.resolution, one.blas, one.strategy, one.nodes, one.threads)
        groups.setdefault(key, []).append(one)
    means = {
        key[1:]: sum(one.seconds for one in group) / len(group) for key, group in groups.items()
    }
    found = []
    for figure, problem, blas, strategy, nodes, threads in groups:
        seconds = means[problem, blas, strategy, nodes, threads]
        one_thread = means.get((problem, blas, strategy, nodes, 1))
        reference = means.get((problem, blas, "ridgecv", 1, 1))
        found.append(
            Row(
                machine=MACHINE,
                environment=blas,
                suite=f"figure {figure}",
                problem=problem,
                scale="1",
                dtype="",
                strategy=strategy,
                nodes=nodes,
                threads=threads,
                seconds=seconds,
                ci95=None,
                su=None if one_thread is None else speed_up(one_thread, seconds),
                pe=None
                if one_thread is None
                else parallel_efficiency(one_thread, seconds, threads),
                dsu=None if reference is None else distributed_speed_up(reference, seconds),
                peak_bytes=None,
                r_mean=None,
                r_max=None,
                null_max=None,
                disagreement=None,
            )
        )
    return tuple(found)
