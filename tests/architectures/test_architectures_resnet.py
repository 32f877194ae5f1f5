from functools import partial

import pytest
import torch
from torch import nn

from genlab.architectures import compose, resnet
from genlab.architectures.normalization import BatchNorm2d, NormName
from genlab.core.errors import UsageError
from genlab.core.modality import Images


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


def test_the_networks_for_cifar_are_those_of_the_paper_by_number_of_weights() -> None:
    """4,276,739 and 1,053,825 with a bias in every convolution; ours leaves out those that batch norm voids."""
    shape = Images(3, 32, 32)
    with torch.device("meta"):
        generator = compose.decoder("resnet", 128, shape, 128)
        discriminator = compose.discriminator("resnet", shape, 128, norm="none")
    voided = 3 * 3 * 256  # three blocks of three convolutions
    assert weights(generator) + voided == 4_276_739
    assert weights(discriminator) == 1_053_825


@pytest.mark.parametrize(
    ("side", "channels"),
    [
        (16, [256, 256, 256]),
        (32, [256, 256, 256, 256]),
        (48, [512, 256, 128, 64]),
        (64, [1024, 512, 256, 128, 64]),
        (96, [1024, 512, 256, 128, 64]),
        (128, [1024, 1024, 512, 256, 128, 64]),
        (256, [1024, 1024, 1024, 512, 256, 128, 64]),
    ],
)
def test_the_generator_has_the_published_channels(side: int, channels: list[int]) -> None:
    base = 6 if side in (48, 96) else 4
    with torch.device("meta"):
        ways = sides(resnet.decoder(9, Images(3, side, side), 128), torch.empty(2, 9))
    assert ways == [*((c, base * 2**level) for level, c in enumerate(channels)), (3, side)]


@pytest.mark.parametrize(
    ("side", "ways"),
    [
        (16, [(128, 8), (128, 4)]),
        (32, [(128, 16), (128, 8)]),
        (48, [(64, 24), (128, 12), (256, 6), (512, 3), (1024, 3)]),
        (64, [(64, 32), (128, 16), (256, 8), (512, 4), (1024, 4)]),
        (96, [(64, 48), (128, 24), (256, 12), (512, 6), (1024, 3)]),
        (128, [(64, 64), (128, 32), (256, 16), (512, 8), (1024, 4)]),
        (256, [(64, 128), (128, 64), (256, 32), (512, 16), (1024, 8), (1024, 4)]),
    ],
)
def test_the_discriminator_has_the_published_channels(side: int, ways: list[tuple[int, int]]) -> None:
    shape = Images(3, side, side)
    with torch.device("meta"):
        network, size = resnet.features(shape, 128, norm="none")
        assert sides(network, torch.empty(2, *shape.shape)) == ways
    blocks = [m for m in network if isinstance(m, resnet.First | resnet.Down)]
    halving = 2 if side <= 32 else len(ways) - (ways[-1][1] == ways[-2][1])
    assert len(blocks) - halving == (2 if side <= 32 else 1)  # so many keep the side
    assert size == ways[-1][0]


def test_the_features_are_the_sum_of_a_rectified_map_over_its_positions() -> None:
    torch.manual_seed(0)
    network, _ = resnet.features(Images(1, 16, 16), 4, norm="none")
    images = torch.randn(3, 1, 16, 16)
    maps = network[:-2](images)
    assert (maps < 0).any()
    torch.testing.assert_close(network(images), maps.clamp(min=0).sum((2, 3)))


@pytest.mark.parametrize("norm", ["batch", "layer", "instance", "none"])
def test_a_discriminators_block_is_the_sum_of_its_branches_as_published(norm: NormName) -> None:
    """Here the shortcut is convolved and then pooled, as published; the block does it the other way round."""
    torch.manual_seed(0)
    block = resnet.Down(3, 5, norm, halve=True)
    maps = torch.randn(4, 3, 6, 6)
    inner = block.conv1(block.norm1(maps).relu())
    expected = block.conv2(block.norm2(inner).relu()) + block.shortcut(maps)
    torch.testing.assert_close(block(maps), nn.functional.avg_pool2d(expected, 2), rtol=1e-4, atol=1e-5)


def test_a_generators_block_is_the_sum_of_its_branches_as_published() -> None:
    torch.manual_seed(0)
    block, maps = resnet.Up(3, 5, BatchNorm2d), torch.randn(4, 3, 6, 6)
    grown = [t.repeat_interleave(2, 2).repeat_interleave(2, 3) for t in (block.norm1(maps).relu(), maps)]
    expected = block.conv2(block.norm2(block.conv1(grown[0])).relu()) + block.shortcut(grown[1])
    torch.testing.assert_close(block(maps), expected, rtol=1e-4, atol=1e-5)


def test_the_block_at_the_image_takes_it_as_it_is() -> None:
    torch.manual_seed(0)
    block, images = resnet.First(3, 5), torch.randn(4, 3, 6, 6)
    expected = block.conv2(block.conv1(images).relu()) + block.shortcut(images)
    torch.testing.assert_close(block(images), nn.functional.avg_pool2d(expected, 2), rtol=1e-4, atol=1e-5)


def test_a_block_that_changes_nothing_has_no_shortcut() -> None:
    block = resnet.Down(3, 3, "none", halve=False)
    nn.init.zeros_(block.conv2.weight)
    nn.init.zeros_(block.conv2.bias)
    maps = torch.randn(2, 3, 4, 4)
    assert torch.equal(block(maps), maps)


def test_a_bias_would_be_void_in_the_generators_blocks() -> None:
    """What is constant over a map before a block does not reach the image: why its convolutions have no bias."""
    torch.manual_seed(0)
    generator = compose.decoder("resnet", 4, Images(1, 16, 16), 4)
    latents, shift = torch.randn(5, 4), torch.randn(8, 1, 1)
    plain = generator(latents)
    for layer in generator:
        if isinstance(layer, resnet.Up):
            handle = layer.register_forward_hook(lambda module, given, result: result + shift)
            torch.testing.assert_close(generator(latents), plain, rtol=1e-4, atol=1e-5)
            handle.remove()


def test_weights_start_as_the_paper_says() -> None:
    """Xavier: the variance is 2·gain²/(inputs + outputs), of a uniform draw, so that none is beyond √3 of it."""
    torch.manual_seed(0)
    shape = Images(3, 32, 32)
    for network in (compose.decoder("resnet", 64, shape, 32), compose.discriminator("resnet", shape, 32)):
        branches = {
            id(convolution)
            for block in network.modules()
            if isinstance(block, resnet.Up | resnet.First | resnet.Down)
            for convolution in (block.conv1, block.conv2)
        }
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert len(branches) < len(layers)
        for layer in layers:
            area = layer.weight[0, 0].numel() if layer.weight.ndim == 4 else 1
            gain = 2 if id(layer) in branches else 1  # √2 squared
            spread = (2 * gain / (area * (layer.weight.shape[0] + layer.weight.shape[1]))) ** 0.5
            assert layer.weight.abs().max() <= spread * 3**0.5
            assert layer.weight.std().item() == pytest.approx(spread, rel=5 / layer.weight.numel() ** 0.5)
            assert layer.bias is None or not layer.bias.any()


def test_labels_reach_every_block() -> None:
    torch.manual_seed(0)
    generator = compose.decoder("resnet", 4, Images(1, 16, 16), 2, labels="batch-norm", classes=3)
    images = generator(torch.randn(6, 4), {"label": torch.arange(6) % 3})
    images.sin().sum().backward()
    tables = {name: p.grad for name, p in generator.named_parameters() if name.endswith(("gain", "bias"))}
    conditional = [name for name, gradient in tables.items() if gradient is not None and gradient.shape[0] == 3]
    assert len(conditional) >= 2 * (2 * 2 + 1)  # two in each of two blocks, and the last
    assert all(gradient is not None and gradient.any() for gradient in tables.values())


@pytest.mark.parametrize(("height", "width"), [(8, 8), (24, 24), (512, 512), (32, 64)])
def test_other_sizes_are_refused_with_the_choices(height: int, width: int) -> None:
    shape = Images(1, height, width)
    for build in (partial(resnet.decoder, 7, shape, 4), partial(resnet.features, shape, 4)):
        with pytest.raises(UsageError, match=f"resnet.*16, 32, 48, 64, 96, 128, 256 .*{height}×{width}.*--size"):
            build()
