from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

from genlab.architectures import ARCHITECTURES, compose, dcgan
from genlab.architectures.convolution import Conv2d, ConvTranspose2d
from genlab.architectures.normalization import BatchNorm2d
from genlab.core.errors import UsageError
from genlab.core.modality import Images

CONVOLUTIONAL = ("dcgan", "dcgan-upsample")


def weights(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def sides(network: nn.Module, given: torch.Tensor) -> list[tuple[int, int]]:
    """Return (channels, side) after every layer that changes either."""
    seen: list[tuple[int, int]] = []
    for layer in network.children():
        given = layer(given)
        if given.ndim == 4 and (given.shape[1], given.shape[2]) != (seen[-1] if seen else None):
            seen.append((given.shape[1], given.shape[2]))
    return seen


@pytest.mark.parametrize("size", dcgan.SIZES)
@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_in_both_directions(size: int, name: str, channels: int) -> None:
    shape, parts = Images(channels, size, size), ARCHITECTURES[name]
    with torch.device("meta"):
        images = parts.decoder(7, shape, 4)(torch.empty(2, 7))
        network, size = parts.features(shape, 4)
        latents = network(torch.empty(2, *shape.shape))
    assert images.shape == (2, *shape.shape)
    assert latents.shape == (2, size)


def test_every_layer_halves_or_doubles_down_to_four_pixels() -> None:
    shape = Images(3, 64, 64)
    features = dcgan.features(shape, 2)
    assert sides(features.network, torch.zeros(2, *shape.shape)) == [(2, 32), (4, 16), (8, 8), (16, 4)]
    assert features.size == 16 * 4 * 4
    ways = sides(dcgan.decoder(7, shape, 2), torch.zeros(2, 7))
    assert ways == [(7, 1), (16, 4), (8, 8), (4, 16), (2, 32), (3, 64)]


def test_channels_stop_at_eight_times_the_width() -> None:
    with torch.device("meta"):
        shape = Images(1, 256, 256)
        ways = sides(dcgan.features(shape, 4).network, torch.empty(2, *shape.shape))
    assert [channels for channels, _ in ways] == [4, 8, 16, 32, 32, 32]
    assert all(outer == 2 * inner for (_, outer), (_, inner) in pairwise(ways))


def test_the_generator_of_the_paper_has_as_many_weights_as_by_hand() -> None:
    """Figure 1: 100 -> 4×4×1024 -> 8×8×512 -> 16×16×256 -> 32×32×128 -> 64×64×3, kernels of 4×4."""
    with torch.device("meta"):
        generator = dcgan.decoder(100, Images(3, 64, 64), 128)
        discriminator = compose.discriminator("dcgan", Images(3, 64, 64), 128)
    kernels = 16 * (100 * 1024 + 1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3)
    normalisations = 2 * (1024 + 512 + 256 + 128)
    assert weights(generator) == kernels + normalisations + 3 == 12_658_435
    back = 16 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024 + 1024 * 1)
    assert weights(discriminator) == back + 2 * (256 + 512 + 1024) + 128 + 1 == 11_036_289


def test_no_normalisation_next_to_the_image_nor_at_the_end() -> None:
    shape = Images(3, 32, 32)
    discriminator = [type(m) for m in dcgan.features(shape, 4).network.children()]
    assert discriminator[:3] == [Conv2d, nn.LeakyReLU, Conv2d]
    assert discriminator[-2] is nn.LeakyReLU
    assert discriminator.count(BatchNorm2d) == 2
    generator = [type(m) for m in dcgan.decoder(7, shape, 4).children()]
    assert generator[-1] is ConvTranspose2d
    assert generator.count(BatchNorm2d) == 3


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_weights_start_as_the_paper_says(name: str) -> None:
    """N(0, 0.02), scales N(1, 0.02): mean and deviation within five standard errors of so many draws."""
    torch.manual_seed(0)
    shape = Images(3, 32, 32)
    networks = (compose.decoder(name, 50, shape, 32), compose.discriminator(name, shape, 32))
    modules = [m for network in networks for m in network.modules()]
    weighted = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
    kernels = [m.weight.flatten() for m in modules if isinstance(m, weighted)]
    scales = torch.cat([m.weight for m in modules if isinstance(m, BatchNorm2d)])
    for drawn, mean in ((torch.cat(kernels), 0.0), (scales, 1.0), *((k, 0.0) for k in kernels)):
        spread = 5 * 0.02 / len(drawn) ** 0.5
        assert abs(drawn.mean() - mean) < spread
        assert abs(drawn.std() - 0.02) < spread
    assert all((m.bias == 0).all() for m in modules if isinstance(m, BatchNorm2d))
    biases = [m.bias for m in modules if isinstance(m, weighted) and m.bias is not None]
    assert biases
    assert all((bias == 0).all() for bias in biases)


def test_only_the_upsampling_variant_avoids_overlapping_kernels() -> None:
    shape = Images(3, 64, 64)
    counts = {}
    for name in CONVOLUTIONAL:
        layers = ARCHITECTURES[name].decoder(7, shape, 4).children()
        counts[name] = sum(isinstance(layer, nn.ConvTranspose2d) for layer in layers)
    assert counts == {"dcgan": 5, "dcgan-upsample": 1}  # the one from 1×1 to 4×4 overlaps nothing
    image = torch.randn(1, 2, 3, 3)
    enlarge = dcgan._upsampled(2, 2, bias=False)[0]
    assert torch.equal(enlarge(image), image.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_a_constant_map_shows_a_checkerboard_through_transposed_convolutions_only() -> None:
    """Odena et al.: 3×3 with stride 2 overlaps unevenly; 4×4 does so at the border; upsampling nowhere inside."""
    torch.manual_seed(0)
    flat = torch.ones(1, 4, 8, 8)
    upsampled = nn.Sequential(*dcgan._upsampled(4, 4, bias=False))(flat)[..., 1:-1, 1:-1]
    assert upsampled.std((2, 3)).max() < 1e-5
    transposed = nn.Sequential(*dcgan._transposed(4, 4, bias=False))(flat)[..., 1:-1, 1:-1]
    assert transposed.std((2, 3)).min() > 1e-3


@pytest.mark.parametrize(("height", "width"), [(8, 8), (48, 48), (512, 512), (32, 64), (1, 1)])
@pytest.mark.parametrize("direction", ["decoder", "features"])
def test_other_sizes_are_refused_with_the_choices(height: int, width: int, direction: str) -> None:
    shape = Images(1, height, width)
    build = {"decoder": partial(dcgan.decoder, 7, shape, 4), "features": partial(dcgan.features, shape, 4)}
    with pytest.raises(UsageError, match=f"16, 32, 64, 128, 256 pixels; these are {height}×{width}.*--size"):
        build[direction]()


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_a_fresh_generator_makes_different_images_of_different_latents(name: str) -> None:
    torch.manual_seed(0)
    images = compose.decoder(name, 16, Images(1, 16, 16), 8)(torch.randn(8, 16))
    assert images.std(0).mean() > 1e-3


def test_the_wiring_is_deterministic_in_the_global_seed() -> None:
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(compose.discriminator("dcgan", Images(1, 16, 16), 4).state_dict()["features.0.weight"])
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
