from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from genlab.architectures import compose
from genlab.core.batch import Batch, ImageShape
from genlab.core.contract import DiscriminatorOutput
from genlab.core.optimizer import adam
from genlab.core.random import Draws, Randomness
from genlab.families.gan import GAN, GANTraining
from genlab.objectives.adversarial import AdversarialLoss, minimax, non_saturating, relativistic_average
from genlab.recipes.gan import GANRecipe
from genlab.recipes.presets import PRESETS
from genlab.regularizers.gradient import r1
from genlab.regularizers.unrolling import unrolled
from genlab.regularizers.weights import clip_weights_, historical_distance, remember_
from genlab.runs import train as run

SHAPE, LATENT, ROWS, CLASSES = ImageShape(2, 1, 1), 3, 8, 4


@dataclass
class Counted(Iterator[Batch]):
    """Batches whose images say which batch they are; the labels go round the classes."""

    drawn: list[Tensor] = field(default_factory=list)

    def __next__(self) -> Batch:
        images = torch.full((ROWS, *SHAPE), 0.1 * len(self.drawn)) + torch.linspace(-0.1, 0.1, ROWS).view(
            -1, 1, 1, 1
        )
        self.drawn.append(images)
        return Batch(images, torch.arange(ROWS), torch.arange(ROWS) % CLASSES)


def make(
    loss: AdversarialLoss = non_saturating, lr: float = 1e-3, labels: str = "none", **parts: Any
) -> GANTraining:
    torch.manual_seed(0)
    classes = CLASSES if labels != "none" else 0
    told = "concat" if classes else "none"
    gan = GAN(
        compose.decoder("mlp", LATENT, SHAPE, 16, labels=told, classes=classes),
        compose.discriminator("mlp", SHAPE, 16, norm="none", labels=labels, classes=classes),
        LATENT,
        classes,
    )
    optimizers = {p: adam(getattr(gan, p), p, lr, (0.5, 0.999)) for p in ("discriminator", "generator")}
    return GANTraining(gan, optimizers, loss, Randomness(3), **parts)


def weights(network: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def same(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def gradients(network: nn.Module) -> list[Tensor]:
    return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]


def noise(training: GANTraining, *keys: int | str) -> Tensor:
    return training.randomness.normal(ROWS, (training.model.latent,), *keys)


def watch(training: GANTraining, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that fills with what happens: noise by its keys, updates by their player."""
    told: list[str] = []
    make = training.fakes

    def fakes(batch: Batch, randomness: Randomness, *keys: int | str) -> Tensor:
        told.append(f"noise {keys}")
        return make(batch, randomness, *keys)

    monkeypatch.setattr(training, "fakes", fakes)
    for player, optimizer in training.optimizers.items():

        def step(player: str = player, original: object = optimizer.step) -> None:
            told.append(player)
            original()  # type: ignore[operator]

        monkeypatch.setattr(optimizer, "step", step)
    return told


@pytest.mark.parametrize(("discriminator_steps", "generator_steps"), [(1, 1), (3, 1), (1, 2)])
def test_each_player_learns_as_often_as_told_and_the_generator_first_by_the_discriminators_last_fakes(
    discriminator_steps: int, generator_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, batches = make(discriminator_steps=discriminator_steps, generator_steps=generator_steps), Counted()
    told = watch(training, monkeypatch)
    training.step(5, batches)
    turns = {"discriminator": discriminator_steps, "generator": generator_steps}
    drawn = [(player, turn) for player, count in turns.items() for turn in range(count)]
    expected = [line for player, turn in drawn for line in (f"noise ('{player}', 5, {turn})", player)]
    expected.remove("noise ('generator', 5, 0)")
    assert told == expected
    assert len(batches.drawn) == discriminator_steps
    noises = [noise(training, player, 5, turn) for player, turn in drawn]
    assert not any(torch.equal(a, b) for a, b in zip(noises, [*noises[1:], noises[0]], strict=True))


@pytest.mark.parametrize("loss", [minimax, non_saturating, relativistic_average])
def test_each_player_descends_its_own_side_of_the_loss(loss: AdversarialLoss) -> None:
    """The gradients left behind are those of algorithm 1, the generator's against the discriminator as updated."""
    compares = loss is relativistic_average
    training, reference, batches = make(loss, compares=compares), make(loss), Counted()
    training.step(0, batches)
    model = reference.model
    fake = model.decode(noise(reference, "discriminator", 0, 0)).detach()
    discriminator_loss, _ = loss(model.discriminator(batches.drawn[0]).scores, model.discriminator(fake).scores)
    expected = torch.autograd.grad(discriminator_loss, list(model.discriminator.parameters()))
    for parameter, gradient in zip(training.model.discriminator.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    model.discriminator.load_state_dict(training.model.discriminator.state_dict())
    scores = model.discriminator(model.decode(noise(reference, "discriminator", 0, 0))).scores
    _, generator_loss = loss(model.discriminator(batches.drawn[0]).scores.detach(), scores)
    expected = torch.autograd.grad(generator_loss, list(model.generator.parameters()))
    for parameter, gradient in zip(training.model.generator.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_the_signals_are_the_discriminators_verdicts() -> None:
    training, batches = make(lr=1e-12), Counted()
    signals = training.step(0, batches)
    model = training.model
    with torch.no_grad():
        real = model.discriminator(batches.drawn[0]).scores
        fake = model.discriminator(model.decode(noise(training, "discriminator", 0, 0))).scores
    torch.testing.assert_close(signals["score_real"], real.mean())
    torch.testing.assert_close(signals["score_fake"], fake.mean())
    torch.testing.assert_close(signals["D(x)"], real.sigmoid().mean())
    torch.testing.assert_close(signals["D(G(z))"], fake.sigmoid().mean())
    torch.testing.assert_close(signals["accuracy_real"], (real > 0).float().mean())
    torch.testing.assert_close(signals["accuracy_fake"], (fake < 0).float().mean())
    scores_only = make(log_odds=False).step(0, Counted())
    assert scores_only.keys() == signals.keys() - {"D(x)", "D(G(z))", "accuracy_real", "accuracy_fake"}


def test_a_discriminator_alone_learns_to_tell_and_a_generator_alone_to_fool() -> None:
    training, batches = make(discriminator_steps=200), Counted()
    signals = training.step(0, batches)
    assert signals["D(x)"] > signals["D(G(z))"]

    def fooled() -> Tensor:
        scores: Tensor = training.model.discriminator(
            training.model.sample(64, torch.Generator().manual_seed(0))
        ).scores
        return scores.mean()

    before = fooled()
    training.discriminator_steps = 1
    for group in training.optimizers["discriminator"].param_groups:
        group["lr"] = 0.0
    for step in range(1, 100):
        training.step(step, batches)
    assert fooled() > before


def test_a_penalty_is_added_to_the_discriminators_loss_every_n_of_its_steps_n_times_as_heavy() -> None:
    def learn(every: int, turn: int) -> tuple[list[Tensor], set[str]]:
        training = make(
            penalties={"r1": lambda *given: 3 * r1(*given)}, penalty_every=every, discriminator_steps=4
        )
        signals = training.improve_discriminator(
            next(Counted()), 2, turn
        )  # the discriminator's step number 8 + turn
        return gradients(training.model.discriminator), set(signals)

    plain = make()
    plain.improve_discriminator(next(Counted()), 2, 0)
    without = gradients(plain.model.discriminator)
    (always, named), (lazy, _), (skipped, unnamed) = learn(1, 0), learn(2, 0), learn(2, 1)
    assert "r1" in named
    assert "r1" not in unnamed
    other = make()
    other.improve_discriminator(next(Counted()), 2, 1)
    assert same(skipped, gradients(other.model.discriminator))
    differences = [(a - w, z - w) for w, a, z in zip(without, always, lazy, strict=True)]
    for once, twice in differences:
        torch.testing.assert_close(2 * once, twice, rtol=1e-4, atol=1e-6)
    assert max(once.abs().max() for once, _ in differences) > 1e-3


def test_the_discriminator_sees_real_and_generated_images_through_the_same_view() -> None:
    seen: list[tuple[Tensor, int]] = []

    def view(images: Tensor, step: int, draws: Draws) -> Tensor:
        seen.append((images.detach(), step))
        return images + draws.normal(*SHAPE)

    training, batches = make(view=view), Counted()
    judged: list[Tensor] = []
    training.model.discriminator.register_forward_pre_hook(lambda _, given: judged.append(given[0].detach()))
    training.step(7, batches)
    assert [step for _, step in seen] == [7, 7, 7]
    assert torch.equal(seen[0][0], batches.drawn[0])
    noises = [of_discriminator - given for of_discriminator, (given, _) in zip(judged, seen, strict=True)]
    assert not any(torch.equal(a, b) for a, b in zip(noises, [*noises[1:], noises[0]], strict=True))


def test_flipped_labels_reach_the_discriminator_alone() -> None:
    def flip(real: Tensor, fake: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        return fake, real

    plain, flipped = make(), make(flip=flip)
    for training in (plain, flipped):
        training.improve_discriminator(next(Counted()), 0, 0)
    assert not same(gradients(plain.model.discriminator), gradients(flipped.model.discriminator))
    plain, flipped = make(), make(flip=flip)
    for training in (plain, flipped):
        training.improve_generator(next(Counted()), 0, 0)
    assert same(gradients(plain.model.generator), gradients(flipped.model.generator))


def test_feature_matching_moves_the_generator_alone_towards_the_mean_features() -> None:
    training = make(feature_matching=True)
    model, batch = training.model, next(Counted())
    before = weights(model.discriminator)
    fake = model.decode(noise(training, "discriminator", 0, 0))
    gap = model.discriminator(batch.images).features.mean(0) - model.discriminator(fake).features.mean(0)
    expected = torch.autograd.grad(gap.square().sum(), list(model.generator.parameters()))
    signals = training.step(0, iter([batch]))
    assert same(gradients(make().model.discriminator), [])
    assert not same(before, weights(model.discriminator)), "the discriminator learns by its own loss"
    fresh = make(feature_matching=True)
    fresh.improve_generator(batch, 0, 0)
    for gradient, wanted in zip(gradients(fresh.model.generator), expected, strict=True):
        torch.testing.assert_close(gradient, wanted)
    assert same(weights(fresh.model.discriminator), before)
    assert signals["generator_loss"] >= 0


def test_an_unrolled_discriminator_changes_the_generators_gradient_and_is_undone() -> None:
    def learned(steps: int) -> GANTraining:
        unroll = (lambda *given: unrolled(*given, steps=steps)) if steps else None
        training = make(lr=1e-2, unroll=unroll)
        training.step(0, Counted())
        training.improve_discriminator(next(Counted()), 1, 0)
        kept = [t.clone() for s in training.optimizers["discriminator"].state.values() for t in s.values()]
        before = weights(training.model.discriminator)
        training.improve_generator(next(Counted()), 1, 0)
        assert same(before, weights(training.model.discriminator))
        assert same(kept, [t for s in training.optimizers["discriminator"].state.values() for t in s.values()])
        assert all(parameter.requires_grad for parameter in training.model.parameters())
        return training

    ahead = {steps: gradients(learned(steps).model.generator) for steps in (0, 1, 5)}
    assert not same(ahead[0], ahead[1])
    assert not same(ahead[1], ahead[5])


def test_what_comes_afterwards_comes_after_each_step_of_its_player() -> None:
    training = make(lr=0.1, discriminator_steps=2)
    training.afterwards = {
        "discriminator": [lambda optimizer, step: clip_weights_(training.model.discriminator, 0.01)],
        "generator": [remember_],
    }
    training.anchor = historical_distance
    batches = Counted()
    for step in range(3):
        signals = training.step(step, batches)
        assert all(weight.abs().max() <= 0.01 for weight in training.model.discriminator.parameters())
        assert (signals["generator_anchor"] > 0) == (step > 1)  # the first mean is of one step alone
        assert signals["discriminator_anchor"] == 0, "nothing was remembered of the discriminator"
    assert any(weight.abs().max() > 0.01 for weight in training.model.generator.parameters())


def test_gradients_are_clipped_for_both_players() -> None:
    training = make(clip_norm=1e-4)
    training.step(0, Counted())
    for player in (training.model.discriminator, training.model.generator):
        norm = torch.cat([gradient.flatten() for gradient in gradients(player)]).norm()
        torch.testing.assert_close(norm, torch.tensor(1e-4))


@pytest.mark.parametrize("labels", ["concat", "projection", "auxiliary"])
def test_both_players_are_told_the_label_of_each_image(labels: str) -> None:
    training, told = make(labels=labels), []
    for player in (training.model.generator, training.model.discriminator):
        player.register_forward_pre_hook(lambda _, given: told.append(given[1]))
    training.step(0, Counted())
    assert len(told) == 4  # fakes, judged beside real ones; then judged for the generator
    assert all(torch.equal(labels, torch.arange(ROWS) % CLASSES) for labels in told)


def test_an_auxiliary_discriminator_learns_the_classes_and_the_generator_to_show_them() -> None:
    training, batch = make(labels="auxiliary"), next(Counted())
    model = training.model
    fake = model.decode(noise(training, "discriminator", 0, 0), batch.labels)
    outputs: list[DiscriminatorOutput] = [
        model.discriminator(images, batch.labels) for images in (batch.images, fake)
    ]
    expected = sum(cross_entropy(j.classes, batch.labels) for j in outputs if j.classes is not None)
    signals = training.step(0, iter([batch]))
    torch.testing.assert_close(signals["discriminator_class_loss"], torch.as_tensor(expected).detach())
    assert 0 <= signals["class_accuracy_real"] <= 1
    assert signals["generator_class_loss"] > 0


def test_a_batch_goes_round_the_classes_where_no_label_is_given() -> None:
    model = make(labels="concat").model
    latents = model.prior(6, torch.Generator().manual_seed(0))
    assert torch.equal(model.decode(latents), model.decode(latents, torch.tensor([0, 1, 2, 3, 0, 1])))
    assert not torch.equal(model.decode(latents), model.decode(latents, torch.zeros(6, dtype=torch.long)))


@pytest.mark.parametrize("labels", ["none", "concat", "projection", "auxiliary"])
def test_real_and_generated_images_may_go_through_the_discriminator_together(labels: str) -> None:
    together, apart = make(labels=labels, one_pass=True), make(labels=labels)
    seen: list[int] = []
    together.model.discriminator.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    signals = [training.improve_discriminator(next(Counted()), 0, 0) for training in (together, apart)]
    assert seen == [2 * ROWS]
    assert signals[0].keys() == signals[1].keys()
    for name, value in signals[0].items():
        torch.testing.assert_close(value, signals[1][name], msg=name)
    for one, other in zip(
        gradients(together.model.discriminator), gradients(apart.model.discriminator), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_they_do_not_where_a_discriminator_looks_at_several_images_or_draws() -> None:
    training = {name: recipe for name, recipe in PRESETS.items() if isinstance(recipe, GANRecipe)}
    shape = ImageShape(3, 32, 32)
    together = set()
    for name, recipe in training.items():
        built = run.build(replace(recipe, width=4, latent=4), shape, Randomness(0), CLASSES)
        together |= {name} if built.one_pass else set()
    assert together == {
        *("gan", "wgan-gp", "dragan", "r1-gan", "sngan", "sagan", "projection-gan", "relativistic-gan")
    }
