"""The BLAS of this environment, found in another process: whatever it does there, this one lives.

A library that does not fit the processor, or a damaged one, ends the process that calls it. What
can still be said then is said: the libraries that load without a call, else the files that numpy's
and scipy's modules name.

Run as ``python -m bench_core.blas.observed detect|load``, it prints its answer as JSON.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench_core.blas import elf
from bench_core.blas.libraries import identify
from bench_core.blas.report import BlasReport, Library
from bench_core.processes import answer_channel, describe_end

# Where the module lies that calls gemm.
_MODULES = {
    "numpy": ("_core/_multiarray_umath*.so", "core/_multiarray_umath*.so"),
    "scipy": ("linalg/_fblas*.so",),
}


@dataclass(frozen=True)
class Observed:
    """Libraries of numpy and scipy, and how a call of them failed; None where it did not.

    Examples
    --------
    >>> observe().failure is None
    True
    """

    report: BlasReport
    failure: str | None = None


def observe() -> Observed:
    """Return the libraries that answer a call of numpy and of scipy in a fresh process.

    Where that process dies, the report holds what is known without a call, and ``failure`` how
    it died.
    """
    called, failure = _ask("detect")
    if called is not None:
        return Observed(called)
    failure = f"numpy's and scipy's BLAS does not survive a small matrix product: {failure}"
    loaded, _ = _ask("load")
    return Observed(loaded or BlasReport(_named("numpy"), _named("scipy")), failure)


def _ask(question: str) -> tuple[BlasReport | None, str]:
    done = subprocess.run(
        [sys.executable, "-m", "bench_core.blas.observed", question],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        return None, describe_end(done.returncode, done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout)
    return BlasReport(Library(**answer["numpy"]), Library(**answer["scipy"])), ""


def _named(package: str) -> Library:
    """Return the library whose file the package's module names, without loading it."""
    nothing = Library("unknown", None, None, None, None, None, None)
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return nothing
    root = Path(spec.origin).parent
    bundled = root.with_name(f"{package}.libs")
    modules = [module for pattern in _MODULES[package] for module in root.glob(pattern)]
    for name in (name for module in modules for name in elf.read(module).needed):
        # A relinked module names the full path, one of a wheel a file in the wheel's folder.
        for file in (bundled / name, Path(name)):
            if file.is_file() and (known := identify(file, elf.read(file).exported)) is not None:
                return replace(nothing, name=known.name, file=str(file))
    return nothing


def _load() -> BlasReport:
    """Return the libraries that are loaded with numpy and scipy, which are not called."""
    from threadpoolctl import threadpool_info

    found = {}
    for package, module in (("numpy", "numpy"), ("scipy", "scipy.linalg")):
        known = {info["filepath"] for info in threadpool_info()}
        importlib.import_module(module)
        new = [
            info
            for info in threadpool_info()
            if info["user_api"] == "blas" and info["filepath"] not in known
        ]
        named = _named(package)
        entry = new[0] if new else {}
        found[package] = replace(
            named,
            name=entry.get("internal_api", named.name),
            version=entry.get("version"),
            architecture=entry.get("architecture"),
            threading_layer=entry.get("threading_layer"),
            threads=entry.get("num_threads"),
            file=entry.get("filepath", named.file),
        )
    return BlasReport(found["numpy"], found["scipy"])


def _main(question: str) -> None:
    channel = answer_channel()
    if question == "load":
        report = _load()
    else:
        from bench_core.blas.detection import detect

        report = detect()
    json.dump(report.to_dict(), channel)
    channel.flush()


if __name__ == "__main__":
    _main(sys.argv[1])
