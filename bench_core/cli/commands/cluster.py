"""Prove the nodes of a cluster, or make the certificates that encrypt it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench_core.cli.display import print_facts, print_table, progress, say
from bench_core.cli.option_values import threads_per_node
from bench_core.cli.options import option
from bench_core.cli.parameters import ClusterChoice
from bench_core.errors import counted, readable_bytes

if TYPE_CHECKING:
    from bench_core.cluster.check import ClusterCheck
    from bench_core.cluster.settings import ClusterSettings

KEPT = "The cluster is stopped; nothing is kept."


@click.group()
def command() -> None:
    """Prove the nodes of a cluster, or make the certificates that encrypt it."""


@command.command()
@click.argument("cluster", type=ClusterChoice(), metavar="FILE|tcp://…")
@option("nodes", "threads", "hardware-threads", "allow-mixed", "blas", "kernels", "scratch", "json")
def check(
    cluster: ClusterSettings,
    nodes: int,
    threads: int | None,
    hardware_threads: bool,
    allow_mixed: bool,
    blas: str | None,
    kernels: str,
    scratch: Path | None,
    as_json: bool,
) -> None:
    """Start the cluster of FILE, prove every node, print a table, and stop it.

    Shown of every node: host, processor, cores and sockets, BLAS and kernels, memory, clock,
    whether it sees the scratch folder, and the rates to it, to other nodes and to scratch. The
    exit status is 2 where nodes differ, and --allow-mixed does not allow it.
    """
    import time

    from bench_core import cluster as clusters
    from bench_core.cluster.adopted import AdoptedCluster
    from bench_core.cluster.check import check_nodes
    from bench_core.errors import InputError
    from bench_core.records import to_json
    from bench_core.runner.problem_cache import prepare_scratch

    if not cluster.elsewhere:
        raise InputError("cluster local is this machine: `ridgebench doctor` looks at it")
    with progress() as report:
        report("starting the cluster")
        started = time.perf_counter()
        with clusters.start(
            cluster,
            nodes,
            threads_per_node(threads, nodes, hardware_threads=hardware_threads, cluster=cluster),
            blas=blas,
            kernels=kernels,
            scratch=prepare_scratch(scratch or cluster.scratch),
            hardware_threads=hardware_threads,
            allow_mixed=allow_mixed,
        ) as running:
            seconds = time.perf_counter() - started
            assert isinstance(running, AdoptedCluster)  # as all that are elsewhere
            report("proving the nodes")
            found = check_nodes(running, cluster.label, seconds)
    if as_json:
        click.echo(to_json(found))
    else:
        _show(found)


def _show(found: ClusterCheck) -> None:
    columns = ("node", "host", "processor", "cores", "sockets", "CPUs", "memory", "BLAS", "kernels")
    print_table(
        f"{found.label}: {counted(len(found.nodes), 'node')}",
        columns,
        [
            (
                str(each.node),
                each.host,
                each.processor,
                f"{each.cores}",
                f"{each.sockets}",
                ",".join(map(str, each.cpus)),
                readable_bytes(each.memory_bytes),
                each.blas,
                each.kernels,
            )
            for each in found.nodes
        ],
        words=("host", "processor", "BLAS", "kernels"),
    )
    print_table(
        "",
        ("node", "clock", "scratch", "from here", "write scratch", "read scratch"),
        [
            (
                str(each.node),
                f"{1e3 * each.clock_offset_s:+.1f} ± {1e3 * each.clock_error_s:.1f} ms",
                "seen" if each.sees_scratch else "not seen",
                _rate(each.from_here),
                _rate(each.scratch_write),
                _rate(each.scratch_read),
            )
            for each in found.nodes
        ],
        words=("scratch",),
    )
    links = ", ".join(f"{link}: {_rate(rate)}" for link, rate in found.links.items())
    ways = {
        "path": "by path: every node sees the scratch folder",
        "messages": "by messages: nodes do not all see the scratch folder, so that every array "
        "travels to every node",
    }
    print_facts(
        "",
        [
            ("started in", f"{found.start_s:.1f} s"),
            ("data", ways[found.data]),
            *([("between nodes", links)] if links else []),
        ],
    )
    for text in found.differences:
        say(f"warning: {text}", "bold yellow")


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{readable_bytes(int(value))}/s"


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--days",
    type=click.IntRange(min=1),
    default=365,
    show_default=True,
    help="Days for which the certificates are valid.",
)
def certificates(folder: Path, days: int) -> None:
    """Make FOLDER with the certificates of a cluster, and print the lines for its configuration.

    Whoever can read the key can join the cluster and run code in it: the folder is readable by you
    alone. Copy it to hosts that do not share your files.
    """
    from bench_core.cluster.certificates import make_certificates
    from bench_core.errors import InputError

    try:
        made = make_certificates(folder.absolute(), days=days)
    except FileExistsError as error:
        raise InputError(str(error)) from error
    click.echo(made.toml())
