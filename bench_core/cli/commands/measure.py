"""Measure one strategy on one problem and print what its record says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bench_core.cli.parameters import Option, Scale

_STORE = Path(".asv", "measured")


@click.command()
@click.argument("strategy")
@click.argument("problem")
@click.option("--scale", type=Scale(), default=1.0, help="Shrink t, p and s together, e.g. 1/16.")
@click.option("--subject", default="sub-01", show_default=True, help="sub-01 … sub-06.")
@click.option("--nodes", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--dtype", type=click.Choice(["float64", "float32"]), default="float64")
@click.option("--split", type=click.Choice(["random", "run"]), default="random")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--kernels", type=click.Choice(["default", "best"]), default="default")
@click.option("--blas", help="BLAS that must answer  [default: what RIDGEBENCH_BLAS declares].")
@click.option("--alphas", metavar="λ,λ,…", help="Candidate penalties  [default: the thesis's].")
@click.option("--no-intercept", is_flag=True, help="Fit without an intercept.")
@click.option(
    "--option", "options", type=Option(), multiple=True, help="Further option of the strategy."
)
@click.option(
    "--null",
    type=click.Choice(["auto", "fit", "sample", "skip"]),
    default="auto",
    show_default=True,
    help="How r is found after training on shuffled rows.",
)
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    default=_STORE,
    show_default=True,
    help="Folder of records.",
)
@click.option(
    "--scratch", type=click.Path(file_okay=False, path_type=Path), help="Folder for problems."
)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds.")
@click.option("--again", is_flag=True, help="Measure although the store has a valid record.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole record.")
def command(
    strategy: str,
    problem: str,
    options: tuple[tuple[str, Any], ...],
    alphas: str | None,
    no_intercept: bool,
    blas: str | None,
    store: Path,
    scratch: Path | None,
    timeout: float | None,
    again: bool,
    as_json: bool,
    **rest: Any,
) -> None:
    """Measure STRATEGY on PROBLEM (a name or a problem folder) and print what its record says.

    The exit status is 0 for a valid measurement, 1 for one that failed or is invalid, 3 for one
    that was skipped because this machine cannot run it.
    """
    from rich.console import Console

    from bench_core.measure import Case, measure

    case = Case(
        problem=problem,
        strategy=strategy,
        options=dict(options),
        alphas=None if alphas is None else _numbers(alphas),
        fit_intercept=not no_intercept,
        blas=blas or _declared(),
        **rest,
    )
    with Console(stderr=True).status("preparing") as status:
        record = measure(
            case,
            store=store,
            scratch=scratch,
            timeout=timeout,
            again=again or not _is_valid(store / f"{case.stem}.json"),
            progress=lambda words: status.update(words),
        )
    if as_json:
        click.echo(json.dumps(record, indent=1))
    else:
        _show(record, store / f"{case.stem}.json")
    raise SystemExit({"ok": 0, "skipped": 3}.get(record["status"], 1))


def _is_valid(path: Path) -> bool:
    """Return whether a valid measurement is in ``path``: what stopped another may have passed."""
    from bench_core.measure import read

    return path.is_file() and read(path)["status"] == "ok"


def _declared() -> str | None:
    from bench_core.blas import declared

    return declared()


def _numbers(text: str) -> tuple[float, ...]:
    from bench_core.errors import InputError

    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise InputError(f"--alphas {text!r}: give numbers separated by commas") from None


def _show(record: dict[str, Any], path: Path) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    case, size = record["case"], record["case"]["problem"]
    where = f"{case['nodes']} × {case['threads']}"
    table = Table(
        title=f"{case['strategy']} on {size['name']}, nodes × threads {where}: {record['status']}",
        show_header=False,
        title_justify="left",
    )
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for row in _rows(record):
        table.add_row(*map(escape, row))
    table.add_row("record", str(path))
    if path.with_suffix(".log").is_file():
        table.add_row("log", str(path.with_suffix(".log")))
    Console().print(table)


def _rows(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the table's rows for whatever the record knows."""
    from bench_core.errors import readable_bytes

    size = record["case"]["problem"]
    rows = [
        (
            "problem",
            f"{size['t']:,} samples × {size['p']:,} features × {size['s']:,} targets, "
            f"{size['dtype']}",
        )
    ]
    if record["reason"]:
        rows.append(("why", record["reason"]))
    if times := record["times"]:
        rows.append(("fit", _seconds(times)))
        rows.append(("predict", f"{times['predict_s']:.3g} s"))
    if memory := record["memory"]:
        rows.append(
            (
                "memory",
                f"peak {readable_bytes(memory['peak_bytes'])}, "
                f"{readable_bytes(memory['peak_bytes'] - memory['baseline_bytes'])} of it the fit",
            )
        )
    if moved := record["bytes_moved"]:
        rows.append(("moved", f"{readable_bytes(moved['total'])} between processes"))
    if chosen := record["penalty"]:
        pairs = zip(chosen["values"], chosen["counts"], strict=True)
        rows.append(("penalty", ", ".join(f"{value:g} ({count})" for value, count in pairs)))
    for name, label in (("accuracy", "held-out r"), ("null", "r, shuffled")):
        if figures := record[name]:
            rows.append((label, _accuracy(figures)))
    if found := record["agreement"]:
        worst = "not finite" if found["worst"] is None else f"{found['worst']:.1e}"
        claim = {True: ", RidgeCV's penalty", False: ", not RidgeCV's penalty", None: ""}
        rows.append(
            (
                "agreement",
                f"{'yes' if found['agrees'] else 'no'}: worst difference {worst}, tolerance "
                f"{found['tolerance']:g}, {found['targets']} targets{claim[found['same_penalty']]}",
            )
        )
    if blas := record["blas"]:
        for caller in ("numpy", "scipy"):
            library = blas[caller]
            rows.append(
                (
                    caller,
                    f"{library['name']} {library['version']}, {library['architecture']} kernels, "
                    f"{library['threads']} threads",
                )
            )
    return rows


def _seconds(times: dict[str, Any]) -> str:
    text = f"{times['median_s']:.4g} s"
    if times["ci95_s"] is None:
        return f"{text}, one repeat"
    low, high = times["ci95_s"]
    return f"{text} (median of {len(times['fit_s'])}, 95 % interval {low:.4g} – {high:.4g})"


def _accuracy(figures: dict[str, Any]) -> str:
    names = ("mean", "median", "p95", "max")
    text = ", ".join(f"{name} {figures[name]:.3f}" for name in names if figures[name] is not None)
    if figures["undefined"]:
        text += f"; undefined for {figures['undefined']} targets"
    return text.lstrip("; ")
