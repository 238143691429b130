"""A study's data, opened, and the digests under which everything that is computed is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench_core.brain.bids import Pattern
from bench_core.brain.settings import ProblemSettings
from bench_core.errors import InputError
from bench_core.study.cells import Cell, TrainingData, open_clips, teacher_of, training_data
from bench_core.study.factors import changed
from bench_core.study.settings import StudySettings, chosen
from bench_core.study.subjects import Subject, open_subject
from encoders import digests
from encoders.devices import checked_device
from encoders.reducers import parse
from encoders.videogpt.clips.store import ClipStore
from encoders.videogpt.training.settings import FREE, TrainSettings
from encoders.videogpt.training.state import NAME

FORMAT = "ridgebench-study/3"


@dataclass(frozen=True, eq=False)
class Study:
    """A study's data, opened: clips, videos and subjects."""

    settings: StudySettings
    train: ClipStore
    held: ClipStore | None
    videos: dict[str, Path]
    subjects: Sequence[Subject]

    @classmethod
    def open(cls, settings: StudySettings) -> Study:
        """Return the study.

        Raises `InputError` or `UnknownNameError` for data that do not fit it.
        """
        if settings.device != "auto":
            checked_device(settings.device)
        train, held = open_clips(settings)
        videos = _videos(settings, train)
        known = digests.KnownDigests(settings.out / "digests.json")
        subjects = [
            open_subject(name, ProblemSettings.read(path), list(videos), settings.fit, known)
            for name, path in settings.subjects.items()
        ]
        if settings.out.is_dir():
            known.save()
        parse(settings.features.reduce)
        return cls(settings, train, held, videos, subjects)

    @property
    def training_stimuli(self) -> list[str]:
        """Stimuli that reducers may learn from: shown to some subject, and in no run that tests."""
        shown = {name for subject in self.subjects for name in subject.stimuli.values()}
        tests = {name for subject in self.subjects for name in subject.test_stimuli}
        return sorted(shown - tests)

    def data(self, cell: Cell) -> TrainingData:
        """Return what ``cell`` is trained on."""
        return training_data(self.settings, cell, self.train)

    def keys(self, cell: Cell) -> dict[str, str]:
        """Return the digests that the cell and its parts are kept under."""
        assert cell.config is not None
        settings, found = self.settings, self.data(cell)
        recipes = settings.recipes(found.steps, cell.levels)
        subset = [found.subset.wanted, found.subset.seed, settings.clips.block, found.data.stride]
        everything: list[Any] = [None, None, None, found.data.stride]
        own = settings.vqvae.frames == "cell"
        if settings.vqvae.checkpoint is not None:
            vqvae: Any = self._checkpoint
        else:
            vqvae = {
                "sizes": asdict(cell.config.vqvae),
                "attention": settings.baseline.sizes.gpt.attention,
                "recipe": _deciding(recipes["vqvae"]),
                "subset": subset if own else everything,
                "data": self.train.digest(),
            }
        keys = {"vqvae": digests.of_json({"vqvae": vqvae})}
        keys["gpt"] = digests.of_json(
            {
                "vqvae": keys["vqvae"],
                "sizes": asdict(cell.config.gpt),
                "recipe": _deciding(recipes["gpt"]),
                "subset": subset,
                "data": self.train.digest(),
                **self._further(cell),
            }
        )
        features = {k: str(v) for k, v in asdict(settings.features).items() if k != "videos"}
        fit = {k: v for k, v in asdict(settings.fit).items() if k not in ("nodes", "threads")}
        keys["features"] = digests.of_json(
            {**features, "layer": "", "tr": settings.samples.tr, "train": self.training_stimuli}
        )
        encoder = changed(cell.levels, "encoder")
        keys["cell"] = digests.of_json(
            {
                "format": FORMAT,
                "gpt": keys["gpt"],
                "layer": cell.layer,
                "features": features | {"layer": ""},
                "stimuli": self._stimuli,
                "samples": asdict(settings.samples),
                "fit": fit,
                "subjects": {subject.name: subject.key for subject in self.subjects},
                "held": None if self.held is None else self.held.digest(),
                **({"encoder": encoder} if encoder else {}),
            }
        )
        return keys

    def _further(self, cell: Cell) -> dict[str, Any]:
        """Return what else decides a GPT, or what its training costs: nothing at the defaults."""
        found: dict[str, Any] = {}
        teacher = teacher_of(self.settings, cell)
        if teacher is not None:
            student = self.settings.student
            found["teacher"] = self.keys(teacher)["gpt"]
            found |= {"weight": student.weight, "temperature": student.temperature}
        if cell.processes > 1:
            found |= {"processes": cell.processes, "parallel": cell.levels["parallel"]}
        return found

    def vqvae_path(self, cell: Cell) -> Path:
        """Return the checkpoint of the cell's VQ-VAE: the one that is given, or ours."""
        given = self.settings.vqvae.checkpoint
        key = self.keys(cell)["vqvae"]
        ours = self.settings.out / "training" / f"vqvae-{key[:16]}" / NAME
        return ours if given is None else given

    def gpt_folder(self, cell: Cell) -> Path:
        """Return the folder in which the cell's GPT is trained."""
        return self.settings.out / "training" / f"gpt-{self.keys(cell)['gpt'][:16]}"

    @cached_property
    def _stimuli(self) -> dict[str, str]:
        """Digests of the videos that are given; exported ones follow from the clips."""
        if self.settings.features.videos is None:
            return {"exported": ClipStore(self.settings.clips.folder).digest()}
        return {name: digests.of_file(path) for name, path in self.videos.items()}

    @cached_property
    def _checkpoint(self) -> str | None:
        path = self.settings.vqvae.checkpoint
        return None if path is None else digests.of_file(path)


def _videos(settings: StudySettings, store: ClipStore) -> dict[str, Path]:
    features = settings.features
    if features.videos is not None:
        found = Pattern(features.pattern).find(features.videos)
        if not found:
            raise InputError(
                f"{features.videos} has no file {features.pattern}: correct [features]"
            )
    else:
        everything = ClipStore(settings.clips.folder)
        folder = settings.out / "videos" / everything.digest()[:16]
        found = {run.name: folder / f"{run.name}.mkv" for run in everything.runs}
    names = chosen(list(found), features.stimuli, "features.stimuli")
    return {name: found[name] for name in names}


def _deciding(recipe: TrainSettings) -> dict[str, Any]:
    """Return the settings that decide the weights."""
    free = set(FREE) - {"steps"}
    return {name: value for name, value in recipe.to_dict().items() if name not in free}
