from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat
from typing import Any

import pytest
import torch
from torch import Tensor

from genlab.applications.sample import sample
from genlab.core.batch import Batch
from genlab.core.contract import HasState, HasStyles
from genlab.core.errors import UsageError
from genlab.core.modality import Classes, DataSpec, Images
from genlab.core.random import Randomness
from genlab.families.style_gan import (
    LENGTH_DECAY,
    STYLE_DECAY,
    StyleGAN,
    StyleGANTraining,
    crossovers,
    mixed,
    path_lengths,
)
from genlab.recipes.presets import PRESETS
from genlab.recipes.resolve import resolve
from genlab.recipes.style_gan import StyleGANRecipe
from genlab.runs import phases
from genlab.training.checkpoint import Checkpoint
from genlab.training.state import collect, restore

SPEC = DataSpec(Images(1, 8, 8), {"label": Classes(("a", "b", "c"))})
ROWS, LAYERS, STYLE = 4, 4, 5
RECIPE = StyleGANRecipe(
    width=4, latent=STYLE, mapping_layers=2, batch_size=ROWS, penalty_every=2, betas=(0.0, 0.99), ema=0.0
)


def recipe(**changes: Any) -> StyleGANRecipe:
    return replace(RECIPE, **changes)


def make(seed: int = 0, **changes: Any) -> StyleGANTraining:
    training = phases.build(recipe(**changes), SPEC, Randomness(seed))
    assert isinstance(training, StyleGANTraining)
    return training


def batches() -> Iterator[Batch]:
    x = torch.rand(ROWS, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return repeat(Batch(x, torch.arange(ROWS), {"label": torch.arange(ROWS) % 3}))


def model(**changes: Any) -> StyleGAN:
    """Return a model whose noise and mean style are not 0."""
    made = make(**changes).model.eval().requires_grad_(False)
    made.mean_style.copy_(torch.linspace(-1, 1, STYLE))
    for name, parameter in made.named_parameters():
        if name.endswith("strength"):
            parameter.data.fill_(0.3)
    return made


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_mixed_styles_are_those_of_the_other_image_from_a_layer_on() -> None:
    one, other = drawn(ROWS, LAYERS, STYLE), drawn(ROWS, LAYERS, STYLE, seed=1)
    first = torch.tensor([1, 2, 3, LAYERS])
    made = mixed(one, other, first)
    for row, layer in enumerate(first):
        assert torch.equal(made[row, :layer], one[row, :layer])
        assert torch.equal(made[row, layer:], other[row, layer:])
    images = model()
    assert torch.equal(images.synthesize(mixed(one, one, first)), images.synthesize(one))


@pytest.mark.parametrize("probability", [0.0, 0.9, 1.0])
def test_each_image_is_mixed_with_a_probability_at_a_uniform_layer(probability: float) -> None:
    first = crossovers(Randomness(0).draws(20_000, "test"), LAYERS, probability)
    share = torch.bincount(first, minlength=LAYERS + 1) / len(first)
    expected = [0.0, *[probability / 3] * 3, 1 - probability]
    torch.testing.assert_close(share, torch.tensor(expected), atol=0.015, rtol=0)


def test_the_path_length_of_a_linear_generator_is_its_closed_form() -> None:
    matrix, towards = drawn(LAYERS * STYLE, 1 * 3 * 3).double(), drawn(ROWS, 1, 3, 3, seed=1).double()

    def linear(styles: Tensor) -> Tensor:
        return (styles.flatten(1) @ matrix).view(-1, 1, 3, 3)

    lengths = path_lengths(linear, drawn(ROWS, LAYERS, STYLE, seed=2).double(), towards)
    slopes = towards.flatten(1) @ matrix.T / 3
    torch.testing.assert_close(lengths, slopes.square().sum(1).div(LAYERS).sqrt())


def test_the_path_length_penalty_is_due_in_every_nth_update_with_n_times_its_weight() -> None:
    batch, every, once = next(batches()), make(path_length_every=1), make(path_length_every=3)
    assert not once.generator_penalties(batch, once.randomness, 4)
    (always,) = every.generator_penalties(batch, every.randomness, 3).values()
    (lazy,) = once.generator_penalties(batch, once.randomness, 3).values()
    torch.testing.assert_close(lazy, 3 * always)
    assert torch.equal(once.mean_length, every.mean_length)
    assert once.mean_length > 0
    lengths = once.mean_length / (1 - LENGTH_DECAY)
    assert always > 2.0 * (lengths - once.mean_length).square() * 0.999, "Jensen: the mean square is at least that"
    (gradient,) = torch.autograd.grad(lazy, once.model.generator.synthesis.constant)
    assert gradient.abs().max() > 0
    assert "path_length_penalty" in once.step(0, batches())
    assert "path_length_penalty" not in once.step(1, batches())


def test_without_a_path_length_penalty_there_is_no_state() -> None:
    without = make(path_length=0.0)
    assert isinstance(without, HasState)
    assert without.state == {}
    assert "path_length" not in without.step(0, batches())


def test_the_mean_style_follows_the_styles_of_training() -> None:
    training = make(style_mixing=0.0)
    batch = next(batches())
    styles = training.styles(batch, Randomness(0).draws(ROWS, "test"))
    torch.testing.assert_close(training.model.mean_style, (1 - STYLE_DECAY) * styles[:, 0].mean(0))
    assert torch.equal(styles[:, 0], styles[:, -1])


def test_truncation_moves_styles_towards_their_mean() -> None:
    made, latents = model(), drawn(3, STYLE)
    assert isinstance(made, HasStyles)
    whole = made.styles(latents)
    assert torch.equal(whole, made.in_layers(made.map(latents))), "1 changes nothing"
    made.truncation = 0.5
    torch.testing.assert_close(made.styles(latents), 0.5 * (whole + made.mean_style))
    made.truncation = 0.0
    assert torch.equal(made.styles(latents), made.in_layers(made.mean_style.expand(3, -1)))
    torch.testing.assert_close(
        made.sample(3), made.synthesize(made.in_layers(made.mean_style.expand(3, -1))), msg="the mean image"
    )


def test_noise_of_samples_is_fixed_fresh_or_off_and_depends_on_the_row_alone() -> None:
    images = {}
    for noise in ("fixed", "fresh", "off"):
        made = model(noise=noise)
        images[noise] = sample(made, 5, 3)
        torch.testing.assert_close(sample(made, 5, 3, chunk=2), images[noise], atol=1e-5, rtol=0)
    assert (images["fixed"] - images["fresh"]).abs().amax((1, 2, 3)).min() > 0.01
    assert (images["fixed"] - images["off"]).abs().amax((1, 2, 3)).min() > 0.01
    same = model().truncation = 0.0
    made = model(truncation=same, noise="fresh")
    assert (sample(made, 2, 0).diff(dim=0)).abs().max() > 0.01, "the same style with other noise"


@pytest.mark.parametrize("noise", ["fixed", "off"])
def test_training_has_fresh_noise_unless_it_is_off(noise: str) -> None:
    training = make(noise=noise)
    training.step(0, batches())
    strengths = [p for name, p in training.model.named_parameters() if name.endswith("strength")]
    assert strengths
    assert all((p.grad is None) == (noise == "off") for p in strengths)


def test_labels_go_into_the_mapping_network() -> None:
    made = model(generator_labels="concat", discriminator_labels="projection")
    latents, labels = drawn(1, STYLE).expand(3, -1), torch.arange(3)
    styles = made.styles(latents, {"label": labels})
    assert (styles[0] - styles[1]).abs().max() > 1e-3
    assert torch.equal(styles, made.styles(latents)), "in turn"


def test_gamma_follows_size_and_batch_unless_it_is_given() -> None:
    (note,) = recipe(batch_size=32).notes(DataSpec(Images(3, 64, 64), {})).values()
    assert "64·64 pixels / 32 images = 0.0256" in note
    assert not recipe(r1=1.0).notes(SPEC)
    images = drawn(ROWS, 1, 8, 8)
    penalties = []
    for gamma in (None, 0.0002 * 64 / ROWS, 1.0):
        training = make(r1=gamma)
        draws = training.randomness.draws(ROWS, "test")
        found = training.gradient_penalties(training.model.discriminator, images, images, {}, 0, draws)
        penalties.append(found["r1_penalty"])
    torch.testing.assert_close(penalties[0], penalties[1])
    assert penalties[2] > 100 * penalties[0]
    assert "r1_penalty" not in make(r1=0.0).step(0, batches())


def test_a_resumed_training_takes_the_same_steps_to_the_bit() -> None:
    whole, stream = make(seed=1), batches()
    for step in range(5):
        whole.step(step, stream)
        if step == 2:
            saved = [{name: t.clone() for name, t in tensors.items()} for tensors in collect(whole, None)]
    resumed = make(seed=1)
    restore(Checkpoint(*saved, state={"step": 3}), resumed, None)
    for step in (3, 4):
        resumed.step(step, stream)
    assert whole.mean_length > 0
    assert torch.equal(whole.mean_length, resumed.mean_length)
    for (name, one), other in zip(
        whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name


def test_presets_differ_in_networks_and_penalties() -> None:
    first, second = PRESETS["stylegan"], PRESETS["stylegan2"]
    assert isinstance(first, StyleGANRecipe)
    assert isinstance(second, StyleGANRecipe)
    assert (first.path_length, second.path_length) == (0.0, 2.0)
    assert first.training(first.model(DataSpec(Images(1, 8, 8), {})), Randomness(0))
    with pytest.raises(UsageError, match="stylegan, stylegan2"):
        resolve("stylegan2", {"architecture": "dcgan"})
