"""The BLAS under numpy and scipy: detection, proof, kernels and replacement."""

from __future__ import annotations

from bench_core.blas.detection import detect, require
from bench_core.blas.environment import (
    ProcessEnvironment,
    build_environment,
    declared,
    thread_environment,
)
from bench_core.blas.kernels import KernelAdvice, kernel_advice, kernel_environment
from bench_core.blas.proof import proof
from bench_core.blas.report import BlasMismatchError, BlasReport, Library

__all__ = [
    "BlasMismatchError",
    "BlasReport",
    "KernelAdvice",
    "Library",
    "ProcessEnvironment",
    "build_environment",
    "declared",
    "detect",
    "kernel_advice",
    "kernel_environment",
    "proof",
    "require",
    "thread_environment",
]
