"""GPUs of this machine, from NVIDIA's driver; none without it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

_FIELDS = "name,memory.total,driver_version"


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
