import pytest
import torch
from torch import Tensor, nn

from genlab.architectures.mixed import Mixed, compute_in
from genlab.architectures.translator import TRANSLATORS, translator
from genlab.architectures.translator_parts import UpsamplingName
from genlab.architectures.translator_resnet import ResnetTranslator
from genlab.core.errors import UsageError
from genlab.core.modality import Images, Points

RGB, GREY = Images(3, 16, 16), Images(1, 16, 16)
every_architecture = pytest.mark.parametrize("architecture", TRANSLATORS)


def network(architecture: str, size: int = 16, **options: object) -> Mixed:
    torch.manual_seed(0)
    return translator(architecture, Images(3, size, size), Images(1, size, size), 8, **options)  # type: ignore[arg-type]


def seen_from(made: Tensor, source: Tensor, row: int, column: int) -> Tensor:
    """Return the rows and columns of the source, (n, 2), that an output depends on."""
    (slope,) = torch.autograd.grad(made[0, :, row, column].sum(), source)
    return slope[0].abs().sum(0).nonzero()


@every_architecture
@pytest.mark.parametrize("upsampling", ["upsample", "transposed"])
def test_translations_have_the_size_of_their_sources(architecture: str, upsampling: UpsamplingName) -> None:
    net = network(architecture, upsampling=upsampling).eval()
    for height, width in ((1, 1), (2, 1), (1, 3)):
        height, width = (16 * count for count in (height, width))
        assert height % net.multiple == width % net.multiple == 0  # type: ignore[operator]
        with torch.no_grad():
            assert net(torch.randn(2, 3, height, width)).shape == (2, 1, height, width)


@every_architecture
def test_a_label_reaches_every_position_of_the_translation(architecture: str) -> None:
    net = network(architecture, classes=3).eval()
    source = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        first, second = (net(source, {"label": torch.tensor([label])}) for label in (0, 2))
    assert (first - second).abs().min() > 1e-5
    with pytest.raises(ValueError, match="label"):
        net(source)


@every_architecture
def test_sources_of_another_size_than_the_targets_are_refused(architecture: str) -> None:
    with pytest.raises(UsageError, match=r"sources have 8×8 pixels and the targets 16×16.*--size"):
        translator(architecture, Images(3, 8, 8), RGB, 8)
    with pytest.raises(UsageError, match=f"the {architecture} translator works on pictures"):
        translator(architecture, Points(2), Points(2), 8)


@pytest.mark.parametrize("side", [18, 4])
def test_a_resnet_refuses_sides_that_it_would_change(side: int) -> None:
    with pytest.raises(UsageError, match=f"{side}×{side}. Set --size to a multiple of 4"):
        network("resnet", side)


def test_a_resnet_reflects_borders_so_that_constant_sources_stay_constant() -> None:
    """In pieces: at a border of zeros the convolutions of 7×7 would see other numbers than inside."""
    net = network("resnet", norm="none")
    assert isinstance(net, ResnetTranslator)
    made = net.first(torch.ones(1, 3, 8, 8))
    assert made.std((2, 3)).max() < 1e-6
    made = net.blocks[0](torch.ones(1, 32, 8, 8))
    assert made.std((2, 3)).max() < 1e-6


def test_residual_blocks_depend_on_the_size_as_published() -> None:
    assert [len(network("resnet", size).blocks) for size in (64, 128, 256)] == [6, 6, 9]  # type: ignore[arg-type]
    assert len(network("resnet", blocks=2).blocks) == 2  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="--blocks 2 is for --architecture resnet"):
        network("unet", blocks=2)


@pytest.mark.parametrize(("blocks", "layers"), [(1, 4), (2, 5), (5, 5), (7, 5)])
def test_the_encoded_layers_are_those_that_the_translation_is_made_of(blocks: int, layers: int) -> None:
    net = network("resnet", blocks=blocks)
    assert isinstance(net, ResnetTranslator)
    source = torch.randn(2, 3, 16, 16)
    kept = net.encoded(source)
    assert [tuple(maps.shape[1:]) for maps in kept] == [
        (3, 16, 16),
        (16, 8, 8),
        *[(32, 4, 4)] * (layers - 2),
    ]
    assert [maps.shape[1] for maps in kept] == list(net.encoded_channels)
    assert torch.equal(kept[0], source)
    blockwise = [kept[2]]
    for block in net.blocks:
        blockwise.append(block(blockwise[-1]))
    assert torch.equal(kept[3], blockwise[1])
    assert torch.equal(kept[-1], blockwise[min(blocks, 5)])
    maps = blockwise[-1]
    for layer in (*net.up, net.last):
        maps = layer(maps)
    assert torch.equal(net(source), maps)


def test_encoded_layers_are_float32_where_the_network_computes_in_bf16() -> None:
    net = network("resnet", blocks=1)
    compute_in(torch.bfloat16, net)
    assert isinstance(net, ResnetTranslator)
    assert {maps.dtype for maps in net.encoded(torch.randn(1, 3, 8, 8))} == {torch.float32}


@pytest.mark.parametrize(("size", "levels"), [(2, 1), (8, 3), (12, 2), (64, 6), (512, 8)])
def test_a_unet_halves_its_maps_to_one_pixel_if_it_can(size: int, levels: int) -> None:
    net = network("unet", size)
    assert len(net.down) == levels  # type: ignore[arg-type]
    assert net.multiple == 2**levels


def test_a_unet_has_the_channels_of_the_paper() -> None:
    """64 to 512, here a sixteenth of them."""
    net = translator("unet", Images(3, 256, 256), Images(3, 256, 256), 4, upsampling="transposed")
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert [c.out_channels for c in convolutions[:8]] == [4, 8, 16, 32, 32, 32, 32, 32]
    ups = [(c.in_channels, c.out_channels) for c in convolutions[8:]]
    assert ups == [(32, 32), (64, 32), (64, 32), (64, 32), (64, 16), (32, 8), (16, 4), (8, 3)]
    norms = [m.num_features for m in net.modules() if isinstance(m, nn.InstanceNorm2d)]
    assert norms == [8, 16, 32, 32, 32, 32, 32, 32, 32, 32, 16, 8, 4]


def test_a_unet_without_its_innermost_levels_still_passes_what_is_near() -> None:
    """Skip connections: with the way through the middle cut, an output depends on the sources around it only."""
    net = network("unet", 32, norm="none")
    source = torch.randn(1, 3, 32, 32, requires_grad=True)
    assert len(seen_from(net(source), source, 16, 16)) == 32 * 32
    for name in ("down.1", "down.2", "down.3", "down.4"):
        for parameter in net.get_submodule(name).parameters():
            nn.init.zeros_(parameter)
    near = seen_from(net(source), source, 16, 16)
    assert 4 <= len(near) <= 8 * 8
    assert (near - 16).abs().max() <= 4


@every_architecture
def test_dropout_is_off_outside_of_training(architecture: str) -> None:
    net = network(architecture, dropout=0.5)
    source = torch.randn(1, 3, 16, 16)
    assert not torch.equal(net(source), net(source))
    net.eval()
    assert torch.equal(net(source), net(source))
