"""A user's own network as one that restores images."""

import pytest
import torch
from package import MY_PARTS
from torch import Tensor, nn

import genlab
from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec, Images
from genlab.recipes.presets import PRESETS
from genlab.recipes.resolve import override

SMALL, LARGE = Images(3, 8, 8), Images(3, 16, 16)


@pytest.fixture(autouse=True)
def parts() -> None:
    genlab.plugin(MY_PARTS)


class Doubled(nn.Module):
    """Twice the side, by a sub-pixel convolution."""

    def __init__(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(input_shape[0], width, 3, padding=1),
            nn.Conv2d(width, 4 * output_shape[0], 1),
            nn.PixelShuffle(2),
        )

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layers(x)
        return made


def test_an_own_network_restores_images_of_any_size_with_its_option() -> None:
    recipe = override(
        PRESETS["edsr"], {"architecture": "small-convs", "small_convs_kernel": 5, "degrade": ("noise=10",)}
    )
    model = recipe.model(DataSpec(LARGE, {"source": LARGE}))
    assert {m.kernel_size for m in model.modules() if isinstance(m, nn.Conv2d)} == {(5, 5)}
    assert model.restore({"source": torch.zeros(2, 3, 9, 13)}).shape == (2, 3, 9, 13)  # type: ignore[operator]


def test_an_own_network_enlarges_and_is_trained_against_a_discriminator() -> None:
    genlab.part("architecture", "doubled")(Doubled)
    few = {"width": 4, "discriminator": "patch-16", "degrade": ("bicubic=2",)}
    recipe = override(PRESETS["srgan"], {"architecture": "doubled", **few})
    model = recipe.model(DataSpec(LARGE, {"source": SMALL}))
    assert model.sample(2, {"source": torch.zeros(2, *SMALL.shape)}).shape == (2, *LARGE.shape)  # type: ignore[operator]


def test_a_mask_is_one_more_channel_for_an_own_network() -> None:
    recipe = override(PRESETS["edsr"], {"architecture": "small-convs", "width": 4, "degrade": ("holes=centre",)})
    model = recipe.model(DataSpec(LARGE, {"source": LARGE, "mask": Images(1, 16, 16)}))
    given = {"source": torch.zeros(1, 3, 16, 16), "mask": torch.ones(1, 1, 16, 16)}
    one, two = (model.drawn({**given, "mask": sign * given["mask"]}) for sign in (1, -1))  # type: ignore[operator]
    assert (one - two).abs().min() > 0


def test_an_own_network_of_another_scale_is_refused() -> None:
    genlab.part("architecture", "doubled")(Doubled)
    recipe = override(PRESETS["edsr"], {"architecture": "doubled", "width": 4})
    model = recipe.model(DataSpec(LARGE, {"source": Images(3, 4, 4)}))
    with pytest.raises(UsageError, match=r"made images of shape \(3, 8, 8\).*become \(3, 16, 16\)"):
        model.restore({"source": torch.zeros(1, 3, 4, 4)})  # type: ignore[operator]
