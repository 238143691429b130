"""JSON text of records, and back.

Types are checked both ways: a record that breaks its own types is not written, and a text that is
no record is an `InputError` that names the field and the value. Numbers that are NaN or infinite
are written as null, which JSON can represent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from bench_core.disk import FULL
from bench_core.errors import InputError
from bench_core.files import reserved_file, write_text

T = TypeVar("T")

RESERVED_BYTES = 2**18
"""Space that is kept for a record while it is measured: some thirty times the largest so far."""


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def from_json(kind: type[T], text: str | bytes, source: str) -> T:
    """Return the ``kind`` that ``text`` holds; ``source`` names the text in the error.

    Raises
    ------
    InputError : the text is no JSON, or breaks the types of ``kind``.
    """
    try:
        found: T = _adapter(kind).validate_json(text)
    except ValidationError as error:
        raise InputError(f"{source} is no {kind.__name__}: {_first(error)}") from None
    return found


def to_json(value: Any, *, indent: int | None = 1) -> str:
    """Return ``value``, a dataclass of this package, as JSON; its types are checked again.

    Raises
    ------
    InputError : a field that must be a finite number is not.
    """
    kind = type(value)
    text = dump(value, indent=indent)
    from_json(kind, text, f"this {kind.__name__}")
    return text


def dump(value: Any, *, indent: int | None = 1) -> str:
    """Return ``value``, a dataclass of this package that was read and checked, as JSON."""
    return _adapter(type(value)).dump_json(value, indent=indent).decode("utf-8")


def to_dict(value: Any) -> dict[str, Any]:
    """Return ``value``, a dataclass of this package, as JSON's own types."""
    found: dict[str, Any] = json.loads(to_json(value))
    return found


def write(value: Any, path: Path) -> Path:
    """Write ``value``, a dataclass of this package, to ``path``, whole or not at all."""
    return write_text(path, to_json(value) + "\n")


def write_if_space(value: Any, path: Path) -> None:
    """Write ``value`` as `write` does, where it can be found out again: on a full disk it is not.

    What was measured before must not be lost with it.
    """
    try:
        write(value, path)
    except OSError as error:
        if error.errno not in FULL:
            raise


@contextmanager
def reserved(path: Path) -> Iterator[Callable[[Any], Path]]:
    """Keep disk space for a record at ``path``; yield the function that writes it, as `write`.

    Raises
    ------
    ResourceError : the disk lacks the space; nothing has been measured yet.
    """
    with reserved_file(path, RESERVED_BYTES) as write_into:
        yield lambda value: write_into(to_json(value) + "\n")


def read(kind: type[T], path: Path) -> T:
    """Return the ``kind`` in the file ``path``.

    Raises
    ------
    InputError : the file is missing, is no JSON, or breaks the types of ``kind``.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text ({error}): delete it and measure again") from None
    return from_json(kind, text, str(path))


def json_schema(kind: type[Any]) -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of ``kind``, generated from its types."""
    found: dict[str, Any] = _adapter(kind).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | found


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = "/".join(str(step) for step in first["loc"]) or "the whole"
    value = str(first.get("input"))
    shown = value if len(value) <= 80 else f"{value[:77]}..."
    return f"at {place}, {first['msg']} (found {shown}); measure again, or delete the file"
