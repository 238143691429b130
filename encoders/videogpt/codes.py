"""Codes of a frozen VQ-VAE, computed once for a data set.

The published training encodes 32 frames anew at every step. The codes of a clip never change
while the VQ-VAE is frozen, and are 2,000 times smaller than its frames.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from bench_core.errors import InputError
from encoders import digests
from encoders.videogpt.clips.store import ClipStore
from encoders.videogpt.vqvae import VQVAE, to_video

FORMAT = "ridgebench-codes/1"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Codes:
    """Codes of clips, and which two make each sample.

    Parameters
    ----------
    codes : (n, t, h, w) uint16, one row per clip.
    samples : (m, 2) rows of the clip before and of the clip to predict.
    key : digest of the weights, the data and the windows.
    """

    codes: NDArray[np.uint16]
    samples: NDArray[np.int64]
    key: str

    def __len__(self) -> int:
        return len(self.samples)

    def pairs(self, samples: NDArray[np.int64]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """Return (b, t, h, w) codes of the clips before, and of the clips, of ``samples``."""
        before, after = self.samples[samples].T
        return self.codes[before], self.codes[after]


def cached(
    folder: Path,
    store: ClipStore,
    windows: NDArray[np.int64],
    vqvae: VQVAE,
    *,
    batch: int = 16,
    progress: Progress | None = None,
) -> Codes:
    """Return the codes of ``windows`` (n, 2) of two clips each, from ``folder`` if they are there.

    A clip that several windows share is encoded once. Codes are computed in single precision
    where the VQ-VAE is. ``progress`` is called with clips done and clips in all.

    Raises `InputError` for frames of another size than the VQ-VAE's, and for more codes than 16
    bits can number.
    """
    sizes = vqvae.config
    if store.side != sizes.resolution:
        raise InputError(f"frames are {store.side} px, the VQ-VAE takes {sizes.resolution} px")
    if sizes.n_codes > 1 << 16:
        raise InputError(f"{sizes.n_codes} codes do not fit 16 bits: use 65,536 or fewer")
    second = windows + np.array([0, sizes.sequence_length])
    starts = np.concatenate([windows, second])
    clips, rows = np.unique(starts, axis=0, return_inverse=True)
    samples = rows.reshape(2, -1).T.astype(np.int64)
    key = digests.of_json(
        {
            "weights": digests.of_tensors(vqvae.state_dict()),
            "data": store.digest(),
            "clips": digests.of_tensors({"clips": torch.from_numpy(clips)}),
            "frames": sizes.sequence_length,
        }
    )
    path = folder / f"codes-{key[:16]}.h5"
    if path.is_file():
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") == FORMAT and file.attrs.get("key") == key:
                return Codes(file["codes"][:], samples, key)
    codes = _encode(store, clips, vqvae, batch, progress)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{path.name}.{os.getpid()}.partial"
    try:
        with h5py.File(partial, "w") as file:
            file.create_dataset("codes", data=codes, chunks=True)
            file.create_dataset("clips", data=clips)
            file.attrs.update({"format": FORMAT, "key": key})
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return Codes(codes, samples, key)


def _encode(
    store: ClipStore,
    clips: NDArray[np.int64],
    vqvae: VQVAE,
    batch: int,
    progress: Progress | None,
) -> NDArray[np.uint16]:
    codes = np.empty((len(clips), *vqvae.config.latent_shape), dtype=np.uint16)
    device = vqvae.codebook.embeddings.device
    was_training = vqvae.training
    vqvae.eval()
    with torch.inference_mode():
        for first in range(0, len(clips), batch):
            part = slice(first, first + batch)
            frames = store.windows(clips[part], vqvae.config.sequence_length)
            video = to_video(torch.from_numpy(frames).to(device))
            codes[part] = vqvae.encode(video).cpu().numpy()
            if progress is not None:
                progress(min(first + batch, len(clips)), len(clips))
    vqvae.train(was_training)
    return codes
