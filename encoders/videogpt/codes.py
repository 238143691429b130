"""Codes of a frozen VQ-VAE, computed once for a data set.

The published training encodes 32 frames again at every step. The codes of a clip do not change
while the VQ-VAE is frozen, and are 2,000 times smaller than its frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from bench_core.errors import InputError
from bench_core.files import replace_file
from bench_core.progress import Progress, silent
from encoders import digests
from encoders.videogpt.clips.store import ClipStore
from encoders.videogpt.vqvae import VQVAE, to_video

FORMAT = "ridgebench-codes/1"


@dataclass(frozen=True)
class Codes:
    """Codes of clips, and the two clips of each sample.

    Parameters
    ----------
    codes : (n, t, h, w) uint16, one row per clip.
    samples : (m, 2) rows of the previous clip and of the clip to predict.
    key : digest of the weights, the data and the windows.

    Examples
    --------
    >>> clips = np.arange(3, dtype=np.uint16).reshape(3, 1, 1, 1)
    >>> codes = Codes(clips, samples=np.array([[0, 1], [1, 2]]), key="")
    >>> [clips.ravel().tolist() for clips in codes.pairs(np.array([1]))]
    [[1], [2]]
    """

    codes: NDArray[np.uint16]
    samples: NDArray[np.int64]
    key: str

    def __len__(self) -> int:
        return len(self.samples)

    def pairs(self, samples: NDArray[np.int64]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """Return the codes (b, t, h, w) of the previous clips and of the clips of ``samples``."""
        before, after = self.samples[samples].T
        return self.codes[before], self.codes[after]


def cached(
    folder: Path,
    store: ClipStore,
    windows: NDArray[np.int64],
    vqvae: VQVAE,
    *,
    batch: int = 16,
    progress: Progress = silent,
) -> Codes:
    """Return the codes of ``windows`` (n, 2) of two clips each, from ``folder`` if stored there.

    A clip that several windows share is encoded once. Codes are computed in single precision on
    the VQ-VAE's device. ``progress`` is called with "codes", the clips done and all clips.

    Raises `InputError` for frames of another size than the VQ-VAE's, and for more than 65,536
    codes.
    """
    sizes = vqvae.config
    if store.side != sizes.resolution:
        raise InputError(
            f"frames are {store.side} px, the VQ-VAE needs {sizes.resolution} px: prepare the "
            "clips at that size"
        )
    if sizes.n_codes > 1 << 16:
        raise InputError(f"{sizes.n_codes} codes do not fit in 16 bits: use 65,536 or fewer")
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

    def save(part: Path) -> None:
        with h5py.File(part, "w") as file:
            file.create_dataset("codes", data=codes, chunks=True)
            file.create_dataset("clips", data=clips)
            file.attrs.update({"format": FORMAT, "key": key})

    replace_file(path, save)
    return Codes(codes, samples, key)


def _encode(
    store: ClipStore,
    clips: NDArray[np.int64],
    vqvae: VQVAE,
    batch: int,
    progress: Progress,
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
            progress("codes", min(first + batch, len(clips)), len(clips))
    vqvae.train(was_training)
    return codes
