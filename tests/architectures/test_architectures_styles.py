"""The networks of StyleGAN as a whole; `test_architectures_compose.py` has what all architectures share."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from genlab.architectures import ARCHITECTURES, equalised, styles
from genlab.architectures.mapping_network import Mapping, pixel_norm
from genlab.architectures.minibatch import MinibatchStddev
from genlab.architectures.mixed import compute_in
from genlab.core.modality import Images

STYLE = 12
both = pytest.mark.parametrize("architecture", styles.STYLES)


def make(architecture: str, size: int = 16, **options: int) -> styles.StyleGenerator:
    torch.manual_seed(0)
    made = styles.generator(architecture, STYLE, Images(3, size, size), 4, layers=2, **options)
    equalised.initialise(made)
    return made.eval()


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_every_network_of_styles_is_an_architecture_too() -> None:
    assert set(styles.STYLES) < set(ARCHITECTURES)


@both
@pytest.mark.parametrize(("size", "layers"), [(8, 4), (16, 6), (64, 10)])
def test_there_are_two_layers_with_styles_for_each_size(architecture: str, size: int, layers: int) -> None:
    with torch.device("meta"):
        made = make(architecture, size)
        assert made.style_layers == layers
        assert made.synthesis(torch.empty(2, layers, STYLE)).shape == (2, 3, size, size)
        assert max(made.noise_sides) == size
        assert made.noise_sides == sorted(made.noise_sides)


@both
def test_each_layer_has_an_influence_through_its_own_style_alone(architecture: str) -> None:
    """Other styles from a layer on leave what comes before it as it is."""
    synthesis = make(architecture).synthesis
    one, other = drawn(1, 6, STYLE), drawn(1, 6, STYLE, seed=1)
    images = []
    for first in range(7):
        mixed = torch.cat([one[:, :first], other[:, first:]], 1)
        images.append(synthesis(mixed))
    assert all(not torch.allclose(a, b, atol=1e-4) for a, b in pairwise(images))
    torch.testing.assert_close(synthesis(one[:, 0]), synthesis(one[:, :1].expand(-1, 6, -1)))


@both
def test_noise_has_no_influence_at_first_and_its_strength_afterwards(architecture: str) -> None:
    made = make(architecture)
    noise = [drawn(2, 1, side, side, seed=side) for side in made.noise_sides]
    given = drawn(2, 6, STYLE)
    assert torch.equal(made.synthesis(given, noise), made.synthesis(given))
    for name, parameter in made.named_parameters():
        if name.endswith("strength"):
            parameter.data.fill_(0.1)
    assert not torch.allclose(made.synthesis(given, noise), made.synthesis(given), atol=1e-3)


def test_latents_are_normalised_and_labels_change_the_style() -> None:
    torch.manual_seed(0)
    mapping, latents = Mapping(5, STYLE, 2, classes=3), drawn(4, 5)
    labels = torch.tensor([0, 1, 2, 0])
    torch.testing.assert_close(pixel_norm(latents).square().mean(1), torch.ones(4))
    made = mapping(latents, {"label": labels})
    torch.testing.assert_close(mapping(7 * latents, {"label": labels}), made)
    moved = (mapping(latents, {"label": labels.roll(1)}) - made).abs().amax(1)
    assert (moved[1:] > 0.01).all()
    with pytest.raises(ValueError, match='condition "label"'):
        mapping(latents)


@both
def test_it_computes_in_bf16_inside(architecture: str) -> None:
    made, given = make(architecture), drawn(3, STYLE)
    exact = made(given)
    compute_in(torch.bfloat16, made)
    rounded = made(given)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.1 * exact.abs().max()


def test_the_deviation_over_the_batch_is_a_channel_of_the_last_map() -> None:
    maps = drawn(6, 3, 4, 4).double()
    made = MinibatchStddev(3)(maps)
    torch.testing.assert_close(made[:, :3], maps)
    expected = (maps.var(0, correction=0) + 1e-8).sqrt().mean()
    torch.testing.assert_close(made[:, 3], expected.expand(6, 4, 4))
    assert MinibatchStddev(3)(maps[:1].expand(6, -1, -1, -1))[:, 3].max() < 1e-3
