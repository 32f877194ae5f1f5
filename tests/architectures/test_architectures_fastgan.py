"""FastGAN: shapes, skip-layer excitation, and the discriminator that reconstructs what it sees."""

from typing import Any

import pytest
import torch

from genlab.architectures import compose
from genlab.architectures.fastgan import Excitation
from genlab.core.batch import Batch
from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec, Images
from genlab.core.random import Randomness
from genlab.recipes.resolve import resolve

WIDTH, LATENT = 2, 5


@pytest.mark.parametrize("side", [16, 32, 64])
def test_networks_fit_the_image(side: int) -> None:
    images = Images(3, side, side)
    generator = compose.decoder("fastgan", LATENT, images, WIDTH)
    discriminator = compose.discriminator("fastgan", images, WIDTH, reconstructs=True)
    made = generator(torch.randn(2, LATENT))
    assert made.shape == (2, 3, side, side)
    output = discriminator(made)
    assert output.scores.shape == (2,)
    assert discriminator.decoder is not None
    assert discriminator.decoder(output.features).shape == (2, 3, side, side)


def test_large_images_are_reconstructed_at_64_pixels() -> None:
    discriminator = compose.discriminator("fastgan", Images(1, 128, 128), 1, reconstructs=True)
    assert discriminator.decoder is not None
    assert discriminator.decoder(discriminator(torch.randn(2, 1, 128, 128)).features).shape == (2, 1, 64, 64)


def test_an_excitation_gates_whole_channels_by_the_small_maps() -> None:
    gate, small, large = Excitation(3, 4), torch.randn(2, 3, 8, 8), torch.randn(2, 4, 32, 32)
    ratio = gate(small, large) / large
    torch.testing.assert_close(ratio, ratio[..., :1, :1].expand_as(ratio))
    assert ratio.min() > 0
    assert ratio.max() < 1
    assert not torch.allclose(ratio[0], ratio[1])


def test_the_smallest_maps_reach_the_largest() -> None:
    """At 64 pixels one gate is there, of the image by the 4×4 maps."""
    generator = compose.decoder("fastgan", LATENT, Images(1, 64, 64), WIDTH).eval()
    made: list[torch.Tensor] = []
    gates = generator[0].gates
    assert list(gates) == ["64"]
    gates["64"].register_forward_hook(lambda module, inputs, output: made.append(inputs[0]))
    generator(torch.randn(2, LATENT))
    assert made[0].shape[2:] == (4, 4)


def test_the_discriminator_learns_to_reconstruct_real_images() -> None:
    torch.manual_seed(0)
    spec = DataSpec(Images(1, 16, 16), {})
    recipe = resolve("fastgan", {"width": 4, "latent": LATENT, "diff_augment": "none"}).recipe
    training = recipe.training(recipe.model(spec), Randomness(0))
    batch = Batch(torch.rand(8, 1, 16, 16) * 2 - 1, torch.arange(8), {})
    distances = [training.step(step, iter([batch]))["discriminator_reconstruction_loss"] for step in range(12)]
    assert distances[-1] < 0.97 * distances[0]


@pytest.mark.parametrize(
    ("preset", "options", "reason"),
    [
        ("dcgan", {"self_supervision": 1.0}, "--architecture dcgan has no network. Choices: fastgan"),
        ("fastgan", {"pack": 2}, "--pack 2 makes those of several images"),
    ],
)
def test_self_supervision_is_refused_where_it_has_no_meaning(
    preset: str, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        resolve(preset, options).recipe.refuse()


def test_it_has_no_attention() -> None:
    with pytest.raises(UsageError, match="this architecture has none"):
        compose.decoder("fastgan", LATENT, Images(1, 16, 16), WIDTH, attention=8)
