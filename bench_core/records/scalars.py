"""Types of single values in records, and how strictly all are checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

STRICT: Any = {"extra": "forbid", "strict": True}

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0)]
Bytes = Annotated[int, Field(ge=0)]
Penalty = Annotated[float, Field(gt=0)]
KernelChoice = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
"""Kernels asked for: "default", "best", or a name in lower case, such as "haswell"."""
Status = Literal["ok", "invalid", "disturbed", "skipped", "failed"]
"""A disturbed fit is right and its times are not: others used the machine meanwhile."""
Stopped = Literal["repeats", "precision", "budget", "at most"]
"""Why no further repeat was begun: so many were asked for, or what `Until` names."""
