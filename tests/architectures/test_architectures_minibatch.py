"""On one process; test_architectures_distributed.py has two."""

import torch
from torch.autograd import gradcheck, gradgradcheck

from genlab.architectures import compose
from genlab.architectures.compose import MinibatchName
from genlab.architectures.minibatch import MinibatchDiscrimination, MinibatchStddev, _Distances
from genlab.core.modality import Images


def test_the_stddev_feature_is_0_for_equal_images_and_grows_with_their_spread() -> None:
    torch.manual_seed(0)
    layer = MinibatchStddev(5)
    features = torch.randn(1, 5) + torch.zeros(8, 1)
    draws = torch.randn(8, 5)
    last = layer(features)[:, -1]
    assert (last < 2e-4).all()
    for spread in (0.1, 1.0, 3.0):
        result = layer(features + spread * draws)
        assert result.shape == (8, layer.size) == (8, 6)
        assert torch.equal(result[:, :5], features + spread * draws)
        assert (result[:, -1] == result[0, -1]).all()
        torch.testing.assert_close(result[0, -1], spread * draws.std(0, correction=0).mean(), rtol=1e-4, atol=0)


def test_the_stddev_of_equal_images_has_a_finite_slope() -> None:
    features = torch.ones(4, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(MinibatchStddev(3)(features)[:, -1].sum(), features)
    assert gradient.isfinite().all()


def test_discrimination_is_the_sum_of_the_formula() -> None:
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(6, kernels=4, dimensions=3)
    features = torch.randn(5, 6)
    result = layer(features)
    assert result.shape == (5, layer.size) == (5, 10)
    assert torch.equal(result[:, :6], features)
    matrices = layer.projections.view(6, 4, 3)
    for image in range(5):
        for kernel in range(4):
            rows = features @ matrices[:, kernel]
            expected = torch.exp(-(rows - rows[image]).abs().sum(1)).sum()
            torch.testing.assert_close(result[image, 6 + kernel], expected)


def test_minibatch_features_differ_between_equal_and_diverse_batches() -> None:
    """Of n equal images each is near n, of strangers near itself alone; one pair among strangers stands out."""
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(64)
    assert sum(p.numel() for p in layer.parameters()) == 64 * 100 * 5
    diverse = 10 * torch.randn(16, 64)
    nearness = layer(diverse[:1].expand(16, -1))[:, 64:]
    torch.testing.assert_close(nearness, torch.full_like(nearness, 16))
    assert layer(diverse)[:, 64:].max() < 1.5
    paired = torch.cat((diverse[:1], diverse[:15]))
    of_each = layer(paired)[:, 64:].mean(1)
    assert of_each[:2].min() > 1.9
    assert of_each[2:].max() < 1.1


def test_features_of_order_1_are_at_distances_that_the_exponential_keeps() -> None:
    torch.manual_seed(0)
    for size in (16, 4096):
        others = MinibatchDiscrimination(size)(torch.randn(8, size))[:, size:].mean() - 1
        assert 0.01 < others / 7 < 0.5


def test_a_discriminator_with_either_sees_the_batch_and_without_does_not() -> None:
    torch.manual_seed(0)
    shape = Images(1, 4, 4)
    images, others = torch.randn(6, *shape.shape), torch.randn(6, *shape.shape)
    others[0] = images[0]
    cases: dict[MinibatchName, bool] = {"none": False, "discrimination": True, "stddev": True}
    for name, sees in cases.items():
        discriminator = compose.discriminator("mlp", shape, 8, minibatch=name)
        one, other = discriminator(images), discriminator(others)
        assert (abs(one.scores[0] - other.scores[0]) > 1e-4) == sees
        torch.testing.assert_close(one.features[0], other.features[0])  # the features are those before the layer


def test_distances_have_two_derivatives() -> None:
    torch.manual_seed(0)
    one = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    other = torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True)
    expected = (one[:, :, None] - other[:, None]).abs().sum(3)
    torch.testing.assert_close(_Distances.apply(one, other), expected)
    assert gradcheck(_Distances.apply, (one, other))
    assert gradgradcheck(_Distances.apply, (one, other))
