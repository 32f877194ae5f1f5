"""BigGAN: its generator, truncated latents, standing statistics and the orthogonal regularizer."""

import math

import pytest
import torch
from torch import nn

from genlab.architectures import compose
from genlab.architectures.biggan import CODE, CodeBatchNorm2d
from genlab.architectures.normalization import BatchNorm2d
from genlab.core.contract import preview_sampling
from genlab.core.errors import UsageError
from genlab.core.modality import Classes, DataSpec, Images
from genlab.core.random import Randomness
from genlab.families.biggan import BigGAN, truncated
from genlab.families.gan import GANTraining
from genlab.recipes.fields import override
from genlab.recipes.presets import PRESETS
from genlab.regularizers.spectral import spectral_norm_
from genlab.regularizers.weights import orthogonal_distance

IMAGES, CLASSES = Images(1, 16, 16), Classes(("a", "b", "c"))
SPEC = DataSpec(IMAGES, {"label": CLASSES})


def biggan(**options: object) -> BigGAN:
    torch.manual_seed(0)
    recipe = override(PRESETS["biggan"], {"width": 4, "latent": 12, "statistics_passes": 3, **options})
    model = recipe.model(SPEC)
    assert isinstance(model, BigGAN)
    return model.eval().requires_grad_(False)


def statistics(model: nn.Module) -> torch.Tensor:
    norms = [module for module in model.modules() if isinstance(module, BatchNorm2d)]
    return torch.cat([torch.cat([norm.running_mean, norm.running_var]) for norm in norms])


def test_a_chunk_of_the_latent_changes_its_block_and_what_follows() -> None:
    generator = compose.decoder("biggan", 12, IMAGES, 4, labels="embedding", classes=3).eval()
    blocks: dict[int, list[torch.Tensor]] = {}
    for number, block in enumerate(generator[0].blocks):
        block.register_forward_hook(lambda *call, number=number: blocks.setdefault(number, []).append(call[2]))
    latents, label = torch.randn(1, 12), {"label": torch.tensor([1])}
    other = latents.clone()
    other[:, -4:] += 1  # the chunk of the last block
    generator(latents, label)
    generator(other, label)
    first, last = blocks[0], blocks[max(blocks)]
    assert torch.equal(*first)
    assert not torch.allclose(*last)


def test_the_code_sets_the_gain_and_the_bias_of_normalised_maps() -> None:
    norm = CodeBatchNorm2d(2, 3).train()
    nn.init.zeros_(norm.bias.weight)
    nn.init.constant_(norm.gain.weight, 0.5)
    maps, code = 3 + 2 * torch.randn(50, 2, 8, 8), torch.tensor([[1.0, 1.0, 0.0]]).repeat(50, 1)
    made = norm(maps, {CODE: code})
    assert made.mean().abs() < 1e-4
    assert made.std().item() == pytest.approx(2.0, abs=1e-2)  # 1 + ½ + ½


def test_a_latent_smaller_than_the_number_of_blocks_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--latent 2 has too few dimensions.*Choose 3 or more"):
        compose.decoder("biggan", 2, IMAGES, 4)


def test_only_an_architecture_that_embeds_labels_takes_them_so() -> None:
    with pytest.raises(UsageError, match="--architecture biggan"):
        compose.decoder("dcgan", 8, IMAGES, 4, labels="embedding", classes=3)


def test_truncated_latents_are_normal_within_the_limit() -> None:
    latents = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    limit = 0.8
    made = truncated(latents, limit)
    inside = latents[latents.abs() <= limit]
    assert made.abs().max() <= limit
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert made.quantile(share) == pytest.approx(inside.quantile(share).item(), abs=5e-3)


def test_truncation_keeps_the_order_of_latents_and_a_high_limit_changes_none() -> None:
    latents = torch.tensor([-5.5, -2.0, -0.1, 0.0, 0.3, 4.0, 5.5])
    assert truncated(latents, 0.5).diff().gt(0).all()
    torch.testing.assert_close(truncated(latents, 8.0), latents, rtol=1e-4, atol=0)


def test_truncation_makes_samples_less_varied() -> None:
    spreads = [biggan(truncation=limit, statistics_passes=0).prior(500).std() for limit in (0.3, 1.0, None)]
    assert spreads == sorted(spreads)


def test_standing_statistics_are_those_of_the_batches_of_its_passes() -> None:
    model = biggan(statistics_passes=1)
    model.set_statistics()
    norm = model.generator[0].blocks[0].norm1.normalise
    seen: list[torch.Tensor] = []
    norm.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model.set_statistics()
    torch.testing.assert_close(norm.running_mean, seen[0].mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, seen[0].var((0, 2, 3), correction=0))


def test_with_standing_statistics_an_example_does_not_depend_on_its_batch() -> None:
    model = biggan()
    model.set_statistics()
    latents, labels = torch.randn(6, 12), torch.tensor([0, 1, 2, 0, 1, 2])
    together = model.decode(latents, {"label": labels})
    alone = model.decode(latents[4:5], {"label": labels[4:5]})
    torch.testing.assert_close(together[4:5], alone, rtol=1e-4, atol=1e-5)


def test_statistics_change_with_the_truncation_and_come_back_after_a_preview() -> None:
    model, narrow = biggan(), biggan(truncation=0.2)
    before = statistics(model.generator)
    with preview_sampling(model):
        inside = statistics(model.generator)
        with preview_sampling(narrow):
            assert not torch.allclose(inside, statistics(narrow.generator))
    assert not torch.allclose(inside, before)
    assert torch.equal(statistics(model.generator), before)


def test_orthogonal_rows_cost_nothing_whatever_their_length() -> None:
    layer = nn.Linear(4, 3, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.tensor([1.0, 5.0, 0.1, 1.0]))[:3])
    assert orthogonal_distance(layer) == 0


def test_the_orthogonal_distance_is_the_sum_of_squared_products_of_different_rows() -> None:
    layer = nn.Conv2d(1, 3, 2, bias=False)
    rows = layer.weight.detach().flatten(1)
    expected = sum((rows[i] @ rows[j]) ** 2 for i in range(3) for j in range(3) if i != j)
    assert orthogonal_distance(layer).item() == pytest.approx(float(expected), rel=1e-5)
    spectral_norm_(layer)
    assert orthogonal_distance(layer).item() == pytest.approx(float(expected), rel=1e-5)


def test_the_generator_alone_is_regularized() -> None:
    recipe = override(PRESETS["biggan"], {"width": 4, "latent": 12})
    training = recipe.training(recipe.model(SPEC), Randomness(0))
    assert isinstance(training, GANTraining)
    assert training.discriminator.weight_regularizer is None
    regularizer = training.generator.weight_regularizer
    assert regularizer is not None
    value = regularizer(training.generator.optimizer).item()
    assert math.isfinite(value)
    assert value == pytest.approx(1e-4 * orthogonal_distance(training.model.generator).item())
