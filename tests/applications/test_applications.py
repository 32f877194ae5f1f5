import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from genlab.applications import sample as sampling
from genlab.applications.capability import need, presets_with
from genlab.applications.interpolate import interpolate, linear, spherical
from genlab.applications.reconstruct import reconstruct
from genlab.applications.sample import sample
from genlab.core.contract import BoundsLikelihood, Encodes, Reconstructs, Samples
from genlab.core.errors import GenlabError
from genlab.core.random import generator
from genlab.recipes.presets import PRESETS


class Decoder(nn.Module):
    """Shows a latent of two numbers as an image of two pixels."""

    def decode(self, latents: Tensor) -> Tensor:
        return latents.view(-1, 1, 1, 2)


class Sampler(Decoder):
    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.randn(count, 2, generator=generator)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return self.decode(self.prior(count, generator))


class Mirror(Decoder):
    def encode(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def reconstruct(self, images: Tensor) -> Tensor:
        return -images


WEIGHTS = torch.linspace(0, 1, 5, dtype=torch.float64)


@settings(deadline=None)
@given(st.integers(2, 64), st.integers(0, 100))
def test_slerp_hits_both_ends_and_keeps_the_norm(dimensions: int, seed: int) -> None:
    a, b = torch.randn(2, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    path = spherical(a, b, WEIGHTS)
    torch.testing.assert_close(path[0], a)
    torch.testing.assert_close(path[-1], b)
    equal = spherical(a, b * (a.norm() / b.norm()), WEIGHTS)
    torch.testing.assert_close(equal.norm(dim=1), a.norm().expand(5))
    cosines = torch.nn.functional.cosine_similarity(equal[:-1], equal[1:])
    torch.testing.assert_close(cosines, cosines[:1].expand(4))  # equal steps turn by equal angles


def test_slerp_of_a_right_angle() -> None:
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    half = math.sqrt(2)
    torch.testing.assert_close(spherical(a, b, torch.tensor([0.5])), torch.tensor([[half, half]]))


@pytest.mark.parametrize(
    ("a", "b"),
    [([1.0, 2.0], [2.0, 4.0]), ([1.0, 2.0], [1.0, 2.0]), ([1.0, 0.0], [-1.0, 0.0]), ([0.0, 0.0], [1.0, 2.0])],
)
def test_slerp_without_an_angle_is_the_straight_line(a: list[float], b: list[float]) -> None:
    start, end, weights = torch.tensor(a), torch.tensor(b), torch.tensor([0.0, 0.25, 1.0])
    torch.testing.assert_close(spherical(start, end, weights), linear(start, end, weights))
    torch.testing.assert_close(linear(start, end, weights)[1], 0.75 * start + 0.25 * end)


def test_a_prior_is_walked_along_great_circles_through_its_draws() -> None:
    images = interpolate(Sampler(), ends=3, frames=5, seed=4)
    assert images.shape == (2, 5, 1, 1, 2)
    draws = Sampler().prior(3, generator(4, "interpolation"))
    torch.testing.assert_close(images[0, 0].flatten(), draws[0])
    torch.testing.assert_close(images[0, -1], images[1, 0])
    torch.testing.assert_close(images[1, -1].flatten(), draws[2])
    torch.testing.assert_close(images[0].view(5, 2), spherical(draws[0], draws[1], WEIGHTS.float()))
    assert torch.equal(images, interpolate(Sampler(), 3, 5, 4))
    assert not torch.equal(images, interpolate(Sampler(), 3, 5, 5))


def test_codes_without_a_prior_are_walked_along_straight_lines() -> None:
    pictures = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(2, 1, 1, 2)
    images = interpolate(Mirror(), ends=2, frames=3, seed=0, images=pictures)
    torch.testing.assert_close(images[0, 1].flatten(), torch.tensor([0.5, 0.5]))


def test_an_interpolation_that_has_no_ends_says_what_it_needs() -> None:
    with pytest.raises(GenlabError, match="needs a model with a prior, or pictures to encode: give --between"):
        interpolate(Mirror(), 2, 3, 0)
    with pytest.raises(GenlabError, match=r"between pictures needs a model that can encode.*Try: .*vae"):
        interpolate(Sampler(), 2, 3, 0, images=torch.zeros(2, 1, 1, 2))
    with pytest.raises(GenlabError, match="interpolation needs a model that can decode"):
        interpolate(nn.Identity(), 2, 3, 0)


def test_samples_are_a_function_of_the_seed_and_come_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "CHUNK", 4)
    images = sample(Sampler(), 10, seed=1)
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
        "reconstruction needs a model that can reconstruct; this Sampler can sample, decode. "
        f"Try: {', '.join(presets_with(Reconstructs))}."
    )
    assert need(Mirror(), Encodes, "anything") is not None


def test_presets_are_found_by_what_they_can_do() -> None:
    by_family = {
        Samples: {"vae", "gan"},
        Reconstructs: {"vae", "autoencoder"},
        BoundsLikelihood: {"vae"},
    }
    for protocol, families in by_family.items():
        assert presets_with(protocol) == [name for name, recipe in PRESETS.items() if recipe.family in families]
