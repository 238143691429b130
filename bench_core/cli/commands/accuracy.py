"""Say how well a fit predicts held-out data: r, its null and significance, regions, maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.display import print_facts, print_table, progress, say
from bench_core.cli.option_values import renamed
from bench_core.cli.options import option
from bench_core.errors import counted

if TYPE_CHECKING:
    from bench_core.accuracy.subjects import SubjectsComparison

_RATE = click.FloatRange(0, 1, min_open=True, max_open=True)
_KINDS = click.Choice(["held-out", "shifts", "rows", "none"])

KEPT = "An earlier report is as it was; the new one appears only when it is whole."


@click.command("accuracy")
@click.argument("folder", metavar="RESULT_DIR", type=click.Path(path_type=Path))
@click.option(
    "--permute",
    type=_KINDS,
    default="held-out",
    show_default=True,
    help="Null: shift the held-out responses of every run in a circle (held-out), or shift "
    "(shifts) or shuffle (rows) the training samples and fit again.",
)
@click.option("--null", "former_null", type=_KINDS, hidden=True)
@click.option(
    "--permutations", default=1000, show_default=True, help="Number of permutations or shifts."
)
@option("seed")
@click.option(
    "--error-rate",
    type=_RATE,
    default=0.05,
    show_default=True,
    help="False-discovery rate to hold.",
)
@click.option("--rate", "former_rate", type=_RATE, hidden=True)
@click.option("--family-wise", is_flag=True, help="Hold the error rate for all targets together.")
@click.option(
    "--regions", metavar="ATLAS", type=click.Path(path_type=Path), help="Average r over its labels."
)
@click.option(
    "--against",
    metavar="RESULT_DIR",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Correlate the map with another subject's; repeat for several.",
)
@option("figures", "scratch", "json")
def command(
    folder: Path,
    permute: str,
    former_null: str | None,
    permutations: int,
    seed: int,
    error_rate: float,
    former_rate: float | None,
    family_wise: bool,
    regions: Path | None,
    against: tuple[Path, ...],
    figures: bool,
    scratch: Path | None,
    as_json: bool,
) -> None:
    """Say how well the fit in RESULT_DIR predicts held-out data.

    Figures, tables and brain maps are written to RESULT_DIR/accuracy. docs/accuracy.md says what
    they mean. A folder of several subjects' results has tables and pictures of all of them there,
    and each subject has its own.
    """
    import json
    from functools import partial

    from bench_core.accuracy.report import FOLDER, AccuracyRequest, accuracy_report
    from bench_core.accuracy.subjects import result_folders
    from bench_core.accuracy.subjects_report import subjects_report
    from bench_core.fitting.reopening import open_fitted
    from bench_core.leftovers import owned_folder
    from bench_core.runner.problem_cache import prepare_scratch

    permute = renamed("--null", "--permute", former_null, permute)
    request = AccuracyRequest(
        null=None if permute == "none" else permute,  # type: ignore[arg-type]  # click checked the choice
        permutations=permutations,
        seed=seed,
        rate=renamed("--rate", "--error-rate", former_rate, error_rate),
        family_wise=family_wise,
        regions=regions,
        against=against,
        figures=figures,
    )
    with progress() as bars, owned_folder(prepare_scratch(scratch, bars), "accuracy") as own:
        bars("reading")
        again = partial(open_fitted, scratch=own, progress=bars)
        if subjects := result_folders(folder):
            several = subjects_report(folder, subjects, request, progress=bars, open_problem=again)
        else:
            found = accuracy_report(folder, request, progress=bars, open_problem=again)
    if subjects:
        _print_subjects(folder / FOLDER, *several, as_json=as_json)
        return
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    _print(found)
    click.echo(f"written to {folder / FOLDER}")


def _print_subjects(
    folder: Path,
    comparison: SubjectsComparison,
    figures: dict[str, dict[str, Any]],
    files: list[str],
    *,
    as_json: bool,
) -> None:
    import json

    from bench_core.cli.subject_rows import comparison_rows, subjects_table

    values = comparison.to_json()
    if as_json:
        click.echo(json.dumps({**values, "reports": figures}, indent=1))
        return
    nulls = {name: found["null"] for name, found in figures.items()}
    rows = values["subjects"]
    for row in rows:
        null = nulls[row["subject"]]
        row["significant"] = "–" if null is None else f"{null['significant']:,}"
    subjects_table(rows)
    for name, found in figures.items():
        for warning in found["warnings"]:
            say(f"warning: {name}: {warning}", "yellow")
        if found["withheld"] is not None:
            say(f"{name}: p withheld: {found['withheld']}", "yellow")
    print_facts("all subjects", comparison_rows(comparison, folder, files))


def _print(found: dict[str, Any]) -> None:
    print_facts(f"{found['problem']}, {found['strategy']}", _rows(found))
    for warning in found["warnings"]:
        say(f"warning: {warning}", "yellow")
    if "regions" not in found:
        return
    print_table(
        "regions with the highest mean r",
        ("region", "name", "targets", "mean r", "largest r"),
        (
            (
                str(row["region"]),
                row["name"],
                str(row["targets"]),
                _number(row["mean"]),
                _number(row["max"]),
            )
            for row in found["regions"][:10]
        ),
        words=("name",),
    )


def _rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    r, null, ceiling = found["r"], found["null"], found["ceiling"]
    samples = found["samples"]
    rows = [
        ("samples", f"{samples['train']:,} to train, {samples['test']:,} to test"),
        ("r", f"{_figures(r)}, {r['defined']:,} targets ({r['undefined']:,} undefined)"),
        ("r², signed", _figures(found["r_squared"])),
    ]
    if null is not None:
        largest = null["largest_r"]
        number = f"{null['permutations']} permutations"
        if null["complete"]:
            number = f"all {null['distinct']} shifts"
        rows += [
            (
                f"null ({null['kind']})",
                f"mean |r| {_number(null['mean_abs_r'])}, largest r {_number(largest['median'])} "
                f"(95th percentile {_number(largest['p95'])}), {number}",
            ),
            (
                "significant",
                f"{null['significant']:,} targets, r from {_number(null['threshold_r'])} "
                f"({null['correction']} {null['rate']:g}); "
                f"{null['significant_family_wise']:,} against the largest r of all targets",
            ),
        ]
    if found["withheld"] is not None:
        rows.append(("p withheld", found["withheld"]))
    if ceiling is not None:
        low = counted(ceiling["too_low"], "target")
        least = ceiling["least_reliability"]
        rows += [
            ("noise ceiling", f"{_figures(ceiling['r'])}, {counted(ceiling['repeats'], 'repeat')}"),
            (
                "r / ceiling",
                f"{_figures(ceiling['normalised_r'])}; left out for too low a ceiling "
                f"(reliability under {least:.2f}): {low}",
            ),
        ]
    if "between" in found:
        rows.append(("between maps", f"mean r {_number(found['between']['mean'])}"))
    rows += [("not drawn", f"{what}: {why}") for what, why in found.get("not drawn", {}).items()]
    return rows


def _figures(found: dict[str, Any]) -> str:
    names = {"mean": "mean", "median": "median", "p95": "95th percentile", "max": "largest"}
    return ", ".join(f"{words} {_number(found[name])}" for name, words in names.items())


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
