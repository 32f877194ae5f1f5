import pytest
import torch
from torch import Tensor, nn

from genlab.architectures import compose, r3gan
from genlab.architectures.r3gan import Block
from genlab.core.errors import UsageError
from genlab.core.modality import Images, Points

SMALL = Images(3, 16, 16)


def blocks(network: nn.Module) -> list[Block]:
    return [module for module in network.modules() if isinstance(module, Block)]


def maps(network: nn.Module, given: Tensor) -> list[tuple[int, int]]:
    """Return (channels, side) of the maps that blocks get."""
    seen: list[tuple[int, int]] = []
    for block in blocks(network):
        block.register_forward_pre_hook(lambda _, inputs: seen.append((inputs[0].shape[1], inputs[0].shape[2])))
    network(given)
    return seen


@pytest.mark.parametrize(
    ("side", "width", "channels"),
    [
        (16, 8, [32, 16, 8]),
        (32, 768, [768] * 4),
        (64, 384, [768] * 4 + [384]),
        (64, 1536, [1536] * 5),
        (128, 192, [768] * 4 + [384, 192]),
        (256, 96, [768] * 4 + [384, 192, 96]),
    ],
)
def test_generator_and_discriminator_mirror_each_other_with_the_published_channels(
    side: int, width: int, channels: list[int]
) -> None:
    modality = Images(3, side, side)
    with torch.device("meta"):
        generator = maps(compose.decoder("r3gan", 64, modality, width), torch.empty(2, 64))
        discriminator = maps(compose.discriminator("r3gan", modality, width), torch.empty(2, *modality.shape))
    assert generator == [(each, 4 * 2**level) for level, each in enumerate(channels) for _ in range(2)]
    assert discriminator == generator[::-1]


@pytest.mark.parametrize(
    ("width", "groups"), [(768, 96), (96, 12), (32, 4), (8, 1), (12, 2), (4, 1), (3, 1), (1, 1)]
)
def test_groups_have_sixteen_channels_or_the_largest_divisor_below(width: int, groups: int) -> None:
    with torch.device("meta"):
        block = Block(width)
    assert block.mix.groups == groups
    assert block(torch.empty(1, width, 4, 4, device="meta")).shape == (1, width, 4, 4)


def test_each_block_begins_as_the_identity_so_that_the_first_pictures_are_the_basis_enlarged() -> None:
    torch.manual_seed(0)
    generator = compose.decoder("r3gan", 5, SMALL, 8)
    for block in blocks(generator):
        given = torch.randn(2, block.expand.in_channels, 4, 4)
        assert torch.equal(block(given), given)
    rest = nn.Sequential(*(layer for layer in generator if not isinstance(layer, Block)))
    assert sum(isinstance(layer, nn.Upsample) for layer in rest) == 2
    latents = torch.randn(3, 5)
    torch.testing.assert_close(generator(latents), rest(latents))


def test_the_first_scores_are_linear_in_the_picture() -> None:
    torch.manual_seed(0)
    discriminator = compose.discriminator("r3gan", SMALL, 8)
    one, other = torch.randn(2, 4, *SMALL.shape)
    scores = [discriminator(images).scores for images in (one + 2 * other, one, other)]
    torch.testing.assert_close(scores[0], scores[1] + 2 * scores[2])


def test_outputs_begin_with_variance_one_at_any_depth_and_stay_bounded_once_blocks_act() -> None:
    torch.manual_seed(0)
    for side in (16, 32):
        generator = compose.decoder("r3gan", 16, Images(3, side, side), 16)
        images = generator(torch.randn(32, 16))
        assert 0.2 < images.square().mean() < 3  # smaller where maps are interpolated
        for block in blocks(generator):
            nn.init.normal_(block.contract.weight, 0, block.contract.in_channels**-0.5)
        assert generator(torch.randn(8, 16)).square().mean() < 30


def test_every_weight_has_an_effect_once_the_blocks_have_begun() -> None:
    torch.manual_seed(0)
    network = compose.discriminator("r3gan", SMALL, 4).double()
    for block in blocks(network):
        nn.init.normal_(block.contract.weight)
    network(torch.randn(8, *SMALL.shape, dtype=torch.float64)).scores.sin().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 1e-9, name


def test_what_the_networks_do_not_have_is_refused() -> None:
    for norm in ("batch", "layer", "instance"):
        with pytest.raises(UsageError, match=f'no normalisation, and norm "{norm}".*--discriminator-norm none'):
            compose.discriminator("r3gan", SMALL, 8, norm=norm)
    with pytest.raises(UsageError, match=r"no batch normalisation in its decoder\. Choices: none, concat"):
        compose.decoder("r3gan", 5, SMALL, 8, labels="batch-norm", classes=3)
    with pytest.raises(UsageError, match="16, 32, 64, 128, 256 pixels; these are 48×48"):
        compose.decoder("r3gan", 5, Images(3, 48, 48), 8)
    with pytest.raises(UsageError, match="Choices: 4, 8, 16"):
        r3gan.features(SMALL, 8, attention=32)
    with pytest.raises(UsageError, match="--architecture mlp"):
        r3gan.decoder(5, Points(2), 8)
