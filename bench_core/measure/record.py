"""Records: the JSON files that measurements are kept in, checked against a versioned schema.

The schema is ``schema/measurement-1.json`` in this package; ``docs/measurements.md`` explains it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from bench_core.errors import InputError

SCHEMA = "ridgebench-measurement/1"
Record = dict[str, Any]


@cache
def schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a record."""
    text = files("bench_core.measure").joinpath("schema/measurement-1.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def validate(record: Mapping[str, Any], source: str = "record") -> None:
    """Raise `InputError` that names the place and the value where ``record`` breaks the schema."""
    import jsonschema

    validator = jsonschema.Draft202012Validator(schema())
    error = jsonschema.exceptions.best_match(validator.iter_errors(record))
    if error is not None:
        place = "/".join(str(step) for step in error.absolute_path) or "the whole"
        raise InputError(
            f"{source} is no {SCHEMA} record: at {place}, {error.message[:300]}; "
            "measure again, or delete the file"
        )


def read(path: Path) -> Record:
    """Return the record in the file ``path``.

    Raises
    ------
    InputError : the file is missing, is no JSON, or breaks the schema.
    """
    try:
        record = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"no record can be read from {path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}): delete it and measure again") from None
    if not isinstance(record, dict):
        raise InputError(f"{path} holds no record: delete it and measure again")
    validate(record, str(path))
    return record


def read_all(folder: Path) -> list[Record]:
    """Return every measurement below ``folder``, in the order of their start.

    JSON files of another schema, such as a session's description, are passed over; a damaged
    record raises `InputError`.
    """
    return sorted((read(path) for path in _records(folder)), key=lambda record: record["started"])


def _records(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.json")):
        # Cheaper than parsing, and a truncated record still counts as one.
        with path.open("rb") as file:
            if SCHEMA.encode() in file.read(200):
                yield path


def write(record: Mapping[str, Any], path: Path) -> None:
    """Validate ``record`` and write it to ``path``, whole or not at all."""
    validate(record)
    write_json(record, path)


def write_json(values: Any, path: Path) -> None:
    """Write ``values`` to ``path`` as JSON without NaN, whole or not at all."""
    text = json.dumps(values, indent=1, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def finite(values: Any) -> Any:
    """Return ``values`` with every NaN or infinite number replaced by None, which JSON can say."""
    if isinstance(values, Mapping):
        return {str(key): finite(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [finite(value) for value in values]
    if isinstance(values, float) and not (abs(values) < float("inf")):
        return None
    return values
