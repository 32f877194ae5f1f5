import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from genlab.regularizers.spectral import spectral_norm_
from genlab.training.average import Average

LAYERS = {
    "linear": (lambda: nn.Linear(12, 7), (3, 12), 0),
    "convolution": (lambda: nn.Conv2d(3, 8, 4, 2, 1), (2, 3, 8, 8), 0),
    "transposed": (lambda: nn.ConvTranspose2d(6, 3, 4, 2, 1), (2, 6, 4, 4), 1),
    "embedding": (lambda: nn.Embedding(5, 6), None, 0),
}
every_layer = pytest.mark.parametrize("kind", LAYERS)


def largest(module: nn.Module, outputs: int = 0) -> float:
    """Return the largest singular value of the layer's weight, outputs against all the rest."""
    weight: Tensor = module.weight.detach()
    return torch.linalg.svdvals(weight.transpose(0, outputs).flatten(1))[0].item()


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 6, 3),
        nn.Softplus(),
        nn.Flatten(),
        nn.Linear(24, 1),
    )
    spectral_norm_(net)
    return net


def norms(net: nn.Sequential) -> list[float]:
    return [largest(net[index]) for index in (0, 2, 5)]


@every_layer
@pytest.mark.parametrize("training", [True, False])
def test_the_largest_singular_value_is_one(kind: str, training: bool) -> None:
    torch.manual_seed(0)
    make, shape, outputs = LAYERS[kind]
    layer = make()
    with torch.no_grad():
        layer.weight.mul_(5)
    spectral_norm_(layer)
    for _ in range(20):
        layer(torch.randn(shape) if shape else torch.arange(5))
    layer.train(training)
    assert largest(layer, outputs) == pytest.approx(1, abs=1e-2)


@every_layer
def test_only_the_length_of_the_weight_changes(kind: str) -> None:
    torch.manual_seed(0)
    layer = LAYERS[kind][0]()
    weight = layer.weight.detach().clone()
    spectral_norm_(layer)
    ratio = layer.weight.detach() / weight
    torch.testing.assert_close(ratio, ratio.flatten()[0].expand_as(ratio))
    assert torch.equal(layer.parametrizations.weight.original, weight)


def test_it_keeps_up_with_a_network_that_learns() -> None:
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for step in range(30):
        images = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        (net(images) * images.mean((1, 2, 3))[:, None].sign()).mean().backward()
        optimizer.step()
        net(images)
    assert norms(net) == pytest.approx([1, 1, 1], abs=1e-2)


def test_an_average_over_steps_has_norm_one_too() -> None:
    net = network()
    average = Average(net, 0.9)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for step in range(24):
        images = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        (net(images) * images.mean((1, 2, 3))[:, None].sign()).mean().backward()
        optimizer.step()
        average.update(step)
    published = average.model
    assert isinstance(published, nn.Sequential)
    assert not torch.equal(published[0].weight, net[0].weight)
    assert norms(published) == pytest.approx([1, 1, 1], abs=1e-2)


def test_in_evaluation_the_length_of_the_vector_does_not_count() -> None:
    """A mean of unit vectors is shorter than they."""
    net = network().eval()
    before = norms(net)
    for index in (0, 2, 5):
        net[index].parametrizations.weight[0].v.mul_(0.5)
    assert norms(net) == pytest.approx(before)


def test_in_training_each_forward_takes_a_step_and_in_evaluation_none() -> None:
    net = network()
    vector = net[5].parametrizations.weight[0].v
    with torch.no_grad():  # another weight, whose singular vector is not known yet
        net[5].parametrizations.weight.original.copy_(torch.randn(1, 24))
    before = vector.clone()
    net.eval()(torch.randn(2, 3, 8, 8))
    assert torch.equal(vector, before)
    net.train()(torch.randn(2, 3, 8, 8))
    assert not torch.equal(vector, before)
    assert largest(net[5]) == pytest.approx(1, abs=1e-5)  # of rank one: found in one step


def test_its_gradient_is_that_of_the_quotient_with_the_singular_value() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(4, 3, bias=False).double()
    spectral_norm_(layer)
    images = torch.randn(5, 4).double()
    for _ in range(200):
        layer(images)
    original = layer.parametrizations.weight.original
    direct = original.detach().clone().requires_grad_()
    expected = (images @ (direct / torch.linalg.svdvals(direct)[0]).T).sin().sum()
    torch.testing.assert_close(
        torch.autograd.grad(layer(images).sin().sum(), original), torch.autograd.grad(expected, direct)
    )


def test_two_forwards_before_one_backward_and_a_penalty_of_slopes() -> None:
    net = network()
    images = torch.randn(4, 3, 8, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(net(images).sum(), images, create_graph=True)
    (net(images).mean() - net(images + 1).mean() + slope.square().sum()).backward()
    for parameter in net.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()
    assert net[0].parametrizations.weight.original.grad.abs().sum() > 0


def test_copies_and_saved_states_compute_the_same() -> None:
    net = network().eval()
    images = torch.randn(2, 3, 8, 8)
    expected = net(images)
    other = network(seed=1).eval()
    assert not torch.allclose(other(images), expected)
    other.load_state_dict(net.state_dict())
    twin = copy.deepcopy(net)
    layout = copy.deepcopy(net).to(memory_format=torch.channels_last)
    for same in (other, twin, layout):
        torch.testing.assert_close(same(images), expected)
    with torch.no_grad():
        twin[5].parametrizations.weight.original.normal_()
        twin.train()(images)
    assert torch.equal(net(images), expected), "a copy must share nothing"
    assert layout.double()(images.double()).dtype == torch.float64


def test_layouts_take_the_same_steps() -> None:
    plain = network()
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 8, 8)
    for _ in range(3):
        torch.testing.assert_close(plain(images), last(images))


def test_called_with_weights_of_others_its_own_stay() -> None:
    net = network()
    before = copy.deepcopy(net.state_dict())
    weights = {name: 3 * p.detach() for name, p in net.named_parameters()}
    buffers = {name: b.clone() for name, b in net.named_buffers()}
    functional_call(net, (weights, buffers), (torch.randn(2, 3, 8, 8),))
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert any(not torch.equal(b, before[name]) for name, b in buffers.items())


def test_without_storage_it_can_be_built() -> None:
    with torch.device("meta"):
        net = network()
    assert net[0].weight.is_meta
    assert {n: t.shape for n, t in net.state_dict().items()} == {
        n: t.shape for n, t in network().state_dict().items()
    }


def test_nothing_but_those_layers_is_normalised() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1))
    spectral_norm_(net)
    assert [name for name, _ in net.named_parameters()] == [
        "0.weight",
        "0.bias",
        "1.bias",
        "1.parametrizations.weight.original",
    ]
