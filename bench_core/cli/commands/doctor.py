"""Say what about this machine and environment decides speed, and warn of what costs it."""

from __future__ import annotations

import json
from typing import Any

import click

from bench_core.cli.display import print_facts, say
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
    from bench_core.cli.commands.blas import print_libraries
    from bench_core.errors import readable_bytes

    machine, cores, limits = found["machine"], found["machine"]["cores"], found["machine"]["cgroup"]
    quota = "none" if limits["cores"] is None else f"{limits['cores']:g} cores"
    bytes_limit = limits["memory_bytes"]
    quota += "" if bytes_limit is None else f", {readable_bytes(bytes_limit)}"
    average = found["load"]["average"]
    load = f"{found['load']['busy_cores']:g} cores busy"
    if found["steal_cores"]:
        load += f", {found['steal_cores']:g} more taken by the hypervisor"
    if average:
        load += f"; averages {' '.join(f'{value:.2f}' for value in average)}"
    rows = [
        ("processor", f"{machine['cpu']['model']} ({machine['cpu']['architecture']})"),
        ("features", " ".join(machine["cpu"]["features"]) or "unknown"),
        (
            "cores",
            f"{cores['available']} available of {cores['logical']} logical, "
            f"{cores['physical']} physical; affinity {processor_ranges(cores['affinity'])}",
        ),
        ("cgroup limit", quota),
        (
            "memory",
            f"{readable_bytes(machine['memory']['available_bytes'])} available of "
            f"{readable_bytes(machine['memory']['total_bytes'])}",
        ),
        ("GPU", ", ".join(gpu["name"] for gpu in machine["gpus"]) or "none"),
        ("load", load),
        *found["environment"].items(),
    ]
    print_facts("machine", rows)
    say("")
    print_libraries(found["blas"])
    kernels = found["kernels"]
    rates = [
        (
            label,
            "the product failed"
            if rate is None
            else f"{rate:.0f} GFLOP/s, one thread, double precision",
        )
        for label, rate in (kernels["rates"] or {}).items()
    ]
    say("")
    say(f"kernels: {kernels['reason']}")
    print_facts("", rates)
    say("")
    if found["quiet"]:
        say("A quiet machine would change:")
        print_facts("", [(one["now"], one["remedy"]) for one in found["quiet"]])
        say("")
    for warning in found["warnings"]:
        say(f"warning: {warning['message']}", "bold yellow")
        say(f"         → {warning['remedy']}")
    if not found["warnings"]:
        say("nothing to warn of", "bold green")


def processor_ranges(numbers: list[int]) -> str:
    """Write [0, 1, 2, 5] as 0-2,5."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)
