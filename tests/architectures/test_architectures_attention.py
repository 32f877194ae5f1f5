import pytest
import torch

from genlab.architectures import compose
from genlab.architectures.attention import SelfAttention
from genlab.core.errors import UsageError
from genlab.core.modality import Images


def test_it_starts_as_the_identity() -> None:
    maps = torch.randn(2, 16, 6, 6)
    assert torch.equal(SelfAttention(16)(maps), maps)


def test_its_weights_are_a_softmax_over_pooled_positions() -> None:
    torch.manual_seed(0)
    weights = SelfAttention(16).weights(10 * torch.randn(2, 16, 6, 8))
    assert weights.shape == (2, 48, 12)
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 48))
    assert (weights >= 0).all()
    assert weights.std(2).max() > 0.01


def test_it_is_the_sum_of_the_formula() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(16)
    torch.nn.init.constant_(attention.gain, 0.7)
    maps = torch.randn(2, 16, 4, 6)
    keys, values = (torch.nn.functional.max_pool2d(conv(maps), 2) for conv in (attention.keys, attention.values))
    queries = attention.queries(maps)
    assert (queries.shape[1], keys.shape[1], values.shape[1]) == (2, 2, 8)
    result = attention(maps)
    for image, y, x in [(0, 0, 0), (1, 3, 5), (1, 2, 1)]:
        logits = torch.stack([queries[image, :, y, x] @ keys[image, :, j, k] for j in range(2) for k in range(3)])
        attended = sum(
            share * values[image, :, j, k]
            for share, (j, k) in zip(logits.softmax(0), [(j, k) for j in range(2) for k in range(3)], strict=True)
        )
        expected = maps[image, :, y, x] + 0.7 * attention.output.weight[:, :, 0, 0] @ attended
        torch.testing.assert_close(result[image, :, y, x], expected, rtol=1e-4, atol=1e-5)


def test_every_position_sees_every_other_but_no_other_image() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(16)
    torch.nn.init.ones_(attention.gain)
    maps = torch.randn(2, 16, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(attention(maps)[0, :, 0, 0].sum(), maps)
    windows = gradient[0].abs().sum(0).unflatten(0, (2, 2)).unflatten(2, (2, 2)).amax((1, 3))
    assert (windows > 0).all()  # a window of the pooling passes on some of its positions
    assert not gradient[1].any()


def test_it_has_second_derivatives() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(8).double()
    torch.nn.init.ones_(attention.gain)
    maps = torch.randn(1, 8, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(attention, maps)


@pytest.mark.parametrize(("name", "size"), [("dcgan", 32), ("dcgan-upsample", 32), ("resnet", 32), ("resnet", 48)])
def test_it_sits_where_the_map_has_that_side_and_only_there(name: str, size: int) -> None:
    shape, side = Images(3, size, size), size // 4
    latents, images = torch.randn(2, 7), torch.randn(2, *shape.shape)
    networks = {
        "generator": (compose.decoder(name, 7, shape, 4, attention=2 * side), latents, 2 * side),
        "discriminator": (compose.discriminator(name, shape, 4, attention=side), images, side),
    }
    for network, given, expected in networks.values():
        seen = []
        layers = [m for m in network.modules() if isinstance(m, SelfAttention)]
        assert len(layers) == 1
        layers[0].register_forward_hook(lambda layer, maps, result, seen=seen: seen.append(result.shape[2:]))
        network(given)
        assert seen == [(expected, expected)]


@pytest.mark.parametrize(
    ("name", "size", "of_generator", "of_discriminator"),
    [
        ("dcgan", 32, "4, 8, 16", "4, 8, 16"),
        ("resnet", 32, "8, 16, 32", "8, 16"),
        ("resnet", 48, "12, 24, 48", "3, 6, 12, 24"),
    ],
)
def test_other_sides_are_refused_with_the_choices(
    name: str, size: int, of_generator: str, of_discriminator: str
) -> None:
    shape = Images(3, size, size)
    with pytest.raises(UsageError, match=rf"attention 5:.*{of_generator}\."):
        compose.decoder(name, 7, shape, 4, attention=5)
    with pytest.raises(UsageError, match=rf"attention 5:.*{of_discriminator}\."):
        compose.discriminator(name, shape, 4, attention=5)
