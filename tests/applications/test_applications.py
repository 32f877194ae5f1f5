from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import reading
from genlab.applications.capability import need, spec_for, suiting
from genlab.applications.interpolate import ends_of, interpolate
from genlab.applications.reconstruct import reconstruct
from genlab.applications.sample import sample
from genlab.core.condition import NONE, Condition
from genlab.core.contract import BoundsLikelihood, Corrupts, Encodes, Reconstructs, Samples
from genlab.core.errors import GenlabError
from genlab.core.latents import arc
from genlab.core.modality import Classes, Images, Modality
from genlab.core.random import generator
from genlab.recipes.presets import PRESETS


class Decoder(nn.Module):
    """Shows a latent of two numbers as an image of two pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(()))  # a model is on the device of its weights

    def decode(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        return latents.view(-1, 1, 1, 2)


class Sampler(Decoder):
    conditions: Mapping[str, Modality] = {}

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.randn(count, 2, generator=generator)

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        return self.decode(self.prior(count, generator))


class Mirror(Decoder):
    def encode(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        return x.flatten(1)

    def reconstruct(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        return -x


class Slow(Sampler):
    """Samples in steps, and is broken off in the first."""

    progress_callback = None

    def preview_sampling(self) -> AbstractContextManager[Mapping[str, Any]]:
        return nullcontext({})

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        raise KeyboardInterrupt


WEIGHTS = torch.linspace(0, 1, 5, dtype=torch.float64)


def walk(model: nn.Module, count: int, frames: int, seed: int = 0, images: Tensor | None = None) -> Tensor:
    return interpolate(model, ends_of(model, count, seed, images), frames)


class Labelled(Sampler):
    """Adds the class to the latent; the class of an image is whether its first number is negative."""

    conditions: Mapping[str, Modality] = {"label": Classes(("plus", "minus"))}

    def classify(self, x: Tensor) -> Tensor:
        return (x.flatten(1)[:, 0] < 0).long()

    def encode(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        return x.flatten(1) - condition["label"][:, None]

    def decode(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        return super().decode(latents + condition["label"][:, None])


class Cycling(Labelled):
    """Infers no class, so that images get the classes in turn."""

    classify = None  # type: ignore[assignment]


@pytest.mark.parametrize("model", [Labelled(), Cycling()], ids=["inferred", "in turn"])
def test_each_end_of_an_interpolation_is_decoded_under_its_own_class(model: Labelled) -> None:
    pictures = torch.tensor([[1.0, 0.5], [0.5, 2.0], [-1.0, 0.5], [-1.0, 3.0]]).view(4, 1, 1, 2)
    rows = walk(model, 4, 4, images=pictures)
    torch.testing.assert_close(rows[:, 0], pictures[:-1])
    torch.testing.assert_close(rows[:, -1], pictures[1:])
    assert torch.equal(rows[1:, 0], rows[:-1, -1])


def test_between_two_classes_the_class_changes_half_way() -> None:
    class Class(Labelled):
        def decode(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
            return condition["label"].float().view(-1, 1, 1, 1)

    pictures = torch.tensor([[1.0, 0.5], [-0.5, 2.0], [-1.0, 0.5]]).view(3, 1, 1, 2)
    assert walk(Class(), 3, 4, images=pictures).flatten(1).tolist() == [[0, 0, 1, 1], [1, 1, 1, 1]]
    assert walk(Class(), 4, 2).flatten(1).tolist() == [[0, 1], [1, 0], [0, 1]]  # draws: the classes in turn


def test_a_prior_is_walked_along_great_circles_through_its_draws() -> None:
    images = walk(Sampler(), 3, 5, seed=4)
    assert images.shape == (2, 5, 1, 1, 2)
    draws = Sampler().prior(3, generator(4, "interpolation"))
    torch.testing.assert_close(images[0, 0].flatten(), draws[0])
    torch.testing.assert_close(images[0, -1], images[1, 0])
    torch.testing.assert_close(images[1, -1].flatten(), draws[2])
    torch.testing.assert_close(images[0].view(5, 2), arc(draws[0], draws[1], WEIGHTS.float()))
    assert torch.equal(images, walk(Sampler(), 3, 5, 4))
    assert not torch.equal(images, walk(Sampler(), 3, 5, 5))


def test_codes_without_a_prior_are_walked_along_straight_lines() -> None:
    pictures = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(2, 1, 1, 2)
    images = walk(Mirror(), 2, 3, images=pictures)
    torch.testing.assert_close(images[0, 1].flatten(), torch.tensor([0.5, 0.5]))


def test_an_interpolation_that_has_no_ends_says_what_it_needs() -> None:
    with pytest.raises(GenlabError, match="needs a model with a prior, or pictures to encode: give --between"):
        walk(Mirror(), 2, 3)
    with pytest.raises(GenlabError, match="interpolation needs a model that can decode"):
        interpolate(nn.Identity(), ends_of(Sampler(), 2, 0), 3)


def test_samples_are_a_function_of_the_seed_and_come_in_chunks() -> None:
    images = sample(Sampler(), 10, seed=1, chunk=4)
    assert images.shape == (10, 1, 1, 2)
    assert torch.equal(images, sample(Sampler(), 10, seed=1))
    assert torch.equal(images[:8], sample(Sampler(), 8, seed=1))
    assert not torch.equal(images, sample(Sampler(), 10, seed=2))
    assert len(images.unique(dim=0)) == 10


def test_a_reconstruction_comes_with_its_error_per_pixel() -> None:
    images = torch.stack([torch.zeros(1, 1, 2), torch.ones(1, 1, 2), torch.tensor([[[1.0, 0.0]]])])
    again, errors = reconstruct(Mirror(), images)
    assert torch.equal(again, -images)
    assert errors.tolist() == [0, 4, 2]


def test_a_model_that_cannot_is_refused_with_presets_that_can() -> None:
    with pytest.raises(GenlabError) as caught:
        reconstruct(Sampler(), torch.zeros(1, 1, 1, 2))
    assert str(caught.value) == (
        "reconstruction needs a model that can reconstruct; this one can sample, decode. "
        f"Try: {', '.join(suiting(Sampler(), lambda model: isinstance(model, Reconstructs)))}."
    )
    assert need(Mirror(), Encodes, "anything") is not None


def test_presets_are_found_by_what_they_can_do() -> None:
    def able(protocol: type) -> list[str]:
        return suiting(Sampler(), lambda model: isinstance(model, protocol))

    by_family = {
        Samples: {recipe.family for recipe in PRESETS.values()} - {"autoencoder", "denoiser"},
        Reconstructs: {"vae", "autoencoder"},
        BoundsLikelihood: {"vae", "diffusion", "flow"},
    }
    before = torch.get_rng_state()
    for protocol, families in by_family.items():
        assert able(protocol) == [name for name, recipe in PRESETS.items() if recipe.family in families]
    assert able(Corrupts) == ["denoising-autoencoder", "dncnn", "table-autoencoder"]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_tried_on_what_they_read(preset: str) -> None:
    images, spec = Images(1, 16, 16), reading.spec_of(PRESETS[preset], Images(1, 16, 16))
    label = spec.conditions.get("label")
    assert spec_for(PRESETS[preset], images, label if isinstance(label, Classes) else Classes(())) == spec


def test_an_interrupted_progress_bar_is_not_updated_again() -> None:
    model = Slow()
    with pytest.raises(KeyboardInterrupt):
        sample(model, 3, seed=0, progress=True)
    assert model.progress_callback is None
