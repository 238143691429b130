"""Several subjects as `fit` and `accuracy` print them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_core.cli.display import print_table

if TYPE_CHECKING:
    from bench_core.accuracy.subjects import SubjectsComparison

_COLUMNS = {
    "r_mean": "mean r",
    "r_p95": "95th percentile",
    "r_max": "largest r",
    "shuffled_mean": "shuffled mean",
    "shuffled_max": "shuffled largest",
}


def subjects_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a row for every subject: targets and r, and the status where rows have one."""
    shown = {name: words for name, words in _COLUMNS.items() if any(name in row for row in rows)}
    further = ["significant", "status"]
    further = [name for name in further if any(name in row for row in rows)]
    print_table(
        "subjects",
        ("subject", "targets", *shown.values(), *further),
        [
            (
                row["subject"],
                f"{row['targets']:,}",
                *(_number(row.get(name)) for name in shown),
                *(str(row.get(name, "")) for name in further),
            )
            for row in rows
        ],
        words=("subject", "status"),
    )


def comparison_rows(
    found: SubjectsComparison, folder: Path, files: Sequence[str]
) -> list[tuple[str, str]]:
    """Return the rows of the table of what all subjects have in common."""
    values = found.to_json()
    rows = []
    if "between" in values:
        rows.append(("between maps", f"mean r {_number(values['between']['mean'])}"))
    rows += [(f"no {what}", why) for what, why in found.left_out.items()]
    return [*rows, ("results", str(folder)), ("files", ", ".join(files))]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
