"""Steps of `ridgebench bench` that measure environments in turns, or one with itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench_core.cli.display import print_table, say

if TYPE_CHECKING:
    from bench_core.records.session import SessionRecord
    from bench_core.report.site import Project

_BUILD = r"^clock\."
"""The benchmark for which asv builds the environments; its suite writes their plans."""


def bench_in_turns(
    project: Project,
    arguments: Sequence[str],
    asv_arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    same: bool = False,
) -> SessionRecord | None:
    """Build the environments, measure them in turns, and let asv read and add to that.

    Parameters
    ----------
    arguments : of every call of asv. asv_arguments : the user's own.
    same : measure the first environment in turns with itself, and nothing else.

    Returns
    -------
    The session's record; None where nothing was to be measured in turns.
    """
    from bench_core.leftovers import owned_folder
    from bench_core.measure.turns import take_turns
    from bench_core.measure.turns_plan import read_plans
    from bench_core.records.store import SESSION
    from bench_core.report.bench_request import selection_variable, split_benchmarks, suites_of
    from bench_core.report.site import asv

    patterns, rest = split_benchmarks(asv_arguments)
    chosen = suites_of(patterns, project.benchmarks)
    began = datetime.now(UTC)
    root = project.root / ".asv"
    root.mkdir(exist_ok=True)
    with owned_folder(root, "session") as folder:
        passed = {**environment, **selection_variable(patterns), SESSION: str(folder)}
        asv(project, *arguments, *rest, "--bench", _BUILD, environment=passed, say=say)
        plans = {
            where: plan
            for where, plan in read_plans(folder).items()
            if any(case.suite in chosen for case in plan.cases)
        }
        record = None
        if plans:
            names = [plan.environment for plan in plans.values()]
            said = f"{names[0]} with itself" if same else f"{len(names)} environments"
            say(f"Measuring in turns: {said}")
            record = take_turns(
                plans,
                f"{began:%Y%m%dT%H%M%SZ}",
                log=root / "turns.log",
                say=say,
                wanted=chosen.__contains__,
                variables=environment,
                same=same,
            )
            if record.drift is not None:
                say(
                    f"Clock of the machine: {record.drift:.2f} between the slowest and the fastest "
                    f"of {len(record.clock)} runs of the reference"
                )
        if not same:
            selection = {one for plan in read_plans(folder).values() for one in plan.selection}
            benches = patterns or sorted(selection)
            further = [word for one in benches for word in ("--bench", one)]
            asv(project, *arguments, *rest, *further, environment=passed, say=say)
    return record


def print_same(record: SessionRecord) -> None:
    """Print how an environment differed from itself, and the noise floor that follows."""
    from bench_core.comparison.compare import ratio_text
    from bench_core.comparison.noise import estimate
    from bench_core.comparison.verdicts import VERDICTS, judge
    from bench_core.errors import counted

    quiet = [one for one in record.same if one.disturbed is None]
    pairs = [(one.first, one.second) for one in quiet]
    # Judged by how runs differ within the sides alone, as if the sides were two environments.
    found = judge(pairs, interleaved=[True] * len(pairs))
    print_table(
        f"{', '.join(record.environments)} in turns with itself",
        ("case", "ratio", "verdict"),
        [
            (one.case, ratio_text(verdict), verdict.verdict)
            for one, verdict in zip(quiet, found.cases, strict=True)
        ],
        words=("case", "verdict"),
    )
    if left := len(record.same) - len(quiet):
        say(f"{counted(left, 'pair')} disturbed by others, and left out")
    if not pairs:
        say("No pair was measured undisturbed: the noise floor stays as it is.")
        return
    counts = ", ".join(f"{found.count(one)} {one}" for one in VERDICTS if found.count(one))
    noise = estimate([], same=pairs)
    say(f"Verdicts on {counted(len(pairs), 'A/A pair')}: {counts}")
    say(
        f"Noise floor between sides in turn: {noise.side_floor:.1%}, from "
        f"{counted(noise.side_pairs, 'pair')} of runs. `ridgebench compare` uses it from now on.",
        "bold",
    )
