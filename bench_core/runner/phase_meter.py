"""Phases of the timed fits, and the ones of the fit that the record's median is of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bench_core.phases import Phases
from bench_core.records.phases import PhasesRecord
from bench_core.strategies import Strategy


@dataclass
class PhaseMeter:
    """Phases of every fit, where the strategy takes them.

    Attributes
    ----------
    records : of every fit that was metered, in order.
    entered : phases that the main process opened in the last fit.

    Examples
    --------
    >>> from bench_core import strategies
    >>> model, meter = strategies.get("multitarget")(alphas=(1.0, 10.0)), PhaseMeter()
    >>> meter.begin(model)
    >>> meter.end(model.fit([[0.0], [1.0], [3.0]], [[1.0], [2.0], [2.0]]), 0.1)
    >>> meter.middle == meter.records[0]
    True
    """

    records: list[PhasesRecord] = field(default_factory=list)
    entered: int = 0

    def begin(self, model: Any) -> None:
        """Have the next fit of ``model`` timed by phases, if its strategy has any."""
        if isinstance(model, Strategy) and model.phased:
            model.phases = Phases()

    def end(self, model: Any, seconds: float) -> None:
        """Keep the phases of the fit that took so many ``seconds``."""
        found = model.phases_record(seconds) if isinstance(model, Strategy) else None
        if found is not None:
            self.records.append(found)
            self.entered = model.phases.entered

    def forget(self, fits: int) -> None:
        """Leave out the first fits, which were warm-up."""
        del self.records[:fits]

    @property
    def middle(self) -> PhasesRecord | None:
        """The phases of the fit of median time, of the quicker of two; None without any."""
        ordered = sorted(self.records, key=lambda one: one.fit_s)
        return ordered[(len(ordered) - 1) // 2] if ordered else None
