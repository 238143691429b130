"""The record of figures that are not those of one fit: of encoders, training, whole pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from pydantic.dataclasses import dataclass

from bench_core.records.scalars import STRICT, Status

SCHEMA_FIGURES: Final = "ridgebench-figures/1"

Parameter = str | int | float | bool | None


@dataclass(frozen=True, config=STRICT)
class FiguresCase:
    """The suite, and the names and values of its parameters, in their order.

    Examples
    --------
    >>> FiguresCase("encoders", {"encoder": "vgg16", "batch": 8}).text
    'vgg16, 8'
    """

    suite: str
    parameters: dict[str, Parameter]

    @property
    def text(self) -> str:
        """The values of the parameters, in one line."""
        return ", ".join(str(value) for value in self.parameters.values())


@dataclass(frozen=True, config=STRICT)
class Figure:
    """One figure: its value, None where there is none, and its unit, such as "s" or "bytes".

    >>> Figure(0.5, "s").unit
    's'
    """

    value: float | None
    unit: str


@dataclass(frozen=True, config=STRICT)
class FiguresRecord:
    """Figures of one case by name.

    Parameters
    ----------
    started : when, as ISO 8601 in UTC.
    about : what else tells how they were obtained, such as the encoder's weights.

    Examples
    --------
    >>> when = "2026-01-01T00:00:00Z"
    >>> record = make_figures("encoders", {"batch": 8}, {"decode": (0.5, "s")}, when)
    >>> record.figures["decode"].value
    0.5
    """

    schema: Literal["ridgebench-figures/1"]
    status: Status
    reason: str | None
    case: FiguresCase
    figures: dict[str, Figure]
    started: str
    about: dict[str, Parameter]


def make_figures(
    suite: str,
    parameters: Mapping[str, Parameter],
    figures: Mapping[str, tuple[float | None, str]],
    started: str,
    about: Mapping[str, Parameter] | None = None,
) -> FiguresRecord:
    """Return the record of ``figures``: name → (value, unit)."""
    return FiguresRecord(
        SCHEMA_FIGURES,
        "ok",
        None,
        FiguresCase(suite, dict(parameters)),
        {
            name: Figure(None if value is None else float(value), unit)
            for name, (value, unit) in figures.items()
        },
        started,
        dict(about or {}),
    )
