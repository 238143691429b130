"""Names of an atlas's labels, from the BIDS table beside it."""

from __future__ import annotations

import csv
from pathlib import Path

from bench_core.errors import InputError
from bench_core.files import read_text


def label_names(labels: Path) -> dict[int, str]:
    """Return the names of an atlas's labels from the BIDS table beside it, {} without one.

    The table is ``ATLAS.tsv`` for ``ATLAS.nii.gz``, with columns index and name. Raises
    `InputError` for a table without them.
    """
    table = labels.with_name(labels.name.partition(".nii")[0] + ".tsv")
    if not table.is_file():
        return {}
    rows = list(csv.DictReader(read_text(table).splitlines(), delimiter="\t"))
    try:
        return {int(row["index"]): str(row["name"]) for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{table} needs columns index and name, separated by tabs") from error


def target_names(numbers: list[int], names: dict[int, str]) -> list[str]:
    """Return one name per label: the atlas's, "parcel 7" without one, with the number if shared.

    >>> target_names([1, 2, 3, 4], {1: "V1", 2: "insula", 3: "insula"})
    ['V1', 'insula (2)', 'insula (3)', 'parcel 4']
    """
    own = [names.get(number, "").strip() for number in numbers]
    return [
        f"parcel {number}"
        if name in ("", "n/a")
        else f"{name} ({number})"
        if own.count(name) > 1
        else name
        for number, name in zip(numbers, own, strict=True)
    ]
