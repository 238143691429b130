"""The processor: its model, vendor and instruction sets."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

# In rising order: what a BLAS kernel is written for, and the flags that Linux shows for it.
_LEVELS = (
    ("avx", ("avx",)),
    ("avx2", ("avx2", "fma")),
    ("avx512", ("avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd")),
    ("avx512_bf16", ("avx512f", "avx512bw", "avx512vl", "avx512_bf16")),
    ("amx_bf16", ("avx512f", "avx512_bf16", "amx_bf16", "amx_tile")),
)
_SHOWN = (
    *("sse2", "sse4_2", "avx", "avx2", "fma", "avx512f", "avx512cd", "avx512bw", "avx512dq"),
    *("avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16"),
    *("asimd", "sve", "sve2", "bf16"),
)


@dataclass(frozen=True)
class Cpu:
    """The processor of this machine.

    Attributes
    ----------
    model, vendor : as the processor reports; vendor "GenuineIntel", "AuthenticAMD", …
    features : the instruction sets that a BLAS uses, in Linux's names.

    Examples
    --------
    >>> Cpu("Example 9000", "GenuineIntel", ("avx", "avx2", "fma")).levels()
    ['avx', 'avx2']
    """

    model: str
    vendor: str
    features: tuple[str, ...]

    def levels(self) -> list[str]:
        """Return the kernel levels that this processor can run, lowest first.

        Known are avx, avx2, avx512, avx512_bf16 and amx_bf16; other architectures have none.
        """
        return [name for name, flags in _LEVELS if set(flags) <= set(self.features)]


@lru_cache(maxsize=1)
def cpu() -> Cpu:
    """Return the processor of this machine."""
    try:
        return parse(Path("/proc/cpuinfo").read_text())
    except OSError:
        return Cpu(platform.processor() or platform.machine(), "unknown", ())


def parse(cpuinfo: str) -> Cpu:
    """Return the first processor in the text of /proc/cpuinfo."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return Cpu(
        model=fields.get("model name") or platform.processor() or platform.machine(),
        vendor=fields.get("vendor_id") or fields.get("CPU implementer") or "unknown",
        features=tuple(name for name in _SHOWN if name in flags),
    )
