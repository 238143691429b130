"""Reading sections of a TOML file into dataclasses, with errors that name the key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from bench_core.errors import InputError, unknown
from bench_core.files import read_text

_Section = TypeVar("_Section")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables in the file; raise `InputError` when it is absent or not TOML."""
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}") from error


def read_section(cls: type[_Section], table: Any, where: str, base: Path) -> _Section:
    """Return ``table`` as the dataclass ``cls``.

    Every field is one key, annotated with its meaning. Paths are taken relative to ``base``,
    lists become tuples.

    Raises
    ------
    UnknownNameError : for a key that is not a field, with near names.
    InputError : for a key that is missing or has a value of another type.
    """
    if not isinstance(table, Mapping):
        raise InputError(f"{where} is {table!r}: it must be a table, [{where}]")
    assert is_dataclass(cls)
    hints = get_type_hints(cls, include_extras=True)
    known = {each.name: each for each in fields(cls)}
    for name in table:
        if name not in known:
            raise unknown(f"key in [{where}]" if where else "key", name, known)
    values = {}
    for name, each in known.items():
        full = f"{where}.{name}" if where else name
        kind, about = get_args(hints[name])
        if name in table:
            values[name] = _convert(table[name], kind, full, about, base)
        elif each.default is MISSING and each.default_factory is MISSING:
            raise InputError(f"{full} is missing: {about}")
    return cls(**values)


def _convert(value: Any, kind: Any, where: str, about: str, base: Path) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        (kind,) = (each for each in arguments if each is not NoneType)
        return _convert(value, kind, where, about, base)
    if origin is Literal:
        if value not in arguments:
            raise unknown(f"{where}", str(value), map(str, arguments))
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(value, where, f"a list, such as [{value!r}]", about)
        return tuple(_convert(each, arguments[0], where, about, base) for each in value)
    if origin is dict:
        if not isinstance(value, dict):
            raise _wrong(value, where, f"a table, [{where}]", about)
        return {k: _convert(v, arguments[1], f"{where}.{k}", about, base) for k, v in value.items()}
    if kind is Path and isinstance(value, str):
        return (base / Path(value).expanduser()).resolve()
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    names = {str: "text in quotes", Path: "a path in quotes", bool: "true or false"}
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _wrong(
            value, where, names.get(kind, "a number" if kind is float else "an integer"), about
        )
    return value


def _wrong(value: Any, where: str, needed: str, about: str) -> InputError:
    return InputError(f"{where} is {value!r}: it must be {needed} ({about})")
