"""Game recordings (``.bk2``): the buttons pressed at every frame, replayed by stable-retro.

A replay gives the same pictures bit for bit, from a file of kilobytes. A game must be imported
into stable-retro once, except for Airstriker-Genesis-v0, a homebrew game that it contains.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError


def emulator() -> ModuleType:
    """Return stable-retro; raise `InputError`, with the command to install it, if it is missing."""
    try:
        import stable_retro
    except ImportError:
        raise InputError(
            "stable-retro, which replays game recordings, is not installed: pip install "
            "'ridgebench[games]'"
        ) from None
    module: ModuleType = stable_retro
    return module


def replay(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the picture (h, w, 3) after every frame of a recording.

    Only one game can run in a process: finish one replay before the next.

    Raises `InputError` for a file that is not a recording or whose game is not imported.
    """
    retro = emulator()
    movie = _movie(retro, path)
    game = _start(retro, movie, path)
    try:
        while movie.step():
            keys = [
                movie.get_key(button, player)
                for player in range(movie.players)
                for button in range(game.num_buttons)
            ]
            picture: NDArray[np.uint8] = game.step(keys)[0]
            yield picture.copy()
    finally:
        game.close()
        movie.close()


def length(path: Path) -> int:
    """Return the number of frames of a recording, without replaying it."""
    movie = _movie(emulator(), path)
    try:
        count = 0
        while movie.step():
            count += 1
        return count
    finally:
        movie.close()


def machine_rate(path: Path) -> float:
    """Return the frames per second of the recorded game's machine."""
    retro = emulator()
    movie = _movie(retro, path)
    game = _start(retro, movie, path)
    try:
        return float(game.em.get_screen_rate())
    finally:
        game.close()
        movie.close()


def _movie(retro: ModuleType, path: Path) -> Any:
    """Open a recording after its first frame, which only sets up the game."""
    if not path.is_file():
        raise InputError(f"{path} is not a file: give a recording (.bk2)")
    try:
        movie = retro.Movie(str(path))
    except RuntimeError as error:
        raise InputError(
            f"{path} is not a recording ({error}): give a .bk2 file of stable-retro"
        ) from None
    if not movie.step():
        raise InputError(f"{path} is a recording without frames: record again")
    return movie


def _start(retro: ModuleType, movie: Any, path: Path) -> Any:
    try:
        game = retro.make(
            movie.get_game(),
            state=retro.State.NONE,
            use_restricted_actions=retro.Actions.ALL,
            players=movie.players,
            render_mode="rgb_array",
        )
    except (FileNotFoundError, RuntimeError) as error:
        raise InputError(
            f"{path} is a recording of {movie.get_game()}, which cannot be started ({error}): "
            "import the game with python -m stable_retro.import FOLDER"
        ) from None
    game.initial_state = movie.get_state()
    game.reset()
    return game
