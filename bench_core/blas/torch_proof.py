"""Proof of the library that multiplies for torch, by a product in this process. Imports torch.

Three things are looked at. Which library: `bench_core.blas.torch_library`, and where oneMKL is
inside torch, its own verbose line of the very product. How exactly: the product of known matrices
against numpy's in float64, which shows a GPU that rounds float32 to TF32 (10 bits) whatever its
settings say. How fast.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from bench_core.blas.detection import mappings
from bench_core.blas.report import Library
from bench_core.blas.torch_library import build, cpu_library, gpu_library, mkl_kernels
from bench_core.errors import RidgebenchError
from bench_core.machine.gpu import Gpu, torch_gpu
from bench_core.processes import printed_by_libraries

LARGEST_ERROR = {"float32": 1e-5, "float64": 1e-12}
"""Largest relative error of a product of order `ORDER` that is of that precision.

In TF32 it is about 3e-4, in bfloat16 3e-3: the products of their units in the last place, 2⁻¹¹ and
2⁻⁸, with sums of random signs.
"""

ORDER = {"cpu": 1024, "cuda": 4096}
"""Order of the matrices of the probe."""

PROBE_S = 0.2
"""Seconds for which products are repeated to find their rate."""

_VERBOSE_GEMM = re.compile(r"MKL_VERBOSE ([SD]GEMM)\w*\(.*NThr:(\d+)")


@dataclass(frozen=True)
class TorchProof:
    """The library behind torch's products on one device, and what proves it.

    Attributes
    ----------
    device : "cpu", "cuda:0", …
    library : as `bench_core.blas.detect` reports numpy's.
    built : what torch says that it was built with.
    precision : of float32 products during the probe: "highest", "high" (TF32) or "medium".
    allow_tf32 : whether CUDA's products may be rounded to TF32; None where torch does not say.
    evidence : what was seen, in a sentence.
    error : of the probe's product, relative, in the Frobenius norm.
    gflops : rate of the product.
    gpu : None on the processor.
    reason : why this proves nothing; None if it does.

    Examples
    --------
    >>> from bench_core.blas.torch_proof import prove_torch
    >>> proof = prove_torch("cpu", "float64")
    >>> proof.device, proof.error < 1e-12
    ('cpu', True)
    """

    device: str
    library: Library
    built: dict[str, str] = field(default_factory=dict)
    precision: str = "highest"
    allow_tf32: bool | None = None
    evidence: str = ""
    error: float = 0.0
    gflops: float = 0.0
    gpu: Gpu | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


def prove_torch(device: str, dtype: str, precision: str = "highest") -> TorchProof:
    """Return the proof of torch's products of ``dtype`` on ``device``.

    Parameters
    ----------
    device : in torch's words: "cpu", "cuda", "cuda:1".
    precision : of float32 products, as they were in the fit.

    Raises
    ------
    RidgebenchError : the probe failed: torch finds no such device, or it has no memory left.
    """
    import torch

    try:
        with _float32_precision(precision):
            if torch.device(device).type == "cpu":
                return _on_processor(dtype, precision)
            return _on_gpu(torch.device(device).index or 0, dtype, precision)
    except (RuntimeError, AssertionError) as error:
        first = str(error).strip().partition("\n")[0]
        raise RidgebenchError(f"a matrix product in torch on {device} fails: {first}") from error


def _on_processor(dtype: str, precision: str) -> TorchProof:
    import torch

    error, gflops, printed = _probe("cpu", dtype)
    library = cpu_library()
    calls = _VERBOSE_GEMM.findall(printed)
    proof = TorchProof("cpu", library, build(), precision, _allow_tf32(), "", error, gflops)
    if library.name == "unknown":
        reason = "the library behind torch's products is not known: no gemm was found behind it"
        return replace(proof, reason=reason)
    if library.file is not None and "libtorch_cpu." not in library.file:
        return _judged(
            replace(proof, evidence="libtorch_cpu.so is bound to the library's gemm"), dtype
        )
    if library.name == "mkl" and torch.backends.mkl.is_available():
        wanted = "SGEMM" if dtype == "float32" else "DGEMM"
        threads = max((int(n) for name, n in calls if name == wanted), default=0)
        if threads == 0:
            reason = f"torch's oneMKL did not report a call of {wanted} for a product of {dtype}"
            return replace(proof, reason=reason)
        library = replace(library, threads=threads, architecture=_kernels(printed))
        seen = f"inside libtorch_cpu.so; it reported {wanted} on {threads} of its threads"
        return _judged(replace(proof, library=library, evidence=seen), dtype)
    built = ", ".join(f"{name} {value}" for name, value in proof.built.items())
    return _judged(
        replace(proof, evidence=f"inside libtorch_cpu.so, which exports gemm; {built}"), dtype
    )


def _on_gpu(number: int, dtype: str, precision: str) -> TorchProof:
    import torch

    device = f"cuda:{number}"
    error, gflops, _ = _probe(device, dtype)
    gpu = torch_gpu(number)
    library = gpu_library(
        torch.cuda.get_device_capability(number), {region.file for region in mappings()}
    )
    proof = TorchProof(
        device, library, build(), precision, _allow_tf32(), "", error, gflops, gpu=gpu
    )
    if library.name == "unknown":
        return replace(proof, reason="no libcublas is mapped after a product in torch on a GPU")
    seen = f"mapped after a product on {gpu.name}"
    if hasattr(torch.backends.cuda, "preferred_blas_library"):
        preferred = str(torch.backends.cuda.preferred_blas_library()).rpartition(".")[2]
        seen += f"; torch's choice of library: {preferred}"
    return _judged(replace(proof, evidence=seen), dtype)


def _judged(proof: TorchProof, dtype: str) -> TorchProof:
    """Return the proof, with a reason against it where products are less exact than their type."""
    what = proof.library.name, proof.precision
    return replace(proof, reason=inexact(proof.error, *what, dtype))


def inexact(error: float, library: str, precision: str, dtype: str) -> str | None:
    """Return why products with this error are not of ``dtype``, None if they are."""
    if error <= LARGEST_ERROR[dtype]:
        return None
    return (
        f"products in torch are not of {dtype}: {library} made a relative error of {error:.1g} "
        f"(float32 matmul precision {precision!r}); "
        'call torch.set_float32_matmul_precision("highest")'
    )


def _probe(device: str, dtype: str) -> tuple[float, float, str]:
    """Return error and rate (Gflop/s) of a product on a device, and what MKL printed of it."""
    import torch

    n = ORDER[torch.device(device).type]
    host = np.random.default_rng(0).standard_normal((n, n)).astype(dtype)
    a = torch.from_numpy(host).to(device)
    with printed_by_libraries() as texts, _verbose_mkl():
        product = a @ a
        found = product.cpu().numpy()  # waits for a GPU
    # One row in sixteen of the truth is enough, and cheap.
    truth = host[::16].astype(np.float64) @ host.astype(np.float64)
    error = float(np.linalg.norm(found[::16] - truth) / np.linalg.norm(truth))
    best, end = float("inf"), time.perf_counter() + PROBE_S
    while time.perf_counter() < end:
        _synchronise(device)
        started = time.perf_counter()
        torch.matmul(a, a, out=product)
        _synchronise(device)
        best = min(best, time.perf_counter() - started)
    return error, 2.0 * n**3 / best / 1e9, texts[0]


def _synchronise(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


_header: list[str] = []


def _kernels(printed: str) -> str | None:
    """Return MKL's kernels; it names them in a process's first verbose line, and never again."""
    if (found := mkl_kernels(printed)) is not None:
        _header[:] = [found]
    return _header[0] if _header else None


@contextmanager
def _verbose_mkl() -> Iterator[None]:
    """Have torch's oneMKL print its calls, where it has one."""
    import torch

    if not torch.backends.mkl.is_available():
        yield
        return
    with torch.backends.mkl.verbose(torch.backends.mkl.VERBOSE_ON):
        yield


@contextmanager
def _float32_precision(precision: str) -> Iterator[None]:
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _allow_tf32() -> bool | None:
    import torch

    try:
        return bool(torch.backends.cuda.matmul.allow_tf32)
    except (AttributeError, RuntimeError):  # settings of the newer and the older kind, mixed
        return None
