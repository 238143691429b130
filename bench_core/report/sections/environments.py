"""What was measured with: the proof of every BLAS, machines, and versions that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench_core.errors import counted, readable_bytes
from bench_core.records.machine import MachineRecord
from bench_core.report.blocks import Block, Heading, Table, TableRow, Text, number, rows_of
from bench_core.report.rows import environment_label, proved_libraries
from bench_core.report.sections import Section
from bench_core.report.site_data import SiteData

_PROOF = (
    "machine",
    "environment",
    "caller",
    "library",
    "version",
    "kernels",
    "threading",
    "file",
    "records that prove it",
)


def proof_table(data: SiteData) -> Table:
    """Return which library answered each caller in each environment."""
    found: list[TableRow] = []
    for run in data.runs:
        proved = proved_libraries(run)
        if not proved:
            cells = [run.machine, run.environment, "nothing measured here: see Skipped"]
            found += rows_of([[*cells, *[""] * (len(_PROOF) - 3)]])
        found += rows_of(
            [
                run.machine,
                run.environment,
                caller,
                library.name,
                library.version or "",
                library.architecture or "",
                library.threading_layer or "",
                (library.file or "").split("/")[-1],
                number(records, "d"),
            ]
            for caller, library, records in proved
        )
    return Table("proof", _PROOF, tuple(found))


def versions_table(data: SiteData) -> Table | None:
    """Return packages whose versions are not the same in all environments; None without any.

    A version that changed within a run is there with all its values.
    """
    columns: dict[tuple[str, str], dict[str, set[str]]] = {}
    for run in data.runs:
        own = columns.setdefault((run.machine, environment_label(run)), {})
        for record in run.fits:
            for name, version in record.versions.items():
                own.setdefault(name, set()).add(version)
    columns = {key: own for key, own in columns.items() if own}
    names = sorted({name for own in columns.values() for name in own})
    found = []
    for name in names:
        values = [" and ".join(sorted(own.get(name, {"none"}))) for own in columns.values()]
        if len(set(values)) > 1:
            found.append([name, *values])
    if not found:
        return None
    several = len({machine for machine, _ in columns}) > 1
    headings = [f"{label}, {machine}" if several else label for machine, label in columns]
    return Table("versions", ("package", *headings), rows_of(found))


def machines_table(machines: Sequence[MachineRecord]) -> Table:
    """Return processor, cores, memory and system of every machine."""
    return Table(
        "machines",
        ("machine", "processor", "cores", "memory", "GPUs", "system", "settings"),
        rows_of(
            (
                str(one.name),
                str((one.cpu or {}).get("model") or ""),
                _cores(one.cores or {}),
                _memory(one.memory or {}),
                ", ".join(str(gpu.get("name", "")) for gpu in one.gpus or ()),
                one.system or "",
                _settings(one.settings),
            )
            for one in machines
        ),
    )


def _cores(cores: Mapping[str, Any]) -> str:
    """Return the cores in words: those that fits may use first."""
    words = [f"{cores['available']} to use"] if "available" in cores else []
    named = (
        ("physical", "physical core"),
        ("logical", "logical processor"),
        ("sockets", "socket"),
        ("memory_domains", "memory domain"),
    )
    words += [counted(cores[key], name) for key, name in named if cores.get(key)]
    return ", ".join(words)


def _memory(memory: Mapping[str, int]) -> str:
    words = [readable_bytes(memory["total_bytes"])] if "total_bytes" in memory else []
    if "available_bytes" in memory:
        words.append(f"{readable_bytes(memory['available_bytes'])} available")
    return ", ".join(words)


def _settings(settings: Mapping[str, Any] | None) -> str:
    """Return what the system is set to that makes times differ; unknown where it does not say."""
    if settings is None:
        return "not recorded"

    def on_or_off(name: str) -> str:
        value = settings.get(name)
        return "unknown" if value is None else "on" if value else "off"

    governors = " and ".join(map(str, settings.get("governors") or ())) or "unknown"
    return (
        f"governor {governors}; turbo {on_or_off('turbo')}; two threads a core "
        f"{on_or_off('hardware_threads')}; NUMA balancing {on_or_off('numa_balancing')}"
        + ("; a virtual machine" if settings.get("virtual") else "")
    )


def _build(data: SiteData) -> Sequence[Block]:
    if not data.runs:
        return []
    blocks: list[Block] = [
        Heading("Which BLAS really answered", "blas"),
        Text("What counts is the library that was loaded after a real call.", "faint"),
        proof_table(data),
    ]
    if data.machines:
        blocks += [Heading("Machines", "machines-heading"), machines_table(data.machines)]
    versions = versions_table(data)
    if versions is not None:
        blocks += [Heading("What differs between environments", "differences"), versions]
    elif len(data.labels) > 1:
        blocks.append(Text("Packages have the same versions in all environments."))
    return blocks


SECTION = Section("Environments", 60, _build)
