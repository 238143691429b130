"""The study as one tidy table: a row for every cell and subject."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench_core.files import replace_file
from bench_core.study.factors import FACTORS

Row = dict[str, Any]

COLUMNS = (
    "study",
    "factor",
    "level",
    "subject",
    "status",
    "reason",
    *FACTORS,
    "loss_gpt_train",
    "loss_gpt_held_out",
    "loss_vqvae_train",
    "r_mean",
    "r_median",
    "r_p95",
    "r_max",
    "targets",
    "targets_undefined",
    "penalty",
    "seconds",
    "seconds_vqvae",
    "seconds_gpt",
    "seconds_teacher",
    "seconds_encode",
    "seconds_fit",
    "peak_memory_bytes",
    "peak_gpu_bytes",
    "weight_bytes",
    "parameters_gpt",
    "parameters_with_vqvae",
    "frames",
    "clips",
    "samples",
    "runs",
    "steps",
    "seed",
    "device",
    "cell",
)
PARTS = ("vqvae", "gpt", "teacher", "encode", "fit")
"""Parts of a cell's seconds, each a column of its own."""

_FROM_RECORD = (
    "loss_gpt_train",
    "loss_gpt_held_out",
    "loss_vqvae_train",
    "seconds_vqvae",
    "seconds_gpt",
    "seconds_teacher",
    "seconds_encode",
    "peak_memory_bytes",
    "peak_gpu_bytes",
    "weight_bytes",
    "parameters_gpt",
    "parameters_with_vqvae",
    "samples",
    "steps",
    "device",
)


def rows_of(
    identity: Mapping[str, Any], subjects: Iterable[str], record: Mapping[str, Any]
) -> list[Row]:
    """Return one cell's rows: of its ``identity`` (factor, level, …) and its ``record``."""
    shared = {**identity, **{name: record.get(name) for name in _FROM_RECORD}}
    shared |= {name: record.get("data", {}).get(name) for name in ("frames", "clips", "runs")}
    rows = []
    for subject in subjects:
        row: Row = {**dict.fromkeys(COLUMNS), **shared, "subject": subject}
        row |= {"status": record["status"], "reason": record.get("reason")}
        own = record.get("subjects", {}).get(subject)
        if own is not None:
            row |= {"status": own["status"], "reason": own["reason"]}
            row |= {name: own.get(name) for name in ("penalty", "seconds_fit")}
            r = own.get("r", {})
            row |= {f"r_{name}": r.get(name) for name in ("mean", "median", "p95", "max")}
            row |= {"targets": r.get("defined"), "targets_undefined": r.get("undefined")}
            row["seconds"] = sum(row[f"seconds_{part}"] or 0.0 for part in PARTS)
        rows.append(row)
    return rows


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write the table as CSV; it is there whole or as it was."""

    def save(part: Path) -> None:
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    replace_file(path, save)
