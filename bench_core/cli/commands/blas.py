"""Show which BLAS numpy and scipy call, with proof, or put another one there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.display import print_table, progress, say
from bench_core.cli.options import option
from bench_core.errors import counted

if TYPE_CHECKING:
    from bench_core.blas.journal import Choice

KEPT = (
    "Changes of packages are made whole: run the same command again to finish, or"
    " `ridgebench blas use bundled` to go back."
)


@click.group()
def command() -> None:
    """Show which BLAS numpy and scipy call, with proof, or put another one there."""


@command.command()
@option("json")
@click.option("--proof", "with_proof", is_flag=True, help="Add where every single call goes.")
def show(as_json: bool, with_proof: bool) -> None:
    """Say which library answered a real call of numpy and of scipy."""
    from dataclasses import asdict

    from bench_core.blas import declared
    from bench_core.blas.known_bad import bad_entries
    from bench_core.blas.observed import observe
    from bench_core.blas.proof import proof, state
    from bench_core.machine import cpu

    observed = observe()
    bad = bad_entries(observed.report, cpu())
    known = {"declared": declared(), "relinked": state()}
    report: dict[str, Any] = {**observed.report.to_dict(), **known}
    if with_proof and observed.failure is None:
        report = proof()
    report |= {
        "failure": observed.failure,
        "mixture": observed.report.mixture(),
        "known_bad": [{"package": package, **asdict(entry)} for package, entry in bad],
    }
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    print_libraries(report)
    for text in (report["failure"], report["mixture"]):
        if text is not None:
            say(f"warning: {text}", "bold yellow")
    for package, entry in bad:
        say(
            f"warning: known to fail in {package}: {entry.describe()} ({entry.seen}): "
            f"{entry.remedy}; {', '.join(entry.sources)}",
            "bold yellow",
        )
    if report["relinked"]["phase"] == "changing":
        say("an earlier `ridgebench blas use` was interrupted: run it again", "yellow")
    for package, choice in report["relinked"]["packages"].items():
        for reason, routines in choice["reasons"].items():
            say(f" {package}: {_some(routines)} stay with the bundled library: {reason}")
    for package, entries in report.get("calls", {}).items():
        for entry in entries:
            say(
                f" {package}: {entry['symbols']} functions in {len(entry['files'])} files go to "
                f"{entry['name']} ({entry['library']})"
            )


@command.command()
@click.argument("target", nargs=-1, required=True)
@click.option("--only", type=click.Choice(["numpy", "scipy"]), help="Change that package alone.")
def use(target: tuple[str, ...], only: str | None) -> None:
    """Point this environment's numpy and scipy at TARGET.

    TARGET is mkl, openblas or blis (as pip or the system installed them), bundled (what the
    wheels came with, byte for byte), or the path of a library; two paths where numpy and scipy
    need builds of different integer width. The installed wheels are relinked; a change that does
    not pass its checks is taken back.
    """
    from bench_core.blas.relink import use as relink

    with progress() as bars:
        outcome = relink(target, only=only, progress=bars)
    click.echo(
        f"{counted(len(outcome.changed), 'file')} replaced"
        if outcome.changed
        else "nothing to change"
    )
    for package in ("numpy", "scipy"):
        choice = outcome.packages.get(package)
        click.echo(f"{package}: {_destination(choice)}")


@command.command()
def provision() -> None:
    """Put this environment on the BLAS that RIDGEBENCH_BLAS declares."""
    from bench_core.blas.provision import provision as run

    with progress() as bars:
        done = run(progress=bars)
    click.echo(done)


@command.command(context_settings={"ignore_unknown_options": True})
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def selftest(pytest_arguments: tuple[str, ...]) -> None:
    """Run numpy's and scipy's own linear-algebra tests on the BLAS that is there now.

    Needs pytest and hypothesis; further arguments go to pytest. Takes minutes.
    """
    from bench_core.blas.selftest import selftest as run

    raise SystemExit(run(pytest_arguments))


_COLUMNS = {
    "name": "library",
    "version": "version",
    "architecture": "kernels",
    "interface": "integers",
    "threading_layer": "threading",
    "threads": "threads",
}


def print_libraries(report: dict[str, Any]) -> None:
    """Print the table of numpy's and scipy's libraries, and their files below it."""
    columns = ("package", *_COLUMNS.values())
    rows = []
    for package in ("numpy", "scipy"):
        cells = {key: str(report[package][key] or "?") for key in _COLUMNS}
        if report[package]["backend"] is not None:
            cells["name"] += f" → {report[package]['backend']}"
        rows.append((package, *cells.values()))
    print_table("BLAS", columns, rows, words=columns)
    for package in ("numpy", "scipy"):
        say(f" {package}: {report[package]['file']}")


def _destination(choice: Choice | None) -> str:
    if choice is None:
        return "its bundled library"
    text = f"{choice.name} ({choice.library})"
    for reason, routines in choice.reasons.items():
        text += f"\n  {_some(routines)} stay with the bundled library: {reason}"
    return text


def _some(routines: list[str]) -> str:
    """Name up to six routines, and count more."""
    if len(routines) <= 6:
        return ", ".join(routines)
    return f"{len(routines)} routines ({', '.join(routines[:3])}, …)"
