"""Distillation: the loss by hand, a student that follows its teacher, exact resume, refusals."""

import copy

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from videogpt_small import make_store, small

from bench_core.errors import InputError
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.training.distillation import Distillation, DistillationPhase
from encoders.videogpt.training.runs import Data, train_gpt
from encoders.videogpt.training.settings import TrainSettings
from encoders.videogpt.vqvae import VQVAE


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("clips"))


def gpt(seed, vqvae_seed=0, **sizes):
    torch.manual_seed(seed)
    model = VideoGPT(small(**sizes)).eval()
    torch.nn.init.normal_(model.fc_out.weight, std=0.3)
    torch.manual_seed(vqvae_seed)
    model.vqvae.load_state_dict(VQVAE(small().vqvae).state_dict())
    return model


def some_batch(model, clips=3):
    shape = (clips, *model.config.vqvae.latent_shape)
    generator = torch.Generator().manual_seed(3)
    return {name: torch.randint(0, 32, shape, generator=generator) for name in ("before", "codes")}


@pytest.mark.parametrize(("weight", "temperature"), [(0.5, 2.0), (1.0, 1.0), (0.1, 4.0)])
def test_the_loss_is_its_formula(weight, temperature):
    student, teacher = gpt(1), gpt(2, hidden_dim=48)
    batch = some_batch(student)
    with torch.no_grad():
        z, v = (
            model(batch["before"], batch["codes"]).double().numpy().reshape(-1, 32)
            for model in (student, teacher)
        )
    codes = batch["codes"].numpy().ravel()
    entropy = -log_softmax(z, axis=1)[np.arange(len(codes)), codes].mean()
    p, q = softmax(v / temperature, axis=1), softmax(z / temperature, axis=1)
    divergence = (p * np.log(p / q)).sum(1).mean()
    phase = DistillationPhase(student, Distillation(teacher, weight, temperature))
    loss, report = phase(batch)
    assert divergence > 0.01
    assert float(report["cross_entropy"]) == pytest.approx(entropy, rel=1e-5)
    assert float(report["divergence"]) == pytest.approx(divergence, rel=1e-4)
    wanted = (1 - weight) * entropy + weight * temperature**2 * divergence
    assert float(loss.detach()) == pytest.approx(wanted, rel=1e-4)


def test_only_the_student_learns_and_the_teacher_has_no_dropout():
    student, teacher = gpt(1), gpt(2, dropout=0.5, attn_dropout=0.5)
    before = copy.deepcopy(teacher.state_dict())
    phase = DistillationPhase(student, Distillation(teacher)).train()
    assert student.training
    assert not any(module.training for module in teacher.modules())
    loss, _ = phase(some_batch(student))
    again, _ = phase(some_batch(student))
    assert float(loss.detach()) == float(again.detach())
    loss.backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert student.fc_out.weight.grad is not None
    assert all(torch.equal(value, teacher.state_dict()[name]) for name, value in before.items())
    assert not any("teacher" in name for name in phase.model.state_dict())


def test_a_student_follows_its_teacher(store, tmp_path):
    """The teacher's outputs are of random weights: the codes alone do not tell them."""
    teacher = gpt(5)
    settings = TrainSettings(steps=60, batch_size=4, learning_rate=3e-3)
    trained = train_gpt(
        Data(store), teacher.vqvae, small(), settings,
        distillation=Distillation(teacher, weight=1.0, temperature=1.0), folder=tmp_path,
    )  # fmt: skip
    found = [row["divergence"] for row in trained.rows]
    assert np.mean(found[-5:]) < 0.3 * found[0]
    alone = train_gpt(Data(store), teacher.vqvae, small(), settings).model
    phase = DistillationPhase(alone, Distillation(teacher, weight=1.0, temperature=1.0))
    with torch.no_grad():
        divergence = float(phase(some_batch(alone))[1]["divergence"])
        taught = DistillationPhase(trained.model, Distillation(teacher, 1.0, 1.0))
        assert float(taught(some_batch(alone))[1]["divergence"]) < 0.5 * divergence


def test_a_resumed_run_is_bit_identical_and_another_teacher_is_refused(store, tmp_path):
    teacher = gpt(5)
    for folder, sessions in (("whole", (6,)), ("parts", (3, 6))):
        for steps in sessions:
            settings = TrainSettings(steps=steps, batch_size=4)
            done = train_gpt(
                Data(store), teacher.vqvae, small(), settings,
                distillation=Distillation(teacher), folder=tmp_path / folder,
            )  # fmt: skip
        torch.save(done.model.state_dict(), tmp_path / f"{folder}.pt")
    whole, parts = (torch.load(tmp_path / f"{x}.pt", weights_only=True) for x in ("whole", "parts"))
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    for other in (Distillation(gpt(6)), Distillation(teacher, weight=0.25), None):
        with pytest.raises(InputError, match="data"):
            train_gpt(
                Data(store), teacher.vqvae, small(), TrainSettings(steps=7, batch_size=4),
                distillation=other, folder=tmp_path / "parts",
            )  # fmt: skip


def test_what_cannot_teach_is_refused():
    with pytest.raises(InputError, match="VQ-VAE"):
        DistillationPhase(gpt(1), Distillation(gpt(2, vqvae_seed=9)))
    with pytest.raises(InputError, match=r"weight 1\.5"):
        Distillation(gpt(2), weight=1.5)
    with pytest.raises(InputError, match="temperature 0"):
        Distillation(gpt(2), temperature=0)
