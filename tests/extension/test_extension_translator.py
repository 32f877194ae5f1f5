"""A user's own network as one that translates images."""

import pytest
import torch
from package import MY_PARTS
from torch import nn

import genlab
from genlab.architectures.translator import translator
from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec, Images
from genlab.recipes.presets import PRESETS
from genlab.recipes.resolve import override

SOURCE, TARGET = Images(3, 16, 16), Images(1, 16, 16)


@pytest.fixture(autouse=True)
def parts() -> None:
    genlab.plugin(MY_PARTS)


def test_an_own_network_translates_with_its_option() -> None:
    options = {"architecture": "small-convs", "small_convs_kernel": 5, "width": 8, "discriminator": "patch-16"}
    recipe = override(PRESETS["pix2pix"], {**options, "dropout": 0.0})
    model = recipe.model(DataSpec(TARGET, {"source": SOURCE}))
    sides = {m.kernel_size for m in model.generator.modules() if isinstance(m, nn.Conv2d)}  # type: ignore[union-attr]
    assert sides == {(5, 5)}
    assert model.sample(2, {"source": torch.randn(2, *SOURCE.shape)}).shape == (2, *TARGET.shape)  # type: ignore[operator]


def test_the_label_is_a_plane_of_its_own_for_each_class() -> None:
    net = translator("small-convs", SOURCE, TARGET, 8, classes=4)
    first = next(m for m in net.modules() if isinstance(m, nn.Conv2d))
    assert first.in_channels == 3 + 4
    source = torch.randn(1, *SOURCE.shape)
    one, two = (net(source, {"label": torch.tensor([label])}) for label in (0, 3))
    assert (one - two).abs().min() > 0


def test_an_option_that_it_does_not_take_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no parameter `dropout`.*--dropout 0.5 would have no effect"):
        translator("small-convs", SOURCE, TARGET, 8, dropout=0.5)
    with pytest.raises(UsageError, match=r"no parameter `upsampling`.*--upsampling transposed"):
        translator("small-convs", SOURCE, TARGET, 8, upsampling="transposed")


def test_a_network_that_ends_in_tanh_is_refused() -> None:
    @genlab.part("architecture", "squashed")
    class Squashed(nn.Module):
        def __init__(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(input_shape[0], output_shape[0], 1), nn.Tanh())

    with pytest.raises(UsageError, match="ends in Tanh"):
        translator("squashed", SOURCE, TARGET, 8)
