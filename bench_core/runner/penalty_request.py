"""How `ridgebench bench` is to choose penalties: from its options to the suites, by a variable."""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from bench_core.errors import InputError
from bench_core.records.codec import from_json
from bench_core.runner.spec import FitSpec

VARIABLE = "RIDGEBENCH_PENALTY"
"""Environment variable of a request, as JSON; absent where nothing is asked for."""


@dataclass(frozen=True)
class PenaltyRequest:
    """Candidates, and a strategy's options of the same names; None or 0 for what holds without.

    Where leave-one-out ("loo") is what holds without ``cv``, it is the same case.

    Raises `InputError` for candidates that `FitSpec` refuses.

    Examples
    --------
    >>> request = PenaltyRequest(cv="run", alpha_per_target=True)
    >>> request.options, request.label
    ({'cv': 'run', 'alpha_per_target': True}, 'cv-run-alpha_per_target')
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    alphas: tuple[float, ...] | None = None
    cv: str | int | None = None
    scoring: str | None = None
    alpha_per_target: bool = False
    extend_alphas: int = 0

    def __post_init__(self) -> None:
        FitSpec("parcels", "ridgecv", alphas=self.alphas)
        object.__setattr__(self, "extend_alphas", self.extend_alphas or 0)

    @property
    def options(self) -> dict[str, Any]:
        """What is asked for as options, by the common names."""
        values = {name: value for name, value in asdict(self).items() if value}
        values.pop("alphas", None)
        return values

    def options_of(self, strategy: str) -> dict[str, Any]:
        """Return what is asked for as options of a strategy, without leave-one-out if its own."""
        from bench_core import strategies

        values = self.options
        if strategies.get(strategy).is_default_cv(self.cv):
            del values["cv"]
        return values

    @property
    def label(self) -> str:
        """Words for a name; empty where nothing is asked for."""
        alphas = "" if self.alphas is None else f"alphas-{'-'.join(f'{a:g}' for a in self.alphas)}"
        if len(alphas) > 40:
            alphas = f"alphas-{hashlib.sha256(alphas.encode()).hexdigest()[:8]}"
        words = [alphas]
        for name, value in self.options.items():
            if (name, value) != ("cv", "loo"):
                words.append(name if value is True else f"{name}-{value}")
        return re.sub(r"[^A-Za-z0-9._+-]+", "-", "-".join(filter(None, words)))

    def environment(self) -> dict[str, str]:
        """Return the variable that tells the suites; none where nothing is asked for."""
        return {} if self == PenaltyRequest() else {VARIABLE: json.dumps(asdict(self))}

    def applied(self, spec: FitSpec) -> FitSpec:
        """Return the case with what is asked for; what its suite names itself holds."""
        options = {**self.options_of(spec.strategy), **spec.options}
        alphas = self.alphas if spec.alphas is None else spec.alphas
        return replace(spec, options=options, alphas=alphas)

    def absent(self, strategy: str) -> str | None:
        """Return why a strategy has not all of the options, None if it has."""
        from bench_core import strategies

        known = strategies.get(strategy).option_names()
        names = [name for name in self.options_of(strategy) if name not in known]
        return f"{strategy} has no {', '.join(names)}" if names else None

    def unable(self, strategy: str, samples: int) -> str | None:
        """Return why a strategy cannot choose penalties so for so many samples, None if it can.

        What every strategy does by itself is not looked at.
        """
        from bench_core import strategies
        from bench_core.runner.planning import planned_options

        if self == PenaltyRequest():
            return None
        if (absent := self.absent(strategy)) is not None:
            return absent
        options = planned_options(self.options_of(strategy), samples)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the fit itself says what it leaves out
                strategies.get(strategy)(**self.candidates, **options).check_options(samples)
        except InputError as error:
            return str(error)
        return None

    @property
    def candidates(self) -> dict[str, Any]:
        """The candidates as a strategy's constructor takes them; empty for its own."""
        return {} if self.alphas is None else {"alphas": self.alphas}

    def refusal(self, spec: FitSpec) -> str | None:
        """Return why the case's strategy cannot choose penalties as is asked, None if it can."""
        from bench_core.errors import ResourceError
        from bench_core.runner.planning import plan_fit
        from bench_core.runner.problem_cache import problem_shape

        if (absent := self.absent(spec.strategy)) is not None:
            return absent
        case, shape = self.applied(spec), problem_shape(spec)
        samples = shape.training_samples(spec.split)
        size = (samples, shape.p, shape.s, spec.dtype)
        try:
            plan_fit(
                spec.strategy,
                *size,
                nodes=spec.nodes,
                alphas=case.penalties,
                options=case.options,
            )
        except InputError as error:
            return str(error)
        except ResourceError:
            return None  # the fit itself is refused, and recorded
        return None


def requested(environment: Mapping[str, str] | None = None) -> PenaltyRequest | None:
    """Return the request of the environment, None where there is none.

    Raises `InputError` for a variable that holds no request.
    """
    text = (os.environ if environment is None else environment).get(VARIABLE)
    return None if not text else from_json(PenaltyRequest, text, VARIABLE)
