"""The table of docs/study.md, "Beyond the thesis": the example's study of the cheaper networks.

``python -m tests.study.docs_factors`` carries it out (minutes), writes
docs/study-factors.csv and prints the table. Cells are computed in one process and fitted by
scikit-learn's RidgeCV, so that r, losses and bytes are right, and seconds and memory are left out.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from bench_core.files import write_text
from bench_core.study import run as running
from bench_core.study import subjects
from bench_core.study.example import write_example
from tests.study.study_small import FACTORS, Silent, changed, computed_here, fitted_here

PAGE = Path(__file__).parents[2] / "docs" / "study.md"
DATA = PAGE.with_name("study-factors.csv")
LEVELS = """\
attention = ["sdpa", "math", "reference"]
checkpointing = [false, true]
distillation = ["none", "student", "distilled"]
quantisation = ["none", "int8"]
"""
STUDENT = "[student]\nhidden_dim = 12\nlayers = 1\n\n[clips]"
COLUMNS = (
    "factor", "level", "subject", "r_mean", "r_max", "loss_gpt_held_out", "weight_bytes",
)  # fmt: skip
HEAD = (
    "| factor | level | mean r | largest r | held-out loss | weights, KiB |\n"
    "|---|---|---:|---:|---:|---:|\n"
)


def carry_out() -> list[dict[str, Any]]:
    """Return the rows of the study, in a folder that goes again."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "example"
        write_example(folder, seed=0)
        settings = changed(
            folder / "study.toml", "factors.toml", {FACTORS: LEVELS, "[clips]": STUDENT}
        )
        running.in_process = computed_here
        subjects.run_fit = fitted_here
        return running.run_study(settings, Silent())


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the table: a line for every cell, r as the mean over subjects."""
    cells: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        cells.setdefault((row["factor"], row["level"]), []).append(row)
    lines = []
    for (factor, level), own in cells.items():
        r = [f"{fmean(float(row[name]) for row in own):.2f}" for name in ("r_mean", "r_max")]
        loss = f"{float(own[0]['loss_gpt_held_out']):.3f}"
        weights = f"{float(own[0]['weight_bytes']) / 2**10:.1f}"
        lines.append(" | ".join([f"| `{factor}`", level, *r, loss, weights + " |"]))
    return HEAD + "\n".join(lines) + "\n"


def read() -> list[dict[str, str]]:
    """Return the rows that were measured for the page."""
    with DATA.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    """Measure, write the file, print the table."""
    rows = carry_out()
    failed = [f"{row['factor']} {row['level']}: {row['reason']}" for row in rows if row["reason"]]
    lines = [",".join(COLUMNS)]
    lines += [",".join(str(row[name]) for name in COLUMNS) for row in rows if not row["reason"]]
    write_text(DATA, "\n".join(lines) + "\n")
    print(table(read()))
    print("\n".join(failed))


if __name__ == "__main__":
    main()
