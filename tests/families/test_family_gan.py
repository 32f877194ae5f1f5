from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from genlab.architectures import mlp
from genlab.core.batch import Batch, ImageShape
from genlab.core.descent import adam
from genlab.core.random import Randomness
from genlab.families.gan import GAN, GANTraining
from genlab.objectives.adversarial import AdversarialLoss, minimax, non_saturating

SHAPE, LATENT, ROWS = ImageShape(2, 1, 1), 3, 8


@dataclass
class Counted(Iterator[Batch]):
    """Batches whose images say which batch they are."""

    drawn: list[Tensor] = field(default_factory=list)

    def __next__(self) -> Batch:
        images = torch.full((ROWS, *SHAPE), 0.1 * len(self.drawn)) + torch.linspace(-0.1, 0.1, ROWS).view(
            -1, 1, 1, 1
        )
        self.drawn.append(images)
        return Batch(images, torch.arange(ROWS))


def make(loss: AdversarialLoss = non_saturating, critic_steps: int = 1, lr: float = 1e-3) -> GANTraining:
    torch.manual_seed(0)
    gan = GAN(mlp.decoder(LATENT, SHAPE, 16), mlp.encoder(SHAPE, 1, 16), LATENT)
    optimizers = (adam(gan.generator, "generator", lr, (0.5, 0.999)), adam(gan.critic, "critic", lr, (0.5, 0.999)))
    return GANTraining(gan, *optimizers, loss, Randomness(3), critic_steps)


def watch(training: GANTraining, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that fills with what happens: noise by its keys, updates by their player."""
    told: list[str] = []
    draw = training.noise

    def noise(rows: int, *keys: int | str) -> Tensor:
        told.append(f"noise {keys}")
        return draw(rows, *keys)

    monkeypatch.setattr(training, "noise", noise)
    for player, optimizer in training.optimizers.items():

        def step(player: str = player, original: object = optimizer.step) -> None:
            told.append(player)
            original()  # type: ignore[operator]

        monkeypatch.setattr(optimizer, "step", step)
    return told


@pytest.mark.parametrize("critic_steps", [1, 3])
def test_the_critic_learns_k_times_on_fresh_batches_and_fresh_noise_then_the_generator_once(
    critic_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, batches = make(critic_steps=critic_steps), Counted()
    told = watch(training, monkeypatch)
    training.step(5, batches)
    turns = [line for turn in range(critic_steps) for line in (f"noise ('critic', 5, {turn})", "critic")]
    assert told == [*turns, "noise ('generator', 5)", "generator"]
    assert len(batches.drawn) == critic_steps
    noises = [training.noise(ROWS, *keys) for keys in (("critic", 5, 0), ("critic", 5, 1), ("generator", 5))]
    assert not any(torch.equal(a, b) for a, b in zip(noises, [*noises[1:], noises[0]], strict=True))


@pytest.mark.parametrize("loss", [minimax, non_saturating])
def test_each_player_descends_its_own_side_of_the_loss(loss: AdversarialLoss) -> None:
    """The gradients left behind are those of algorithm 1, the generator's against the critic as updated."""
    training, reference, batches = make(loss), make(loss), Counted()
    training.step(0, batches)
    model = reference.model
    fake = model.decode(reference.noise(ROWS, "critic", 0, 0)).detach()
    critic_loss, _ = loss(model.logits(batches.drawn[0]), model.logits(fake))
    expected = torch.autograd.grad(critic_loss, list(model.critic.parameters()))
    for parameter, gradient in zip(training.model.critic.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    model.critic.load_state_dict(training.model.critic.state_dict())
    logits = model.logits(model.decode(reference.noise(ROWS, "generator", 0)))
    _, generator_loss = loss(torch.zeros(ROWS), logits)
    expected = torch.autograd.grad(generator_loss, list(model.generator.parameters()))
    for parameter, gradient in zip(training.model.generator.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_the_signals_are_the_critics_verdicts() -> None:
    training, batches = make(lr=1e-12), Counted()
    signals = training.step(0, batches)
    model = training.model
    with torch.no_grad():
        real = model.logits(batches.drawn[0])
        fake = model.logits(model.decode(training.noise(ROWS, "critic", 0, 0)))
    torch.testing.assert_close(signals["D(x)"], real.sigmoid().mean())
    torch.testing.assert_close(signals["D(G(z))"], fake.sigmoid().mean())
    torch.testing.assert_close(signals["accuracy_real"], (real > 0).float().mean())
    torch.testing.assert_close(signals["accuracy_fake"], (fake < 0).float().mean())


def test_a_critic_alone_learns_to_tell_and_a_generator_alone_to_fool() -> None:
    training, batches = make(critic_steps=200), Counted()
    signals = training.step(0, batches)
    assert signals["D(x)"] > signals["D(G(z))"]
    before = training.model.logits(training.model.sample(64, torch.Generator().manual_seed(0))).mean()
    training.critic_steps = 1
    for optimizer in training.optimizers["critic"].param_groups:
        optimizer["lr"] = 0.0
    for step in range(1, 100):
        training.step(step, batches)
    after = training.model.logits(training.model.sample(64, torch.Generator().manual_seed(0))).mean()
    assert after > before


def test_logits_are_one_number_an_image() -> None:
    class Square(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.sum((1, 2, 3), keepdim=True)

    gan = GAN(mlp.decoder(LATENT, SHAPE, 4), Square(), LATENT)
    images = torch.randn(5, *SHAPE)
    torch.testing.assert_close(gan.logits(images), images.flatten(1).sum(1))
