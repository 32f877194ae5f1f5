from dataclasses import replace
from functools import cache

import pytest
import torch

from genlab.applications.project import Projecting, project
from genlab.applications.style_space import StyleSpace, in_space, space_of
from genlab.core.modality import DataSpec, Images
from genlab.families.style_gan import StyleGAN
from genlab.recipes.presets import PRESETS

STYLE = 6


@cache
def model() -> StyleGAN:
    recipe = replace(PRESETS["stylegan2"], width=4, latent=STYLE, mapping_layers=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = recipe.model(DataSpec(Images(1, 8, 8), {})).eval()
    assert isinstance(made, StyleGAN)
    return made.requires_grad_(False)


def test_draws_of_a_space_of_styles_have_mean_0_and_deviation_1_and_are_decoded_to_the_same_images() -> None:
    made = model()
    latents = made.prior(200, torch.Generator().manual_seed(1))
    for each_layer in (False, True):
        space = StyleSpace(made, each_layer=each_layer)
        drawn = space.prior(200, torch.Generator().manual_seed(1))
        assert drawn.shape == (200, STYLE * (made.style_layers if each_layer else 1))
        assert drawn.mean().abs() < 0.1
        assert abs(drawn.std() - 1) < 0.1
        torch.testing.assert_close(space.decode(drawn[:4]), made.decode(latents[:4]), atol=1e-5, rtol=0)


def test_with_a_style_for_each_layer_one_layer_can_be_moved() -> None:
    made = model()
    space, latents = StyleSpace(made, each_layer=True), made.prior(1)
    codes = (made.styles(latents) - space.mean) / space.deviation
    moved = codes.clone()
    moved[:, 2] += 1
    assert (space.decode(moved.flatten(1)) - space.decode(codes.flatten(1))).abs().max() > 1e-3


def test_an_image_of_the_model_is_found_again_among_its_styles() -> None:
    made = model()
    image = made.decode(made.prior(1, torch.Generator().manual_seed(3)))
    errors = {}
    for space in ("w", "w+"):
        its = in_space(made, space)  # type: ignore[arg-type]
        codes = project(its, image, Projecting(steps=60, starts=2, noise=0.0))
        assert isinstance(its, StyleSpace)
        errors[space] = (its.decode(codes.latents) - image).square().mean().item()
    start = (in_space(made, "w").decode(torch.zeros(1, STYLE)) - image).square().mean().item()  # type: ignore[operator]
    assert errors["w"] < 0.2 * start
    assert errors["w+"] < 0.2 * start


@pytest.mark.parametrize("space", ["z", "w", "w+"])
def test_the_names_of_latents_say_their_space(space: str) -> None:
    assert space_of([f"{space}{at}" for at in range(3)]) == space
    assert space_of(["a", "b"]) == "z"
