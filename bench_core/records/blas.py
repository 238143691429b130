"""The libraries that computed a fit, and the proof."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from bench_core.records.scalars import STRICT, Bytes, Count, Positive


@dataclass(frozen=True, config=STRICT)
class LibraryRecord:
    """One BLAS library as it ran; ``file`` is relative to the environment.

    ``backend`` is what a wrapper calls; None for other libraries, and in records before version 3.
    """

    name: str
    version: str | None
    architecture: str | None
    threading_layer: str | None
    threads: Positive | None
    file: str | None
    interface: str | None
    backend: str | None = None


@dataclass(frozen=True, config=STRICT)
class GpuRecord:
    """The GPU that torch computed on; see `bench_core.machine.gpu.Gpu`."""

    number: Count
    name: str
    memory_bytes: Bytes
    capability: str
    driver: str | None
    cuda: str | None


@dataclass(frozen=True, config=STRICT)
class TorchRecord:
    """The library behind torch's products in one process; see `bench_core.blas.torch_proof`.

    Parameters
    ----------
    products : calls of torch that were seen in the warm-up fit, by name; empty on nodes.
    device, library, built, precision, allow_tf32, evidence, error, gflops, gpu, reason : as
        `bench_core.blas.torch_proof.TorchProof` has them.
    """

    device: str
    library: LibraryRecord
    built: dict[str, str]
    precision: str
    allow_tf32: bool | None
    evidence: str
    error: Annotated[float, Field(ge=0)]
    gflops: Annotated[float, Field(ge=0)]
    gpu: GpuRecord | None = None
    reason: str | None = None
    products: dict[str, Count] = Field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class BlasCalls:
    """The libraries behind numpy, scipy and torch in one process.

    ``torch`` is None where no product ran in torch, and in records before version 3.
    """

    numpy: LibraryRecord
    scipy: LibraryRecord
    torch: TorchRecord | None = None


@dataclass(frozen=True, config=STRICT)
class BlasProof:
    """Library of every BLAS and LAPACK symbol of numpy and scipy; see `bench_core.blas.proof`."""

    calls: dict[str, list[dict[str, Any]]]
    exceptions: dict[str, dict[str, list[str]]]
    relinked: dict[str, Any]


@dataclass(frozen=True, config=STRICT)
class BlasRecord:
    """The BLAS that answered in the main process and on every node, and the proof.

    ``torch`` is the library that multiplied where the fit's products ran in torch; numpy's and
    scipy's, declared or not, then have no part in its time.
    """

    declared: str | None
    numpy: LibraryRecord
    scipy: LibraryRecord
    workers: tuple[BlasCalls, ...]
    proof: BlasProof | None
    torch: TorchRecord | None = None

    @property
    def in_torch(self) -> TorchRecord | None:
        """Proof of torch's library, of the main process or of the first node that has one."""
        found = (self.torch, *(one.torch for one in self.workers))
        return next((one for one in found if one is not None), None)
