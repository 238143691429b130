"""A conformance test for encoders: `check_encoder`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import ConformanceError, InputError, UnknownNameError
from encoders.outputs import as_array
from encoders.protocol import Encoder, Frames, InputSpec, WeightsInfo

_SAMPLES = 3
_LAYERS = 8  # layers that are run, if none are named


def check_encoder(
    encoder: Encoder | Callable[..., Encoder],
    *,
    layers: Sequence[str] | None = None,
    frame: tuple[int, int] = (96, 128),
    tolerance: float = 1e-4,
) -> None:
    """Check an encoder against `encoders.protocol.Encoder`.

    The checks run the encoder on a few random frames, on its own device. A factory is also checked
    for the effect of the seed; use a small configuration where the encoder has one.

    Parameters
    ----------
    encoder : an encoder, or a factory ``(weights=None, *, seed=0, device="cpu") -> Encoder``, such
        as its class.
    layers : layers to run. None runs up to 8 of ``encoder.layers()`` and skips those that raise
        `InputError`, because they have no output.
    frame : height and width of the test frames in pixels.
    tolerance : largest difference, relative to a layer's largest value, of a sample's output
        between two passes and between batches of different sizes.

    Raises
    ------
    ConformanceError : the encoder fails a check; the message starts with the check's name.

    Examples
    --------
    >>> from functools import partial
    >>> from encoders import check_encoder
    >>> from encoders.plugins.vgg16 import Vgg16
    >>> small = partial(Vgg16, widths=(2, 2, 2, 2, 2), hidden=4, classes=3, size=32)
    >>> check_encoder(small)
    """
    factory = encoder if isinstance(encoder, type) or not hasattr(encoder, "extract") else None
    made: Any = encoder if factory is None else _run("factory", _made, factory)
    subject = _Subject(made, frame, tolerance, tuple(layers or ()))
    for name, check in CHECKS.items():
        _run(name, check, subject)
    if factory is not None:
        _run("seed", _check_seed, subject, factory)


def _run(name: str, check: Callable[..., Any], *arguments: Any) -> Any:
    """Return ``check(*arguments)``; whatever it raises becomes a `ConformanceError`."""
    try:
        return check(*arguments)
    except ConformanceError as error:
        raise ConformanceError(f"{name}: {error}") from error.__cause__
    except Exception as error:
        raise ConformanceError(f"{name}: raised {type(error).__name__}: {error}") from error


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise ConformanceError(problem)


@dataclass
class _Subject:
    """An encoder under test."""

    encoder: Encoder
    frame: tuple[int, int]
    tolerance: float
    layers: tuple[str, ...]

    def frames(self, samples: int = _SAMPLES, scale: int = 1) -> Frames:
        return _random_frames(self.encoder.input_spec, self.frame, samples, scale)

    def batch(self) -> Any:
        return self.encoder.preprocess(self.frames())

    def outputs(self, batch: Any) -> dict[str, NDArray[Any]]:
        found = self.encoder.extract(batch, self.layers)
        return {layer: as_array(output) for layer, output in found.items()}


def _random_frames(spec: InputSpec, frame: tuple[int, int], samples: int, scale: int = 1) -> Frames:
    shape = (samples, spec.frames, scale * frame[0], scale * frame[1], 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return Frames(pixels, np.arange(samples)[:, None] + spec.offsets)


def _made(factory: Callable[..., Encoder], seed: int = 0) -> Encoder:
    return factory(None, seed=seed, device="cpu")


def _check_seed(subject: _Subject, factory: Callable[..., Encoder]) -> None:
    """Equal seeds give equal encoders; outputs that differ have weights of different digests."""
    one, same, other = subject.encoder, _made(factory), _made(factory, 1)
    _require(same.weights == one.weights, "two encoders with seed 0 have different weights")
    _require(
        same.preprocessing == one.preprocessing,
        "two encoders with seed 0 have different preprocessing texts",
    )
    batch = subject.batch()
    a, b, c = (each.extract(batch, subject.layers) for each in (one, same, other))
    for layer in subject.layers:
        _require(
            _close(a[layer], b[layer], subject.tolerance),
            f"layer {layer!r} differs between two encoders with seed 0",
        )
        _require(
            _close(a[layer], c[layer], subject.tolerance)
            or one.weights.digest != other.weights.digest,
            f"layer {layer!r} differs between seeds 0 and 1, and weights.digest does not",
        )


def _check_attributes(subject: _Subject) -> None:
    """Name, summary and preprocessing are texts; the methods exist."""
    for name in ("name", "summary", "preprocessing"):
        value = getattr(subject.encoder, name)
        _require(isinstance(value, str) and bool(value), f"{name} is {value!r}, not a text")
    for name in ("layers", "channel_axis", "preprocess", "forward", "extract"):
        _require(callable(getattr(subject.encoder, name)), f"{name} is not a method")


def _check_input_spec(subject: _Subject) -> None:
    """``input_spec`` is an `InputSpec` with a size of whole pixels."""
    spec = subject.encoder.input_spec
    _require(isinstance(spec, InputSpec), f"input_spec is {spec!r}, not an InputSpec")
    _require(
        len(spec.size) == 2 and all(isinstance(n, int) and n > 0 for n in spec.size),
        f"input_spec.size is {spec.size!r}, not a height and a width in pixels",
    )


def _check_weights(subject: _Subject) -> None:
    """``weights`` is a `WeightsInfo` with a hex SHA-256."""
    weights = subject.encoder.weights
    _require(isinstance(weights, WeightsInfo), f"weights is {weights!r}, not a WeightsInfo")
    _require(bool(weights.source), "weights.source is empty")
    _require(isinstance(weights.trained, bool), f"weights.trained is {weights.trained!r}")
    _require(
        re.fullmatch("[0-9a-f]{64}", weights.digest) is not None,
        f"weights.digest is {weights.digest!r}, not a hex SHA-256",
    )


def _check_layers(subject: _Subject) -> None:
    """Layer names are unique texts, in the same order on every call."""
    names = list(subject.encoder.layers())
    _require(bool(names), "layers() is empty")
    _require(all(isinstance(name, str) and name for name in names), f"layers() has {names!r}")
    _require(len(set(names)) == len(names), "layers() has a name twice")
    _require(list(subject.encoder.layers()) == names, "layers() differs between two calls")


def _check_preprocess(subject: _Subject) -> None:
    """The input has n rows on the CPU, each from its own sample; frames are not changed."""
    frames = subject.frames()
    before = frames.pixels.copy()
    batch = subject.encoder.preprocess(frames)
    _require(
        _is_array(batch), f"preprocess returns {type(batch).__name__}, not a tensor or an array"
    )
    place = getattr(batch, "device", "cpu")
    _require(str(place) == "cpu", f"preprocess returns a tensor on {place}")
    _require(len(batch) == _SAMPLES, f"preprocess returns {len(batch)} rows for {_SAMPLES} samples")
    _require(np.array_equal(before, frames.pixels), "preprocess changes the frames")
    single = subject.encoder.preprocess(subject.frames(1))
    _require(_close(batch[:1], single, subject.tolerance), "a sample depends on its batch")


def _check_input_errors(subject: _Subject) -> None:
    """Samples with another number of frames raise `InputError`."""
    frames = subject.frames()
    pixels, times = (np.concatenate([x, x[:, :1]], axis=1) for x in (frames.pixels, frames.times))
    count = subject.encoder.input_spec.frames
    try:
        subject.encoder.preprocess(Frames(pixels, times))
    except InputError:
        return
    raise ConformanceError(
        f"preprocess accepts samples of {count + 1} frames, but input_spec has {count}: call "
        "self.input_spec.check(frames)"
    )


def _check_layer_errors(subject: _Subject) -> None:
    """Unknown layers raise `UnknownNameError`, no layers `InputError`."""
    absent = "".join(subject.encoder.layers()) + "?"
    batch = subject.batch()
    calls: list[tuple[str, type[Exception], Callable[[], object]]] = [
        ("extract of an unknown layer", UnknownNameError,
         lambda: subject.encoder.extract(batch, [absent])),
        ("channel_axis of an unknown layer", UnknownNameError,
         lambda: subject.encoder.channel_axis(absent)),
        ("extract of no layer", InputError, lambda: subject.encoder.extract(batch, [])),
    ]  # fmt: skip
    for what, expected, call in calls:
        try:
            call()
        except expected:
            continue
        raise ConformanceError(f"{what} does not raise {expected.__name__}")


def _check_outputs(subject: _Subject) -> None:
    """Each layer gives one tensor or array (n, …)."""
    encoder, batch = subject.encoder, subject.batch()
    subject.layers = subject.layers or _layers_with_output(encoder, batch)
    _require(bool(subject.layers), "no layer has an output")
    for layer in subject.layers:
        output = encoder.extract(batch, [layer])[layer]
        _require(_is_array(output), f"layer {layer!r} gives {type(output).__name__}")
        shape = tuple(output.shape)
        _require(
            len(shape) > 1 and shape[0] == _SAMPLES,
            f"layer {layer!r} has shape {shape} for {_SAMPLES} samples",
        )


def _check_frame_size(subject: _Subject) -> None:
    """Outputs have the same shape for videos of every frame size."""
    larger = subject.outputs(subject.encoder.preprocess(subject.frames(scale=2)))
    for layer, output in subject.outputs(subject.batch()).items():
        _require(
            larger[layer].shape == output.shape,
            f"layer {layer!r} has shape {tuple(output.shape)}, and {tuple(larger[layer].shape)} "
            "for larger frames",
        )


def _check_dtype(subject: _Subject) -> None:
    """Outputs are floating point."""
    found = subject.encoder.extract(subject.batch(), subject.layers)
    for layer, output in found.items():
        own = isinstance(output, np.ndarray)
        floating = output.dtype.kind == "f" if own else output.is_floating_point()
        _require(floating, f"layer {layer!r} is {output.dtype}")


def _check_finite(subject: _Subject) -> None:
    """Outputs are finite."""
    for layer, output in subject.outputs(subject.batch()).items():
        _require(bool(np.isfinite(output).all()), f"layer {layer!r} has NaN or infinite values")


def _check_channel_axis(subject: _Subject) -> None:
    """The channel axis is an axis of the output, and not that of the samples."""
    for layer, output in subject.outputs(subject.batch()).items():
        axis = subject.encoder.channel_axis(layer)
        _require(
            isinstance(axis, int) and (0 < axis < output.ndim or -output.ndim < axis < 0),
            f"channel_axis({layer!r}) is {axis!r} for an output of shape {tuple(output.shape)}",
        )


def _check_determinism(subject: _Subject) -> None:
    """Two passes over the same frames give the same outputs."""
    one, two = (subject.outputs(subject.batch()) for _ in range(2))
    for layer, output in one.items():
        _require(
            _close(output, two[layer], subject.tolerance),
            f"layer {layer!r} differs between two passes",
        )


def _check_batches(subject: _Subject) -> None:
    """A sample's output does not depend on the other samples of its batch."""
    batch = subject.batch()
    together = subject.outputs(batch)
    singles = [subject.outputs(batch[i : i + 1]) for i in range(_SAMPLES)]
    for layer, output in together.items():
        _require(
            _close(output, np.concatenate([one[layer] for one in singles]), subject.tolerance),
            f"layer {layer!r} of a sample differs with the batch that it is in",
        )


def _check_one_pass(subject: _Subject) -> None:
    """A layer has the same output alone and together with others."""
    batch = subject.batch()
    together = subject.outputs(batch)
    _require(
        set(together) == set(subject.layers),
        f"extract returns {sorted(together)} for {sorted(subject.layers)}",
    )
    for layer, output in together.items():
        alone = subject.encoder.extract(batch, [layer])[layer]
        _require(
            _close(output, alone, subject.tolerance),
            f"layer {layer!r} differs with the other layers of the pass",
        )


def _check_forward(subject: _Subject) -> None:
    """`forward` runs."""
    subject.encoder.forward(subject.batch())


CHECKS: Mapping[str, Callable[[_Subject], None]] = {
    "attributes": _check_attributes,
    "input_spec": _check_input_spec,
    "weights": _check_weights,
    "layers": _check_layers,
    "preprocess": _check_preprocess,
    "input_errors": _check_input_errors,
    "layer_errors": _check_layer_errors,
    "outputs": _check_outputs,
    "frame_size": _check_frame_size,
    "dtype": _check_dtype,
    "finite": _check_finite,
    "channel_axis": _check_channel_axis,
    "determinism": _check_determinism,
    "batches": _check_batches,
    "one_pass": _check_one_pass,
    "forward": _check_forward,
}
"""Checks by name, in the order in which they run; "factory" comes before and "seed" after them."""


def _layers_with_output(encoder: Encoder, batch: Any) -> tuple[str, ...]:
    """Return up to 8 layers that have an output, of all that there are."""
    names = list(encoder.layers())
    places = np.linspace(0, len(names) - 1, min(_LAYERS, len(names))).round().astype(int)
    found = [names[place] for place in places if _has_output(encoder, batch, names[place])]
    return tuple(found) or tuple(name for name in names if _has_output(encoder, batch, name))


def _has_output(encoder: Encoder, batch: Any, layer: str) -> bool:
    try:
        encoder.extract(batch, [layer])
    except InputError:
        return False
    return True


def _is_array(value: Any) -> bool:
    """Return whether a value is a tensor or a numpy array; torch is not imported to know."""
    return isinstance(value, np.ndarray) or (
        hasattr(value, "detach") and type(value).__module__.partition(".")[0] == "torch"
    )


def _close(a: Any, b: Any, tolerance: float) -> bool:
    """Return whether a and b differ by at most ``tolerance`` · max |a|; NaN equals NaN."""
    left, right = as_array(a).astype(np.float64), as_array(b).astype(np.float64)
    if left.shape != right.shape:
        return False
    equal = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(invalid="ignore"):
        difference = np.where(equal, 0.0, np.abs(left - right))
    finite = np.abs(np.nan_to_num(left, nan=0.0, posinf=0.0, neginf=0.0))
    scale = finite.max() if left.size else 0.0
    return bool((difference <= tolerance * scale).all())
