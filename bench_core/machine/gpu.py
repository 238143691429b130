"""GPUs of this machine, from NVIDIA's driver; none without it."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FIELDS = "name,memory.total,driver_version"


@dataclass(frozen=True)
class Gpu:
    """The GPU that torch computes on.

    Attributes
    ----------
    number : in torch's order. name, memory_bytes, capability : as its driver reports them.
    driver : version of the driver, None if unknown.
    cuda : version of CUDA that torch was built for.

    Examples
    --------
    >>> Gpu(0, "NVIDIA H100", 85 * 10**9, "9.0", "550.54", "12.8").capability
    '9.0'
    """

    number: int
    name: str
    memory_bytes: int
    capability: str
    driver: str | None
    cuda: str | None


def torch_gpu(number: int, torch: Any = None) -> Gpu:
    """Return the GPU that torch calls ``cuda:number``.

    torch : the module, or what stands for it in a test.
    """
    torch = torch or importlib.import_module("torch")
    found = torch.cuda.get_device_properties(number)
    drivers = [one["driver"] for one in gpus() if one["driver"]]
    return Gpu(
        number=number,
        name=str(found.name),
        memory_bytes=int(found.total_memory),
        capability=f"{found.major}.{found.minor}",
        driver=drivers[0] if drivers else None,  # one for all GPUs of a machine
        cuda=None if torch.version.cuda is None else str(torch.version.cuda),
    )


def cublas_version(file: str) -> str | None:
    """Return the version of the loaded cuBLAS at ``file``, None if it does not say.

    ``cublasGetProperty`` needs neither a handle nor a GPU. It is asked for the major version (0),
    the minor one (1) and the patch level (2).
    """
    parts = []
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(file)
        for part in range(3):
            value = ctypes.c_int()
            if library.cublasGetProperty(part, ctypes.byref(value)) != 0:
                return None
            parts.append(str(value.value))
    return ".".join(parts) or None


def gpus() -> list[dict[str, Any]]:
    """Return name, memory in bytes (None if unknown) and driver version of every GPU."""
    program = shutil.which("nvidia-smi")
    if program:
        try:
            answer = subprocess.run(
                [program, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"],
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return from_proc()
        return parse_smi(answer.stdout)
    return from_proc()


def parse_smi(text: str) -> list[dict[str, Any]]:
    """Return the GPUs in nvidia-smi's comma-separated answer (memory there in MiB)."""
    found = []
    for line in filter(None, text.splitlines()):
        name, memory, driver = (part.strip() for part in line.rsplit(",", 2))
        size = int(memory) << 20 if memory.isdigit() else None
        found.append({"name": name, "memory_bytes": size, "driver": driver})
    return found


def from_proc(root: Path = Path("/proc/driver/nvidia/gpus")) -> list[dict[str, Any]]:
    """Return the names of the GPUs that the driver lists below ``root``."""
    found = []
    for file in sorted(root.glob("*/information")):
        fields = dict(line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
        name = fields.get("Model", "unknown").strip()
        found.append({"name": name, "memory_bytes": None, "driver": None})
    return found
