import copy

import pytest
import torch
from torch import Tensor, nn

from genlab.core.optimizer import adam
from genlab.regularizers.weights import clip_weights_, historical_distance, remember_


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * 2 * 2, 1))


def improve(net: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    optimizer.zero_grad()
    images = torch.randn(4, 2, 4, 4, generator=torch.Generator().manual_seed(step))
    net(images).square().mean().backward()
    optimizer.step()


def test_after_clipping_every_weight_is_inside_and_small_ones_are_untouched() -> None:
    net = network()
    before = [p.detach().clone() for p in net.parameters()]
    clip_weights_(net, 0.1)
    assert any((p.abs() > 0.1).any() for p in before)
    for parameter, old in zip(net.parameters(), before, strict=True):
        assert parameter.abs().max() <= 0.1
        inside = old.abs() <= 0.1
        assert torch.equal(parameter[inside], old[inside])
        assert torch.equal(parameter[~inside].sign(), old[~inside].sign())
        assert parameter.requires_grad


def test_the_history_is_the_mean_of_the_iterates() -> None:
    net = network()
    optimizer = adam(net, "discriminator", 0.1, (0.5, 0.9))
    assert historical_distance(optimizer).item() == 0
    iterates: list[list[Tensor]] = []
    for step in range(5):
        improve(net, optimizer, step)
        remember_(optimizer, step)
        iterates.append([p.detach().clone() for p in net.parameters()])
    means = [torch.stack(history).mean(0) for history in zip(*iterates, strict=True)]
    for parameter, mean in zip(net.parameters(), means, strict=True):
        torch.testing.assert_close(optimizer.state[parameter]["mean"], mean)
    distance = historical_distance(optimizer)
    expected = torch.stack([(p - m).square().sum() for p, m in zip(net.parameters(), means, strict=True)]).sum()
    torch.testing.assert_close(distance, expected)
    assert distance > 0.1


def test_its_slope_pulls_towards_the_history() -> None:
    net = network()
    optimizer = adam(net, "discriminator", 0.1, (0.5, 0.9))
    for step in range(3):
        improve(net, optimizer, step)
        remember_(optimizer, step)
    weight = net[3].weight
    (gradient,) = torch.autograd.grad(historical_distance(optimizer), weight)
    torch.testing.assert_close(gradient, 2 * (weight - optimizer.state[weight]["mean"]).detach())


def test_remembering_changes_nothing_of_what_adam_does() -> None:
    nets = [network(), network()]
    optimizers = [adam(net, "discriminator", 0.05, (0.5, 0.9)) for net in nets]
    for step in range(4):
        for net, optimizer in zip(nets, optimizers, strict=True):
            improve(net, optimizer, step)
        remember_(optimizers[0], step)
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_before_the_first_step_there_is_nothing_to_remember() -> None:
    """A mean that lay there alone would be taken for Adam's state."""
    net = network()
    optimizer = adam(net, "discriminator", 0.05, (0.5, 0.9))
    remember_(optimizer, 0)
    assert not optimizer.state
    improve(net, optimizer, 0)


def test_the_history_is_saved_with_the_optimizer() -> None:
    net = network()
    optimizer = adam(net, "discriminator", 0.1, (0.5, 0.9))
    for step in range(2):
        improve(net, optimizer, step)
        remember_(optimizer, step)
    twin = copy.deepcopy(net)
    again = adam(twin, "discriminator", 0.1, (0.5, 0.9))
    again.load_state_dict(optimizer.state_dict())
    assert historical_distance(again).item() == pytest.approx(historical_distance(optimizer).item(), rel=1e-6)
    assert historical_distance(again) > 0
