"""On one process; test_architectures_distributed.py and tests/test_distributed.py have several."""

import pytest
import torch
from torch import nn

from genlab.architectures.normalization import (
    BatchNorm2d,
    ConditionalBatchNorm2d,
    InstanceNorm2d,
    NormName,
    make_norm,
)


def test_on_one_process_it_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = BatchNorm2d(3), nn.BatchNorm2d(3)
    images = torch.randn(4, 3, 5, 5) * 3 + 1
    for _ in range(2):
        assert torch.equal(ours(images), theirs(images))
    assert all(torch.equal(a, b) for a, b in zip(ours.buffers(), theirs.buffers(), strict=True))
    assert torch.equal(ours.eval()(images), theirs.eval()(images))


def test_it_takes_vectors_too_but_nothing_else() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(6, 3) * 3 + 1
    assert torch.equal(BatchNorm2d(3)(vectors), nn.BatchNorm1d(3)(vectors))
    with pytest.raises(ValueError, match=r"\(6, 3, 2\)"):
        BatchNorm2d(3)(torch.zeros(6, 3, 2))


@pytest.mark.parametrize("count", [1, 3])
def test_instance_norm_of_maps_in_channels_last_is_that_of_torch_and_keeps_the_order(count: int) -> None:
    torch.manual_seed(0)
    images = torch.randn(count, 4, 6, 5) * 3 + 7
    last = images.to(memory_format=torch.channels_last)
    weights = torch.randn_like(images)
    made = []
    for norm, given in ((InstanceNorm2d(4), last), (nn.InstanceNorm2d(4, affine=True), images)):
        with torch.no_grad():
            norm.weight.copy_(torch.arange(1.0, 5))
        given = given.clone().requires_grad_()
        result = norm(given)
        slope, *of_weights = torch.autograd.grad(
            (weights * result).sum(), (given, norm.weight, norm.bias), create_graph=True
        )
        (curvature,) = torch.autograd.grad(slope.square().sum(), given)
        made.append((result, slope, *of_weights, curvature))
    assert made[0][0].is_contiguous(memory_format=torch.channels_last)
    for ours, theirs in zip(*made, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "over"), [("batch", (0, 2, 3)), ("layer", (1, 2, 3)), ("instance", (2, 3))])
def test_each_norm_has_mean_0_and_variance_1_over_its_own_axes(name: NormName, over: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    channels = torch.tensor([0.5, 2.0, 5.0, 1.0]).view(4, 1, 1)
    images = (torch.randn(6, 4, 8, 8) + torch.randn(6, 1, 1, 1)) * channels + channels
    norm = make_norm(name, 4)
    result = norm(images)
    assert result.mean(over).abs().max() < 1e-5
    assert (result.var(over, correction=0) - 1).abs().max() < 1e-3
    for other in {(0, 2, 3), (1, 2, 3), (2, 3)} - {over, tuple(sorted({0, *over})), tuple(sorted({1, *over}))}:
        assert result.mean(other).abs().max() > 1e-2, other
    assert {p: tuple(value.shape) for p, value in norm.named_parameters()} == {"weight": (4,), "bias": (4,)}


def test_none_is_nothing() -> None:
    images = torch.randn(2, 3, 4, 4)
    assert torch.equal(make_norm("none", 3)(images), images)


def test_two_classes_differ_exactly_by_gain_and_bias() -> None:
    torch.manual_seed(0)
    norm = ConditionalBatchNorm2d(3, classes=4)
    images = torch.randn(6, 3, 5, 5)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    untouched = norm(images, {"label": labels})  # gains 1 and biases 0
    assert torch.equal(untouched, nn.BatchNorm2d(3, affine=False)(images))
    nn.init.normal_(norm.gain)
    nn.init.normal_(norm.bias)
    plain = nn.BatchNorm2d(3, affine=False)(images)  # the statistics are those of all classes together
    for label in range(4):
        expected = plain * norm.gain[label].view(1, 3, 1, 1) + norm.bias[label].view(1, 3, 1, 1)
        torch.testing.assert_close(norm(images, {"label": torch.full((6,), label)}), expected)
        torch.testing.assert_close(norm(images, {"label": labels})[labels == label], expected[labels == label])


def test_only_the_classes_that_occur_get_a_gradient() -> None:
    torch.manual_seed(0)
    norm = ConditionalBatchNorm2d(3, classes=4)
    labels = torch.tensor([0, 2, 2, 0, 2, 0])
    norm(torch.randn(6, 3, 5, 5), {"label": labels}).sin().sum().backward()
    for table in (norm.gain, norm.bias):
        assert table.grad is not None
        assert [bool(row.any()) for row in table.grad] == [True, False, True, False]


def test_conditional_normalisation_without_labels_says_so() -> None:
    with pytest.raises(ValueError, match='built for the condition "label"'):
        ConditionalBatchNorm2d(3, classes=4)(torch.zeros(2, 3, 4, 4))
