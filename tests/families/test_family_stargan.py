from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, one_hot

from genlab.core.batch import Batch
from genlab.core.condition import NONE, SOURCE, SOURCE_LABEL, Condition
from genlab.core.contract import DiscriminatorOutput, Samples, TranslatesBack
from genlab.core.distributed import Shard
from genlab.core.modality import Classes, DataSpec, Images
from genlab.core.random import Draws, Randomness
from genlab.families.stargan import DomainTranslator, StarGANTraining
from genlab.recipes.presets import PRESETS
from genlab.runs import phases

SHAPE, LABEL = Images(1, 16, 16), Classes(("red", "green", "blue"))
SPEC = DataSpec(SHAPE, {"label": LABEL, SOURCE: SHAPE, SOURCE_LABEL: LABEL}, aligned=False)
ROWS = 4


@dataclass
class Counted(Iterator[Batch]):
    """Batches that differ, and how many were drawn."""

    drawn: int = 0

    def __next__(self) -> Batch:
        stream = torch.Generator().manual_seed(self.drawn)
        x, source = torch.rand(2, ROWS, *SHAPE.shape, generator=stream) * 2 - 1
        self.drawn += 1
        given = {"label": torch.tensor([0, 1, 2, 0]), SOURCE: source, SOURCE_LABEL: torch.tensor([1, 1, 0, 2])}
        return Batch(x, torch.arange(ROWS), given)


def make(**changes: Any) -> StarGANTraining:
    sizes = {"width": 4, "blocks": 1, "batch_size": ROWS, "discriminator_steps": 2}
    recipe = replace(PRESETS["stargan"], **{**sizes, **changes})
    torch.manual_seed(0)
    training = phases.build(recipe, SPEC, Randomness(0))
    assert isinstance(training, StarGANTraining)
    return training


def draws(shard: Shard | None = None) -> Draws:
    return Randomness(0, shard or Shard()).draws(ROWS, "penalty", 0, 0)


class Painter(nn.Module):
    """A generator that paints each image in the shade of the wanted domain, whatever the source."""

    def forward(self, source: Tensor, condition: Condition) -> Tensor:
        return (condition["label"] * 0.4).atanh().view(-1, 1, 1, 1).expand_as(source)


class Judge(nn.Module):
    """A discriminator with 4 patches whose scores have the slope `slope`; certain of the domains `says`."""

    def __init__(self, slope: float, says: Tensor) -> None:
        super().__init__()
        self.slope, self.says = nn.Parameter(torch.tensor(slope)), says

    def forward(self, x: Tensor, condition: Condition = NONE) -> DiscriminatorOutput:
        scores = self.slope * x.flatten(1).sum(1, keepdim=True) / x[0].numel() ** 0.5
        logits = 50.0 * one_hot(self.says, len(LABEL)).float() + 0 * x.flatten(1)[:, :3]
        return DiscriminatorOutput(scores.expand(-1, 4), scores, logits)


def test_it_translates_into_the_domain_that_is_asked_for_and_back_into_that_of_the_source() -> None:
    model = make().model
    model.generator = Painter()
    batch = next(Counted())
    assert isinstance(model, Samples)
    assert isinstance(model, TranslatesBack)
    there = model.sample(ROWS, {name: batch.condition[name] for name in model.conditions})
    torch.testing.assert_close(there[:, 0, 0, 0], 0.4 * torch.tensor([0.0, 1, 2, 0]))
    back = model.translate_back(there, {SOURCE_LABEL: batch.condition[SOURCE_LABEL]})
    torch.testing.assert_close(back[:, 0, 0, 0], 0.4 * torch.tensor([1.0, 1, 0, 2]))


def test_labels_that_are_not_given_go_round_the_domains() -> None:
    model = make().model
    model.generator = Painter()
    made = model.sample(5, {SOURCE: torch.zeros(5, *SHAPE.shape)})
    torch.testing.assert_close(made[:, 0, 0, 0], 0.4 * torch.tensor([0.0, 1, 2, 0, 1]))


def test_another_label_gives_another_translation() -> None:
    model = make().model
    source = next(Counted()).condition[SOURCE]
    one, other = (model.sample(ROWS, {SOURCE: source, "label": torch.full((ROWS,), k)}) for k in (0, 1))
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("weight", [1.0, 7.0])
def test_the_generator_is_told_to_fit_the_wanted_domain_and_to_come_back(weight: float) -> None:
    training, batch = make(classification_weight=weight, cycle_weight=3 * weight), next(Counted())
    training.model.generator = Painter()
    fake = training.model.translate(batch.condition)
    training.model.discriminator = Judge(1.0, batch.condition["label"])
    right = training.generator_losses(batch, fake, draws())
    assert right["generator_class_loss"] < 1e-6
    torch.testing.assert_close(right["generator_loss"], -fake.flatten(1).sum(1).mean() / 16)
    painted = 0.4 * batch.condition[SOURCE_LABEL].view(-1, 1, 1, 1).expand_as(fake)
    torch.testing.assert_close(right["cycle_loss"], 3 * weight * l1_loss(painted, batch.condition[SOURCE]))
    training.model.discriminator = Judge(1.0, batch.condition[SOURCE_LABEL])  # right in row 1 only
    wrong = training.generator_losses(batch, fake, draws())["generator_class_loss"]
    assert wrong.item() == pytest.approx(weight * 37.5)


def test_the_discriminator_learns_the_domains_of_real_images_alone() -> None:
    training, batch = make(), next(Counted())
    loss = [
        training.discriminator_losses(batch, fake, draws())[0]["discriminator_class_loss"]
        for fake in (torch.zeros_like(batch.x), torch.ones_like(batch.x))
    ]
    assert torch.equal(*loss)
    training.model.discriminator = Judge(1.0, batch.condition["label"])
    losses, signals = training.discriminator_losses(batch, torch.zeros_like(batch.x), draws())
    assert losses["discriminator_class_loss"] < 1e-6
    assert signals["class_accuracy_real"] == signals["class_accuracy_fake"] == 1


@pytest.mark.parametrize(("slope", "penalty"), [(0.25, 0.0), (0.75, 40.0)])
def test_the_slope_of_the_sum_of_four_patches_is_held_at_one(slope: float, penalty: float) -> None:
    training, batch = make(), next(Counted())
    training.model.discriminator = Judge(slope, batch.condition["label"])
    losses, _ = training.discriminator_losses(batch, torch.zeros_like(batch.x), draws())
    assert losses["wgan-gp_penalty"].item() == pytest.approx(penalty, abs=1e-4)
    assert "wgan-gp_penalty" not in make(gradient_penalty=0.0).step(0, Counted())


def test_what_is_translated_back_is_noisy_and_what_is_judged_is_not() -> None:
    plain, noisy, batch = make(), make(cycle_noise=0.5), next(Counted())
    fake = plain.model.translate(batch.condition)
    before, after = (training.generator_losses(batch, fake, draws()) for training in (plain, noisy))
    assert torch.equal(after["generator_loss"], before["generator_loss"])
    assert not torch.equal(after["cycle_loss"], before["cycle_loss"])


@pytest.mark.parametrize("turns", [1, 5])
def test_each_update_of_the_discriminator_is_on_a_new_batch(turns: int) -> None:
    training, stream = make(discriminator_steps=turns), Counted()
    training.step(0, stream)
    assert stream.drawn == turns
    steps = {
        name: {state["step"].item() for state in optimizer.state.values()}
        for name, optimizer in training.optimizers.items()
    }
    assert steps == {"discriminator": {turns}, "generator": {1}}


@pytest.mark.parametrize("loss", ["wasserstein", "relativistic-average"])
def test_a_step_in_parts_is_the_same_step(loss: str) -> None:
    parts = {"wasserstein": 2, "relativistic-average": 1}[loss]  # the latter compares the images of a part
    whole, cut = make(loss=loss), make(loss=loss, accumulate=parts)
    signals = [training.step(3, Counted()) for training in (whole, cut)]
    for name, value in signals[0].items():
        torch.testing.assert_close(signals[1][name], value, rtol=1e-3, atol=1e-4)


def test_a_step_depends_on_its_number_and_on_nothing_before() -> None:
    one, same, other = make().step(5, Counted()), make().step(5, Counted()), make().step(6, Counted())
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["wgan-gp_penalty"], other["wgan-gp_penalty"])


def test_it_learns_the_domains_and_keeps_the_model_whole() -> None:
    training = make(discriminator_lr=5e-3, classification_weight=10.0, discriminator_steps=1)
    batch = next(Counted())
    shades = 0.5 * (batch.condition["label"] - 1).view(-1, 1, 1, 1)
    constant = replace(batch, x=shades.expand_as(batch.x))
    signals = [training.step(step, iter([constant])) for step in range(32)]
    assert signals[-1]["class_accuracy_real"] == 1
    assert signals[-1]["generator_class_loss"] < signals[0]["generator_class_loss"]
    assert all(p.requires_grad for p in training.model.parameters())
    assert isinstance(training.model, DomainTranslator)
