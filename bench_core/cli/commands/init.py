"""Write an asv project of your own: configuration, suites and profiles."""

from __future__ import annotations

from pathlib import Path

import click

from bench_core.cli.display import say


@click.command()
@click.argument(
    "folder", default=".", type=click.Path(file_okay=False, path_type=Path), metavar="[FOLDER]"
)
@click.option(
    "--requirement",
    metavar="REQUIREMENT",
    help="What asv's environments install, as pip takes it, such as ridgebench==0.1.0  "
    "[default: the ridgebench that is installed here].",
)
def command(folder: Path, requirement: str | None) -> None:
    """Write an asv project of your own into FOLDER (here by default).

    That is a configuration, suites and profiles. `ridgebench bench`, `report`, `compare` and asv
    itself then work there as in a clone of ridgebench. In the folder of a Python package of yours,
    such as one with a strategy, asv builds that package at every commit too. A file that is there
    already is never overwritten: nothing is written then.
    """
    from bench_core.asv_project import write_project
    from bench_core.errors import counted

    written = write_project(folder, requirement)
    suites = [path for path in written.files if path.parent.name == "benchmarks"]
    say(f"Written to {folder.resolve()}:")
    for path in written.files:
        if path not in suites:
            say(f"  {path}")
    say(f"  benchmarks/ ({counted(len(suites), 'file')}: suites, and profiles.toml)")
    if written.package:
        say(f"asv builds {written.package} at every commit, and installs {written.requirement}.")
    else:
        say(f"asv's environments install {written.requirement}.")
    if not written.ignored:
        say("Add .asv/ to .gitignore: asv's environments and pages lie there.")
    say("\nNext:")
    if folder != Path():
        say(f"  cd {folder}")
    if not _in_git(folder):
        say("  git init                            # asv needs commits")
    say("  git add . && git commit -m 'Benchmarks'")
    say("  ridgebench bench --plan             # what the profile small will measure")
    say("  ridgebench bench                    # builds the environments, and measures")


def _in_git(folder: Path) -> bool:
    from bench_core.records.provenance import in_checkout

    return in_checkout(folder)
