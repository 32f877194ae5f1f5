"""Pictures of any size are restored in tiles, as if the model saw the whole picture."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from genlab.applications.restore import ByModel, reach
from genlab.core.errors import GenlabError, UsageError
from genlab.core.modality import DataSpec, Images
from genlab.core.pictures import Picture, resized
from genlab.data.degradations import chain
from genlab.recipes.presets import PRESETS
from genlab.recipes.restoration import RestorationRecipe

SIZES = [(37, 53), (16, 16), (17, 70), (1, 1), (3, 40)]
SMALL = {
    "fsrcnn": {"width": 8},
    "edsr": {"width": 8, "blocks": 2},
    "srcnn": {"width": 8},
}
COLOURS = {"width": 4, "blocks": 1}


def restorer(preset: str, channels: int = 3, *words: str, trained: bool = True) -> ByModel:
    """A small model in tiles of 16 pixels; its last layer is random as if it was trained, or 0."""
    recipe = replace(PRESETS[preset], **SMALL.get(preset, COLOURS), degrade=words or ("bicubic=4",))
    assert isinstance(recipe, RestorationRecipe)
    target = Images(channels, 32, 32)
    spec = DataSpec(target, chain(recipe.degrade).conditions(target))
    torch.manual_seed(0)
    model = recipe.model(spec).eval().requires_grad_(False)
    if trained:
        for weight in model.parameters():
            if weight.ndim == 4 and not weight.any():
                weight.normal_(0, 0.1)
    return ByModel(model, spec, 16)


def picture(height: int, width: int, channels: int = 3) -> Picture:
    """A smooth picture without black and white, which no interpolation clips."""
    rough = np.random.default_rng(height).integers(60, 196, (height // 3 + 2, width // 3 + 2, channels), np.uint8)
    return resized(rough, height, width)


def apart(one: Picture, two: Picture) -> int:
    return int(np.abs(one.astype(int) - two).max())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("preset", SMALL)
def test_there_are_no_seams(preset: str, size: tuple[int, int]) -> None:
    by = restorer(preset)
    given = picture(*size)
    whole = replace(by, tile=1000)(given)
    assert whole.shape == (4 * size[0], 4 * size[1], 3)
    assert apart(by(given), whole) <= 1
    assert size == (1, 1) or apart(whole, resized(given, *whole.shape[:2])) > 4, "the model does something"


def test_there_are_no_seams_at_scale_1_and_3() -> None:
    for words in ("noise=10", "bicubic=2"):
        by, given = restorer("edsr", 3, words), picture(30, 41)
        assert apart(by(given), replace(by, tile=1000)(given)) <= 1


def test_no_pixel_beyond_the_reach_of_a_network_matters() -> None:
    by = restorer("edsr")
    x = torch.rand(1, 3, 41, 41, requires_grad=True)
    by.model.restore({"source": 0.1 * x})[0, :, 80:84, 80:84].sum().backward()
    assert x.grad is not None
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert 20 - rows.min() <= reach(by.model) == by.margin
    assert 20 - rows.min() > 5


def test_an_untrained_model_is_bicubic_interpolation() -> None:
    for preset in SMALL:
        given = picture(20, 27)
        assert apart(restorer(preset, trained=False)(given), resized(given, 80, 108)) <= 1


def test_the_ensemble_turns_with_the_picture() -> None:
    by, given = restorer("edsr"), picture(21, 13)
    several = replace(by, ensemble=True, tile=1000)
    turned = np.ascontiguousarray(np.rot90(given))
    assert apart(np.rot90(several(given)), several(turned)) <= 1
    assert apart(np.rot90(replace(by, tile=1000)(given)), replace(by, tile=1000)(turned)) > 5
    assert apart(several(given), replace(by, ensemble=True)(given)) <= 1


def test_a_grey_model_restores_the_brightness_of_colour_pictures() -> None:
    by, given = restorer("fsrcnn", 1), picture(20, 27)
    made, floor = (x.astype(float) for x in (by(given), resized(given, 80, 108)))
    change = made - floor
    inside = ((made > 0) & (made < 255) & (floor > 0) & (floor < 255)).all(2)
    assert np.abs(change).max() > 4
    assert (np.ptp(change[inside], 1) <= 2).all(), "all channels change alike"


def test_a_colour_model_leaves_grey_pictures_grey() -> None:
    given = picture(20, 27, 1)
    assert restorer("edsr")(given).shape == (80, 108, 1)
    assert apart(restorer("edsr", trained=False)(given), resized(given, 80, 108)) <= 1


def test_a_model_of_colours_gives_them_to_grey_pictures_without_seams() -> None:
    by, grey = replace(restorer("colorization", 3, "grey=1"), colours=1.0, tile=41), picture(90, 150, 1)
    given = by.seen(grey)
    made = by(given)
    assert made.shape == (90, 150, 3)
    assert np.ptp(made.astype(int), axis=2).max() > 4, "there are colours"
    assert apart(made, replace(by, tile=1000)(given)) <= 2
    colour = picture(20, 27)
    assert by.seen(colour) is colour
    assert replace(by, colours=None).seen(grey) is grey
    assert by.replaces(colour)
    assert not by.replaces(given)


def test_what_cannot_restore_whole_pictures_is_refused() -> None:
    by = restorer("edsr")
    with pytest.raises(UsageError, match="--tile must be at least 16 pixels, not 8"):
        replace(by, tile=8)
    with pytest.raises(UsageError, match="genlab inpaint"):
        restorer("edsr", 3, "holes=centre")
    with pytest.raises(GenlabError, match=r"can restore.*fsrcnn"):
        ByModel(nn.Linear(1, 1), by.spec)
