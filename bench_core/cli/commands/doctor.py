"""Say what about this machine and environment decides speed, and warn of what costs it."""

from __future__ import annotations

import json
from typing import Any

import click

from bench_core.cli.options import option


@click.command()
@option("json")
@click.option("--no-measure", is_flag=True, help="Skip the two-second measurement of gemm.")
def command(as_json: bool, no_measure: bool) -> None:
    """Say what about this machine and environment decides speed, and warn of what costs it.

    Processor, cores, control-group limits, memory and GPUs; the BLAS that numpy and scipy call
    and its kernels; the variables that change threading; the load on the machine.
    """
    from bench_core.doctor import diagnose

    found = diagnose(measure=not no_measure)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from bench_core.cli.commands.blas import print_libraries
    from bench_core.errors import readable_bytes

    console = Console()
    machine, cores, limits = found["machine"], found["machine"]["cores"], found["machine"]["cgroup"]
    table = Table(title="machine", title_justify="left", show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column()
    table.add_row("processor", f"{machine['cpu']['model']} ({machine['cpu']['architecture']})")
    table.add_row("features", " ".join(machine["cpu"]["features"]) or "unknown")
    table.add_row(
        "cores",
        f"{cores['available']} available of {cores['logical']} logical, "
        f"{cores['physical']} physical; affinity {processor_ranges(cores['affinity'])}",
    )
    quota = "none" if limits["cores"] is None else f"{limits['cores']:g} cores"
    bytes_limit = limits["memory_bytes"]
    quota += "" if bytes_limit is None else f", {readable_bytes(bytes_limit)}"
    table.add_row("cgroup limit", quota)
    table.add_row(
        "memory",
        f"{readable_bytes(machine['memory']['available_bytes'])} available of "
        f"{readable_bytes(machine['memory']['total_bytes'])}",
    )
    table.add_row("GPU", ", ".join(gpu["name"] for gpu in machine["gpus"]) or "none")
    average = found["load"]["average"]
    load = f"{found['load']['busy_cores']:g} cores busy"
    if average:
        load += f"; averages {' '.join(f'{value:.2f}' for value in average)}"
    table.add_row("load", load)
    for name, value in found["environment"].items():
        table.add_row(name, value)
    console.print(table)
    console.print()
    print_libraries(console, found["blas"])
    kernels = found["kernels"]
    console.print(f"\n[bold]kernels[/]  {kernels['reason']}")
    for label, rate in (kernels["rates"] or {}).items():
        text = "the product failed" if rate is None else f"{rate:.0f} GFLOP/s"
        console.print(f"         {label}: {text}, one thread, double precision")
    console.print()
    for warning in found["warnings"]:
        console.print(f"[bold yellow]warning[/]  {warning['message']}", soft_wrap=True)
        console.print(f"         → {warning['remedy']}", soft_wrap=True)
    if not found["warnings"]:
        console.print("[bold green]nothing to warn of[/]")


def processor_ranges(numbers: list[int]) -> str:
    """Write [0, 1, 2, 5] as 0-2,5."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)
