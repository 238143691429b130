"""Proof of torch's library, for fits whose products ran in torch and not in numpy or scipy.

A strategy says where it computes (`Strategy.torch_device`); the warm-up fit is watched, and the
library is proven in the process of the fit, after the timed fits. Imports torch where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench_core.blas.torch_watch import TorchProducts
from bench_core.errors import RidgebenchError, counted
from bench_core.records.blas import BlasCalls, BlasRecord, GpuRecord, LibraryRecord, TorchRecord

EXACT = "highest"
"""Torch's name for float32 products that are of float32."""


def torch_record(device: str, dtype: str, products: TorchProducts | None = None) -> TorchRecord:
    """Return the proof of torch's products of ``dtype`` on ``device`` in this process.

    products : seen in a fit; their precision is the probe's.
    """
    from bench_core.blas.torch_proof import prove_torch

    seen = products or TorchProducts()
    loose = sorted(seen.precisions - {EXACT})
    try:
        proof = prove_torch(device, dtype, loose[0] if loose else EXACT)
    except RidgebenchError as error:
        unknown = LibraryRecord("unknown", None, None, None, None, None, None)
        return TorchRecord(device, unknown, {}, EXACT, None, "", 0.0, 0.0, reason=str(error))
    values = {
        name: getattr(proof, name)
        for name in TorchRecord.__dataclass_fields__
        if name not in ("library", "gpu", "products")
    }
    return TorchRecord(
        library=LibraryRecord(**vars(proof.library)),
        gpu=None if proof.gpu is None else GpuRecord(**vars(proof.gpu)),
        products=seen.on(proof.device),
        **values,
    )


def device_of(declared: str | None, products: TorchProducts | None) -> str | None:
    """Return the device whose library is to be proven; None where nothing ran in torch.

    That of the products that were seen, a GPU first, whatever the strategy says; else what it says.
    """
    if products is not None and products.devices:
        return products.devices[0]
    return declared


def wrong_device(declared: str | None, products: TorchProducts | None) -> str | None:
    """Return why a strategy's word of where it computes is not to be trusted, None if it is.

    >>> seen = TorchProducts()
    >>> wrong_device(None, seen) is None, wrong_device("cpu", seen) is None
    (True, False)
    """
    seen = [] if products is None else products.devices
    if declared is None or products is None or declared in seen:
        return None
    found = f"on {', '.join(seen)}" if seen else "anywhere in torch"
    return (
        f"the strategy computes in torch on {declared}, and no product or factorisation was seen "
        f"there in the warm-up ({found}): correct its torch_device"
    )


def unwatched(loaded: Mapping[str, bool], declared: str | None) -> str | None:
    """Return the doubt where a node has loaded torch though the strategy does not compute there.

    loaded : whether it has, by the name of the node.
    """
    nodes = [name for name, has in loaded.items() if has]
    if declared is not None or not nodes:
        return None
    return (
        f"torch is loaded on {', '.join(nodes)}, though the strategy says that it computes in "
        "numpy: which library multiplied is not known; let it say so in torch_device"
    )


def wrong_torch(records: Sequence[TorchRecord], threads: int) -> str | None:
    """Return what is wrong with torch's library or its threads, None if nothing is."""
    for one in records:
        if one.reason is not None:
            return one.reason
        found = one.library.threads
        if one.gpu is None and found is not None and found != threads:
            return (
                f"torch's {one.library.name} runs {counted(found, 'thread')} where {threads} were "
                "asked for: look for what sets threads in the strategy or at start-up"
            )
    return None


def in_torch(calls: Sequence[BlasCalls]) -> list[TorchRecord]:
    """Return torch's proof of every process that has one."""
    return [one.torch for one in calls if one.torch is not None]


def kernels_note(blas: BlasRecord, kernels: str) -> str | None:
    """Return why kernels that were asked for by name do not run in torch, None where it does."""
    if blas.in_torch is None or kernels in ("default", "best"):
        return None
    return (
        f"kernels {kernels!r} were asked for, and the products ran in torch, whose "
        f"{blas.in_torch.library.name} chooses its own: leave kernels at 'default'"
    )
