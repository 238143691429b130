"""The TOML file that says what a study is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from bench_core.brain.settings import SampleSettings
from bench_core.checks import check_alphas
from bench_core.cluster.settings import LOCAL, ClusterSettings
from bench_core.data import THESIS_ALPHAS
from bench_core.errors import InputError, unknown
from bench_core.records import codec
from bench_core.study.baseline import Baseline, Student
from bench_core.study.factors import StudyFactors, of_kind
from bench_core.toml import read_section, read_toml
from encoders.alignment import THESIS_TR
from encoders.videogpt.training.settings import TrainSettings, thesis_settings

SECTIONS = (
    "factors",
    "baseline",
    "student",
    "clips",
    "vqvae",
    "gpt",
    "features",
    "samples",
    "fit",
)


@dataclass(frozen=True, kw_only=True)
class Clips:
    """``[clips]``: what to train on, made by ``ridgebench videogpt prepare``."""

    folder: Annotated[Path, "the folder of clips"]
    train: Annotated[tuple[str, ...], "runs to train on, with * and ? as wildcards"] = ("*",)
    held_out: Annotated[tuple[str, ...], "runs never trained on, for the held-out loss"] = ()
    stride: Annotated[int | None, "frames between windows; a clip's length by default"] = None
    block: Annotated[int | None, "frames drawn together without a gap"] = None


@dataclass(frozen=True, kw_only=True)
class _Training:
    steps: Annotated[int | None, "optimiser steps"] = None
    batch_size: Annotated[int | None, "clips or samples per step"] = None
    learning_rate: Annotated[float | None, "of Adam"] = None
    schedule: Annotated[Literal["constant", "cosine"] | None, "of the learning rate"] = None
    schedule_steps: Annotated[int | None, "steps until a cosine has come to 0"] = None
    clip_gradient: Annotated[float | None, "largest norm of the gradient"] = None
    compile: Annotated[bool | None, "whether to use torch.compile"] = None
    checkpoint_every: Annotated[int | None, "steps between checkpoints"] = None

    def recipe(self, phase: Literal["vqvae", "gpt"], steps: int, **changes: Any) -> TrainSettings:
        """Return the published recipe with the settings that were given."""
        names = {each.name for each in fields(TrainSettings)} - {"steps"}
        given = {k: v for k, v in asdict(self).items() if k in names and v is not None}
        return thesis_settings(phase, steps, **{**given, **changes})


@dataclass(frozen=True, kw_only=True)
class VQVAETraining(_Training):
    """``[vqvae]``: a checkpoint, or how to train one."""

    checkpoint: Annotated[Path | None, "a trained VQ-VAE to use in every cell"] = None
    frames: Annotated[Literal["all", "cell"], "train on all frames, or on each cell's own"] = "all"
    precision: Annotated[Literal["fp32", "bf16", "fp16"], "of its training"] = "fp32"

    def __post_init__(self) -> None:
        if (self.checkpoint is None) == (self.steps is None):
            raise InputError("[vqvae] needs either checkpoint, a file, or steps to train one")


@dataclass(frozen=True, kw_only=True)
class GPTTraining(_Training):
    """``[gpt]``: how to train the GPT of every cell."""

    epochs: Annotated[float | None, "times to see each sample, instead of steps"] = None

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise InputError("[gpt] needs either steps, or epochs for steps in proportion to data")
        if self.epochs is not None and not self.epochs > 0:
            raise InputError(f"gpt.epochs is {self.epochs}: give more than 0")


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """``[features]``: what is taken from the trained networks."""

    videos: Annotated[
        Path | None, "folder of the stimuli's videos; by default the clips are exported"
    ] = None
    pattern: Annotated[str, "names of the videos, * for the stimulus"] = "*.mkv"
    stimuli: Annotated[tuple[str, ...], "which of them, with * and ? as wildcards"] = ("*",)
    layer: Annotated[str, '"thesis" (table 4.4), "last", or a module\'s name'] = "thesis"
    reduce: Annotated[str, "reducers in order, as for ridgebench encode"] = "pool"
    batch: Annotated[int, "clips at a time"] = 16
    clock: Annotated[
        Literal["file", "picture"], "what times of videos count from, as for ridgebench encode"
    ] = "file"


@dataclass(frozen=True, kw_only=True)
class Samples:
    """``[samples]``: which clips predict a volume; the thesis's one, three TRs before."""

    tr: Annotated[float, "repetition time in seconds, which a clip lasts"] = THESIS_TR
    delay: Annotated[int, "TRs from a volume back to the latest clip"] = 3
    window: Annotated[int, "clips whose features are concatenated"] = 1

    def settings(self) -> SampleSettings:
        """Return them as a problem's."""
        return SampleSettings(tr=self.tr, window=self.window, start=self.delay)


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """``[fit]``: the encoding models."""

    strategy: Annotated[str, "how to fit"] = "bmor-shared"
    nodes: Annotated[int, "worker processes of a distributed strategy"] = 1
    threads: Annotated[int | None, "BLAS threads of each; all cores by default"] = None
    alphas: Annotated[tuple[float, ...], "candidate penalties"] = THESIS_ALPHAS
    test_fraction: Annotated[float, "share of the runs, the last ones, that test"] = 0.1
    test_runs: Annotated[tuple[str, ...], "runs that test instead, with * and ?"] = ()

    def __post_init__(self) -> None:
        from bench_core import strategies

        if self.strategy not in strategies.names():
            raise unknown("fit.strategy", self.strategy, strategies.names())
        check_alphas(self.alphas)
        if not 0 < self.test_fraction < 1:
            raise InputError(f"fit.test_fraction is {self.test_fraction}: give 0 < fraction < 1")
        if self.nodes < 1 or (self.threads is not None and self.threads < 1):
            raise InputError(
                f"fit.nodes {self.nodes} and fit.threads {self.threads}: give 1 or more"
            )


@dataclass(frozen=True, kw_only=True)
class _Top:
    name: Annotated[str | None, "what the study is called"] = None
    out: Annotated[Path, "the folder of the study"]
    design: Annotated[
        Literal["one-factor", "product"], "one factor at a time around the baseline, or all levels"
    ] = "one-factor"
    seed: Annotated[int, "of subsets, weights and the order of samples"] = 0
    device: Annotated[str, "auto, cpu, cuda, …"] = "auto"
    threads: Annotated[int | None, "torch threads on the CPU"] = None


@dataclass(frozen=True)
class StudySettings:
    """Everything that the file says; ``subjects`` are names and the files of their problems.

    cluster : where the nodes of the fits are, which the command says; it changes no result.
    """

    path: Path
    name: str
    out: Path
    design: str
    seed: int
    device: str
    threads: int | None
    factors: StudyFactors
    baseline: Baseline
    student: Student
    clips: Clips
    vqvae: VQVAETraining
    gpt: GPTTraining
    features: FeatureSettings
    samples: Samples
    fit: FitSettings
    subjects: Mapping[str, Path] = field(default_factory=dict)
    cluster: ClusterSettings = LOCAL
    allow_mixed: bool = False

    @classmethod
    def read(cls, path: str | Path) -> StudySettings:
        """Return what the file says; raise `InputError` or `UnknownNameError`, naming the key."""
        path = Path(path)
        tables = read_toml(path)
        base = path.resolve().parent
        known = (*SECTIONS, "subjects", *(each.name for each in fields(_Top)))
        for name in tables:
            if name not in known:
                raise unknown(f"key in {path}", name, known)
        sections = {name: tables.pop(name, {}) for name in (*SECTIONS, "subjects")}
        try:
            top = read_section(_Top, tables, "", base)
            found = cls(
                path=path,
                name=top.name or path.stem,
                out=top.out,
                design=top.design,
                seed=top.seed,
                device=top.device,
                threads=top.threads,
                factors=StudyFactors.read(sections["factors"], base),
                baseline=Baseline.read(sections["baseline"]),
                student=read_section(Student, sections["student"], "student", base),
                clips=read_section(Clips, sections["clips"], "clips", base),
                vqvae=read_section(VQVAETraining, sections["vqvae"], "vqvae", base),
                gpt=read_section(GPTTraining, sections["gpt"], "gpt", base),
                features=read_section(FeatureSettings, sections["features"], "features", base),
                samples=read_section(Samples, sections["samples"], "samples", base),
                fit=read_section(FitSettings, sections["fit"], "fit", base),
                subjects=_subjects(sections["subjects"], base),
            )
            found.samples.settings().alignment()
            found.recipes(1)
            own = found.baseline.levels["distillation"]
            found.student.check_given([own, *found.factors.levels.get("distillation", ())])
        except (InputError, LookupError) as error:
            raise type(error)(f"{path}: {error}") from error
        # Numbers of the declared types: 100 and 100.0 are one penalty, and have one digest. A
        # cell's process gets the settings in this way too.
        settings: StudySettings = codec.from_json(cls, codec.to_json(found), str(path))
        return settings

    def recipes(
        self, gpt_steps: int, levels: Mapping[str, Any] | None = None
    ) -> dict[str, TrainSettings]:
        """Return the settings of both phases, of the GPT's at ``levels``; None for the baseline's.

        Raises `InputError` for values that make none.
        """
        own: dict[str, Any] = {"seed": self.seed}
        at = of_kind(self.baseline.levels if levels is None else levels, "recipe")
        vqvae = self.vqvae.recipe("vqvae", self.vqvae.steps or 1, **own)
        return {
            "vqvae": replace(vqvae, precision=self.vqvae.precision),
            "gpt": self.gpt.recipe("gpt", gpt_steps, **at, **own),
        }


def chosen(names: list[str], patterns: tuple[str, ...], key: str) -> list[str]:
    """Return the ``names`` that match a pattern.

    Raises `UnknownNameError` for one that matches none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise unknown(f"run in {key}", pattern, names)
    return [name for name in names if any(fnmatchcase(name, each) for each in patterns)]


def _subjects(table: Any, base: Path) -> dict[str, Path]:
    if not isinstance(table, dict) or not table:
        raise InputError(
            '[subjects] is missing: give NAME = "PROBLEM.toml" for one or more subjects'
        )
    found = {}
    for name, value in table.items():
        if not isinstance(value, str):
            raise InputError(f"subjects.{name} is {value!r}: it must be a path in quotes")
        found[name] = (base / value).resolve()
        if not found[name].is_file():
            raise InputError(f"subjects.{name} {found[name]} does not exist: give a problem's file")
    return found
