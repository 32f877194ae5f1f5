from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from genlab.architectures import compose
from genlab.core.batch import Batch
from genlab.core.contract import DiscriminatorOutput
from genlab.core.errors import GenlabError
from genlab.core.modality import Classes, DataSpec, Images, Points
from genlab.core.optimizer import adam
from genlab.core.player import Player
from genlab.core.random import Draws, Randomness
from genlab.families.gan import GAN, GANTraining
from genlab.objectives.adversarial import ADVERSARIAL, AdversarialLoss
from genlab.recipes.gan import GANRecipe
from genlab.recipes.presets import PRESETS
from genlab.regularizers.gradient import r1
from genlab.regularizers.unrolling import unrolled
from genlab.regularizers.weights import clip_weights_, historical_distance, remember_
from genlab.runs import phases

STREAMS = {"discriminator": "critic", "generator": "generator"}  # the names of the players' random streams
POINT, LATENT, ROWS, CLASSES = Points(2), 3, 8, 4
LABEL = Classes(tuple(map(str, range(CLASSES))))


@dataclass
class Counted(Iterator[Batch]):
    """Batches whose points say which batch they are; the labels go round the classes."""

    drawn: list[Tensor] = field(default_factory=list)

    def __next__(self) -> Batch:
        points = 0.1 * len(self.drawn) + torch.linspace(-0.1, 0.1, ROWS)[:, None].expand(ROWS, 2)
        self.drawn.append(points)
        return Batch(points, torch.arange(ROWS), {"label": torch.arange(ROWS) % CLASSES})


def make(
    loss: AdversarialLoss = ADVERSARIAL["non-saturating"],
    lr: float = 1e-3,
    labels: str = "none",
    player: Mapping[str, Any] = MappingProxyType({}),
    **parts: Any,
) -> GANTraining:
    """Return a training of small networks; `player` are options of both players."""
    torch.manual_seed(0)
    classes = CLASSES if labels != "none" else 0
    told = "concat" if classes else "none"
    gan = GAN(
        DataSpec(POINT, {"label": LABEL} if classes else {}),
        compose.decoder("mlp", LATENT, POINT, 16, labels=told, classes=classes),
        compose.discriminator("mlp", POINT, 16, norm="none", labels=labels, classes=classes),
        LATENT,
    )
    networks = {"discriminator": gan.discriminator, "generator": gan.generator}
    players = [
        Player(name, network, adam(network, name, lr, (0.5, 0.999)), among=gan, **player)
        for name, network in networks.items()
    ]
    return GANTraining(gan, *players, loss, Randomness(3), **parts)


def only(training: GANTraining, player: str) -> GANTraining:
    """Keep the other player's weights as they are."""
    (other,) = training.optimizers.keys() - {player}
    for group in training.optimizers[other].param_groups:
        group["lr"] = 0.0
    return training


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
    make = training.generate

    def generate(batch: Batch, randomness: Randomness, *stream: int | str) -> Tensor:
        told.append(f"noise {stream}")
        return make(batch, randomness, *stream)

    monkeypatch.setattr(training, "generate", generate)
    for player, optimizer in training.optimizers.items():

        def step(player: str = player, original: object = optimizer.step) -> None:
            told.append(player)
            original()  # type: ignore[operator]

        monkeypatch.setattr(optimizer, "step", step)
    return told


@pytest.mark.parametrize(("discriminator_steps", "generator_steps"), [(1, 1), (3, 1), (1, 2)])
def test_each_player_takes_its_number_of_updates_and_the_generator_starts_with_the_last_fakes(
    discriminator_steps: int, generator_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, batches = make(), Counted()
    training.discriminator.turns, training.generator.turns = discriminator_steps, generator_steps
    told = watch(training, monkeypatch)
    training.step(5, batches)
    turns = {"discriminator": discriminator_steps, "generator": generator_steps}
    drawn = [(player, turn) for player, count in turns.items() for turn in range(count)]
    expected = [line for player, turn in drawn for line in (f"noise {(STREAMS[player], 5, turn)}", player)]
    expected.remove("noise ('generator', 5, 0)")
    assert told == expected
    assert len(batches.drawn) == discriminator_steps
    noises = [noise(training, STREAMS[player], 5, turn) for player, turn in drawn]
    assert not any(torch.equal(a, b) for a, b in zip(noises, [*noises[1:], noises[0]], strict=True))


def losses(loss: AdversarialLoss, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Return the discriminator's loss and the generator's."""
    return loss.discriminator(real, fake), loss.generator(*([real] if loss.compares_real else []), fake)


@pytest.mark.parametrize("loss", ADVERSARIAL.values(), ids=ADVERSARIAL)
def test_each_player_descends_its_own_side_of_the_loss(loss: AdversarialLoss) -> None:
    """The gradients left behind are those of algorithm 1, the generator's against the discriminator as updated."""
    training, reference, batches = make(loss), make(loss), Counted()
    training.step(0, batches)
    model = reference.model
    fake = model.decode(noise(reference, "critic", 0, 0)).detach()
    discriminator_loss, _ = losses(
        loss, model.discriminator(batches.drawn[0]).scores, model.discriminator(fake).scores
    )
    expected = torch.autograd.grad(discriminator_loss, list(model.discriminator.parameters()))
    for parameter, gradient in zip(training.model.discriminator.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    model.discriminator.load_state_dict(training.model.discriminator.state_dict())
    scores = model.discriminator(model.decode(noise(reference, "critic", 0, 0))).scores
    _, generator_loss = losses(loss, model.discriminator(batches.drawn[0]).scores.detach(), scores)
    expected = torch.autograd.grad(generator_loss, list(model.generator.parameters()))
    assert max(gradient.abs().max() for gradient in expected) > 0
    for parameter, gradient in zip(training.model.generator.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_the_signals_are_statistics_of_the_discriminators_outputs() -> None:
    training, batches = make(lr=1e-12), Counted()
    signals = training.step(0, batches)
    model = training.model
    with torch.no_grad():
        real = model.discriminator(batches.drawn[0]).scores
        fake = model.discriminator(model.decode(noise(training, "critic", 0, 0))).scores
    torch.testing.assert_close(signals["score_real"], real.mean())
    torch.testing.assert_close(signals["score_fake"], fake.mean())
    torch.testing.assert_close(signals["D(x)"], real.sigmoid().mean())
    torch.testing.assert_close(signals["D(G(z))"], fake.sigmoid().mean())
    torch.testing.assert_close(signals["accuracy_real"], (real > 0).float().mean())
    torch.testing.assert_close(signals["accuracy_fake"], (fake < 0).float().mean())
    scores_only = make(replace(training.loss, log_odds=False)).step(0, Counted())
    assert scores_only.keys() == signals.keys() - {"D(x)", "D(G(z))", "accuracy_real", "accuracy_fake"}


def test_a_discriminator_alone_learns_to_tell_and_a_generator_alone_to_fool() -> None:
    training, batches = make(), Counted()
    training.discriminator.turns = 200
    signals = training.step(0, batches)
    assert signals["D(x)"] > signals["D(G(z))"]

    def fooled() -> Tensor:
        scores: Tensor = training.model.discriminator(
            training.model.sample(64, generator=torch.Generator().manual_seed(0))
        ).scores
        return scores.mean()

    before = fooled()
    training.discriminator.turns = 1
    only(training, "generator")
    for step in range(1, 100):
        training.step(step, batches)
    assert fooled() > before


def test_a_penalty_is_added_to_the_discriminators_loss_every_n_of_its_steps_n_times_as_heavy() -> None:
    def learn(step: int, **options: Any) -> tuple[list[Tensor], set[str]]:
        training = make(**options)
        signals = training.step(step, Counted())
        return gradients(training.model.discriminator), set(signals)

    penalties = {"r1": lambda *given: 3 * r1(*given)}
    without, _ = learn(8)
    always, named = learn(8, penalties=penalties)
    lazy, _ = learn(8, penalties=penalties, penalty_every=2)
    skipped, unnamed = learn(9, penalties=penalties, penalty_every=2)
    assert "r1" in named
    assert "r1" not in unnamed
    assert same(skipped, learn(9)[0])
    differences = [(a - w, z - w) for w, a, z in zip(without, always, lazy, strict=True)]
    for once, twice in differences:
        torch.testing.assert_close(2 * once, twice, rtol=1e-4, atol=1e-6)
    assert max(once.abs().max() for once, _ in differences) > 1e-3


def test_real_and_generated_images_are_augmented_in_the_same_way() -> None:
    seen: list[tuple[Tensor, int]] = []

    def augment(images: Tensor, step: int, draws: Draws) -> Tensor:
        seen.append((images.detach(), step))
        return images + draws.normal(*POINT.shape)

    training, batches = make(augment=augment), Counted()
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

    plain, flipped = (only(make(flip_labels=flips), "generator") for flips in (None, flip))
    for training in (plain, flipped):
        training.step(0, Counted())
    assert not same(gradients(plain.model.discriminator), gradients(flipped.model.discriminator))
    assert same(gradients(plain.model.generator), gradients(flipped.model.generator))


def test_feature_matching_moves_the_generator_alone_towards_the_mean_features() -> None:
    training = make(feature_matching=True)
    model, batch = training.model, next(Counted())
    before = weights(model.discriminator)
    fake = model.decode(noise(training, "critic", 0, 0))
    gap = model.discriminator(batch.x).features.mean(0) - model.discriminator(fake).features.mean(0)
    expected = torch.autograd.grad(gap.square().sum(), list(model.generator.parameters()))
    signals = training.step(0, iter([batch]))
    assert not same(before, weights(model.discriminator)), "the discriminator learns by its own loss"
    alone = only(make(feature_matching=True), "generator")
    alone.step(0, iter([batch]))
    for gradient, wanted in zip(gradients(alone.model.generator), expected, strict=True):
        torch.testing.assert_close(gradient, wanted)
    assert same(weights(alone.model.discriminator), before)
    assert signals["generator_loss"] >= 0


def test_an_unrolled_discriminator_changes_the_generators_gradient_and_is_undone() -> None:
    def learned(steps: int) -> GANTraining:
        kept: list[list[Tensor]] = []

        def state() -> list[Tensor]:
            moments = [t.clone() for s in training.discriminator.optimizer.state.values() for t in s.values()]
            return weights(training.model.discriminator) + moments

        unroll = (lambda *given: unrolled(*given, steps=steps)) if steps else None
        training = make(lr=1e-2, unroll=unroll)
        training.discriminator.after_step = [lambda *_: kept.append(state())]
        for step in range(2):
            training.step(step, Counted())
            assert same(kept[-1], state())
        assert all(parameter.requires_grad for parameter in training.model.parameters())
        return training

    ahead = {steps: gradients(learned(steps).model.generator) for steps in (0, 1, 5)}
    assert not same(ahead[0], ahead[1])
    assert not same(ahead[1], ahead[5])


def test_after_step_hooks_run_after_each_step_of_their_player() -> None:
    training = make(lr=0.1, player={"weight_regularizer": historical_distance})
    discriminator, generator = training.discriminator, training.generator
    discriminator.turns = 2
    discriminator.after_step = [lambda optimizer, step: clip_weights_(discriminator.network, 0.01)]
    generator.after_step = [remember_]
    batches = Counted()
    for step in range(3):
        signals = training.step(step, batches)
        assert all(weight.abs().max() <= 0.01 for weight in training.model.discriminator.parameters())
        assert (signals["generator_weight_regularizer"] > 0) == (step > 1)  # the first mean is of one step alone
        assert signals["discriminator_weight_regularizer"] == 0, "nothing was remembered of the discriminator"
    assert any(weight.abs().max() > 0.01 for weight in training.model.generator.parameters())


def test_gradients_are_clipped_for_both_players() -> None:
    training = make(player={"clip_norm": 1e-4})
    training.step(0, Counted())
    for player in (training.model.discriminator, training.model.generator):
        norm = torch.cat([gradient.flatten() for gradient in gradients(player)]).norm()
        torch.testing.assert_close(norm, torch.tensor(1e-4))


@pytest.mark.parametrize("labels", ["concat", "projection", "auxiliary"])
def test_both_networks_get_the_label_of_each_image(labels: str) -> None:
    training, told = make(labels=labels), []
    for player in (training.model.generator, training.model.discriminator):
        player.register_forward_pre_hook(lambda _, given: told.append(given[1]))
    training.step(0, Counted())
    assert len(told) == 4  # fakes, judged beside real ones; then judged for the generator
    assert all(torch.equal(given["label"], torch.arange(ROWS) % CLASSES) for given in told)


def test_an_auxiliary_discriminator_learns_the_classes_and_the_generator_to_show_them() -> None:
    training, batch = make(labels="auxiliary"), next(Counted())
    model = training.model
    fake = model.decode(noise(training, "critic", 0, 0), batch.condition)
    outputs: list[DiscriminatorOutput] = [model.discriminator(x, batch.condition) for x in (batch.x, fake)]
    expected = sum(cross_entropy(j.classes, batch.condition["label"]) for j in outputs if j.classes is not None)
    signals = training.step(0, iter([batch]))
    torch.testing.assert_close(signals["discriminator_class_loss"], torch.as_tensor(expected).detach())
    assert 0 <= signals["class_accuracy_real"] <= 1
    assert signals["generator_class_loss"] > 0


def test_a_batch_goes_round_the_classes_where_no_label_is_given() -> None:
    model = make(labels="concat").model
    latents = model.prior(6, torch.Generator().manual_seed(0))
    assert torch.equal(model.decode(latents), model.decode(latents, {"label": torch.tensor([0, 1, 2, 3, 0, 1])}))
    assert not torch.equal(
        model.decode(latents), model.decode(latents, {"label": torch.zeros(6, dtype=torch.long)})
    )


@pytest.mark.parametrize("labels", ["none", "concat", "projection", "auxiliary"])
def test_real_and_generated_images_may_go_through_the_discriminator_together(labels: str) -> None:
    together, apart = make(labels=labels, one_pass=True), make(labels=labels)
    seen: list[int] = []
    together.model.discriminator.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    signals = [training.step(0, Counted()) for training in (together, apart)]
    assert seen == [2 * ROWS, ROWS]
    assert signals[0].keys() == signals[1].keys()
    for name, value in signals[0].items():
        torch.testing.assert_close(value, signals[1][name], msg=name)
    for one, other in zip(
        gradients(together.model.discriminator), gradients(apart.model.discriminator), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_they_do_not_where_a_discriminator_looks_at_several_images_or_draws() -> None:
    training = {name: recipe for name, recipe in PRESETS.items() if isinstance(recipe, GANRecipe)}
    spec = DataSpec(Images(3, 32, 32), {"label": LABEL})
    together = set()
    for name, recipe in training.items():
        built = phases.build(replace(recipe, width=4, latent=4), spec, Randomness(0))
        together |= {name} if built.one_pass else set()
    assert together == {
        *("gan", "wgan-gp", "dragan", "r1-gan", "sngan", "sagan", "projection-gan", "relativistic-gan"),
        *("r3gan", "biggan"),
    }


def smallest(loss: AdversarialLoss) -> list[Tensor]:
    """Return the generator's gradients in a step of the smallest networks."""
    torch.manual_seed(0)
    networks = compose.decoder("mlp", 1, POINT, 1), compose.discriminator("mlp", POINT, 4, norm="none")
    model = GAN(DataSpec(POINT), *networks, latent=1)
    discriminator, generator = (
        Player(name, network, torch.optim.SGD(network.named_parameters(), lr=0.0), among=model)
        for name, network in (("discriminator", model.discriminator), ("generator", model.generator))
    )
    GANTraining(model, discriminator, generator, loss, Randomness(0)).step(0, Counted())
    return gradients(model.generator)


@pytest.mark.parametrize("loss", ADVERSARIAL.values(), ids=ADVERSARIAL)
def test_every_loss_gives_the_generator_a_gradient(loss: AdversarialLoss) -> None:
    assert max(gradient.abs().max() for gradient in smallest(loss)) > 0


def relativistic_hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return (1 - (real - fake.mean())).relu().mean() + (1 + (fake - real.mean())).relu().mean()


def relativistic_hinge_generator(real: Tensor, fake: Tensor) -> Tensor:
    return relativistic_hinge_discriminator(fake, real)


def test_a_loss_added_by_the_book_gives_the_generator_a_gradient_or_is_refused() -> None:
    """A relativistic hinge: without the outputs of real images its generator would learn nothing."""
    functions = relativistic_hinge_discriminator, relativistic_hinge_generator
    assert max(g.abs().max() for g in smallest(AdversarialLoss(*functions, compares_real=True))) > 0
    with pytest.raises(GenlabError, match="compares_real=False means"):
        AdversarialLoss(*functions)
