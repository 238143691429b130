"""A stimulus made here, and responses planted in it, for which more training data must help.

Trials have three clips of one TR each: a *symbol* (a pattern of 4 × 4 cells), its *outcome* (four
quadrants, each of one of two colours) and a blank. The outcomes of the symbols are drawn at random,
so nothing in a symbol's picture tells them: they can only be learned from having seen the two
follow one another. In the scanner the outcome is withheld, and the brain responds to the outcome
that it expects. The last runs, which test, show symbols that the others never show. A linear model
of any picture's features can therefore not predict them, unless the network that gave the features
has learned what follows what: the more trials it was trained on, the more symbols it knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError
from encoders.alignment import THESIS_TR

CLIP = 4
"""Frames of one clip, shown in one TR."""
SIDE = 16
CELLS = 4
"""A picture has 4 × 4 cells, one for each code of the VQ-VAE."""
DELAY = 3
ATTRIBUTES = 4
"""Quadrants of an outcome."""
COLOURS = np.array([[230, 40, 40], [40, 60, 230]], np.uint8)
BLANK = 128


@dataclass(frozen=True)
class World:
    """Symbols, and the symbols that follow them.

    Parameters
    ----------
    symbols : (n, 4, 4) whether a cell is bright, all different.
    outcomes : (n, 4) 0 or 1: the colour of every quadrant, independent of the symbols.
    """

    symbols: NDArray[np.bool_]
    outcomes: NDArray[np.int64]


@dataclass(frozen=True)
class ExampleSize:
    """Sizes of the example; the defaults are for seconds on two cores.

    Parameters
    ----------
    symbols : half of them are shown in the scanner's test runs only.
    runs, repetitions : of the clips to train on; a run shows every symbol ``repetitions`` times.
    repeats : how often a scanner run shows each of its symbols.
    scans : scanner runs that train the encoding model; one more tests it.
    targets, noise_targets : per subject; those that respond, and those that do not.
    strength : standard deviation of the response over that of the noise.
    """

    symbols: int = 48
    runs: int = 5
    repetitions: int = 2
    repeats: int = 2
    scans: int = 3
    targets: int = 12
    noise_targets: int = 4
    strength: float = 1.5


def make_world(count: int, seed: int) -> World:
    """Return ``count`` symbols with half of their cells bright, and their outcomes."""
    rng = np.random.default_rng([seed, 0])
    found: dict[bytes, NDArray[np.bool_]] = {}
    while len(found) < count:
        cells = rng.permutation(CELLS * CELLS) < CELLS * CELLS // 2
        found[cells.tobytes()] = cells.reshape(CELLS, CELLS)
    return World(np.stack(list(found.values())), rng.integers(0, 2, (count, ATTRIBUTES)))


def symbol_picture(cells: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return (side, side, 3): bright and dark cells."""
    fine = cells.repeat(SIDE // CELLS, 0).repeat(SIDE // CELLS, 1)
    return np.where(fine[..., None], np.uint8(235), np.uint8(20)) * np.ones(3, np.uint8)


def outcome_picture(attributes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return (side, side, 3): a colour in every quadrant."""
    return COLOURS[attributes.reshape(2, 2)].repeat(SIDE // 2, 0).repeat(SIDE // 2, 1)


def training_pictures(world: World, shown: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the pictures (clips, side, side, 3) of whole trials of the symbols ``shown``."""
    blank = np.full((SIDE, SIDE, 3), BLANK, np.uint8)
    return np.stack(
        [
            picture
            for k in shown
            for picture in (
                symbol_picture(world.symbols[k]),
                outcome_picture(world.outcomes[k]),
                blank,
            )
        ]
    )


def scanner_pictures(
    world: World, shown: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the pictures (clips, side, side, 3) of a scanner run, and what is expected.

    The outcome is withheld: a symbol, then a blank. The second array (clips, 4) is −1 or 1 where an
    outcome is expected and 0 elsewhere.
    """
    blank = np.full((SIDE, SIDE, 3), BLANK, np.uint8)
    pictures = [p for k in shown for p in (symbol_picture(world.symbols[k]), blank)]
    expected = np.zeros((len(pictures), ATTRIBUTES))
    expected[1::2] = 2.0 * world.outcomes[shown] - 1
    return np.stack(pictures), expected


def write_example(folder: str | Path, *, seed: int = 0, size: ExampleSize | None = None) -> str:
    """Write clips, two subjects' targets and ``study.toml`` into a new ``folder``.

    Returns what it holds, in words. Raises `InputError` when the folder exists.
    """
    from encoders.videogpt.clips.store import Stretch, write_run

    folder, size = Path(folder), size or ExampleSize()
    if folder.exists():
        raise InputError(f"{folder} exists already: choose another folder or remove it")
    world = make_world(size.symbols, seed)
    rng = np.random.default_rng([seed, 1])

    def put(name: str, pictures: NDArray[np.uint8]) -> None:
        frames = pictures.repeat(CLIP, axis=0)
        times = np.arange(len(frames)) * THESIS_TR / CLIP
        write_run(folder / "clips", name, [Stretch(frames, times)], subject="made", source="made")

    for run in range(size.runs):
        shown = np.concatenate([rng.permutation(size.symbols) for _ in range(size.repetitions)])
        put(f"train-{run + 1}", training_pictures(world, shown))
    half, expected = size.symbols // 2, {}
    for scan in range(size.scans + 1):
        symbols = np.arange(half) if scan < size.scans else np.arange(half, size.symbols)
        shown = np.concatenate([rng.permutation(symbols) for _ in range(size.repeats)])
        pictures, expected[f"scan-{scan + 1}"] = scanner_pictures(world, shown)
        put(f"scan-{scan + 1}", pictures)
    for number in (1, 2):
        own = np.random.default_rng([seed, 2, number])
        place = folder / "targets" / f"sub-0{number}"
        place.mkdir(parents=True)
        for name, latent in expected.items():
            np.save(place / f"{name}.npy", planted_targets(latent, size, own))
        config = _PROBLEM.format(number=number)
        (folder / f"sub-0{number}.toml").write_text(config, encoding="utf-8")
    (folder / "study.toml").write_text(_STUDY, encoding="utf-8")
    return (
        f"{size.runs} runs to train on, {size.scans + 1} scanner runs of 2 subjects, study.toml; "
        f"{size.symbols} symbols, half of them in scan-{size.scans + 1} alone"
    )


def planted_targets(
    expected: NDArray[np.float64], size: ExampleSize, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return the targets (clips, targets) of one run.

    Each of the first follows one quadrant's expected colour, `DELAY` TRs later, in white noise; the
    last ``noise_targets`` are noise alone.
    """
    clips = len(expected)
    response = np.zeros((clips, size.targets))
    response[DELAY:] = expected[: clips - DELAY, np.arange(size.targets) % ATTRIBUTES]
    response *= size.strength * np.sqrt(2)  # half of the clips are symbols: 0 there
    found = rng.normal(size=(clips, size.targets + size.noise_targets))
    found[:, : size.targets] += response
    return found.astype(np.float32)


_PROBLEM = """\
# Targets of one subject: see docs/problems.md. A study has its own [features] and [samples].
name = "sub-0{number}"

[targets]
source = "npy"
folder = "targets/sub-0{number}"

[features]
source = "store"
folder = "features"
"""

_STUDY = """\
# A study at a size for two cores: see docs/study.md. Paths are relative to this file.
name = "example"
out = "study"
threads = 1

[factors]
training_frames = [48, 288, 4608]
hidden_dim = [12, 24, 1024]
layers = [1, 2]
heads = [1, 4]
precision = ["fp32", "bf16"]

[baseline]
preset = "tiny"
training_frames = 4608
n_hiddens = 16
n_res_layers = 0
embedding_dim = 8
n_codes = 16
sequence_length = 4
resolution = 16
downsample = [4, 4, 4]
hidden_dim = 24
dropout = 0.0
attn_dropout = 0.0

[clips]
folder = "clips"
train = ["train-*"]
held_out = ["train-5"]
block = 12                    # one trial: symbol, outcome, blank

[vqvae]
steps = 40
learning_rate = 2e-3

[gpt]
steps = 300
learning_rate = 3e-3
schedule_steps = 300
clip_gradient = 1.0

[features]
stimuli = ["scan-*"]
layer = "last"
reduce = "none"

[fit]
test_runs = ["scan-4"]

[subjects]
sub-01 = "sub-01.toml"
sub-02 = "sub-02.toml"
"""
