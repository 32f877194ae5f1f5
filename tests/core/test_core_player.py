import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genlab.core.contract import Signals
from genlab.core.errors import NonFiniteError
from genlab.core.optimizer import adam
from genlab.core.player import Player, freeze_except


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def loss_of(network: nn.Module, scale: float = 1.0) -> Tensor:
    data = torch.linspace(-1, 1, 15).view(5, 3)
    return scale * (network(data) - 1).square().mean()


def update(
    network: nn.Module, loss: Tensor, optimizer: torch.optim.Optimizer, name: str = "player", **options: Any
) -> Signals:
    player = Player(name, network, optimizer, **options)
    with player.learning():
        player.backward(loss)
        return player.update(0)


def test_it_is_adam_by_its_formula() -> None:
    """m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; θ ← θ − lr · m̂ / (√v̂ + 1e-8), in float64 by hand."""
    network = net().double()
    data = torch.linspace(-1, 1, 15, dtype=torch.float64).view(5, 3)
    lr, (b1, b2) = 0.01, (0.5, 0.99)
    optimizer = adam(network, "player", lr, (b1, b2))
    theta = [p.detach().clone().requires_grad_() for p in network.parameters()]
    m, v = [torch.zeros_like(t) for t in theta], [torch.zeros_like(t) for t in theta]
    for step in range(1, 5):
        update(network, (network(data) - 1).square().mean(), optimizer)
        w1, c1, w2, c2 = theta
        value = (torch.tanh(data @ w1.T + c1) @ w2.T + c2 - 1).square().mean()
        gradients = torch.autograd.grad(value, theta)
        with torch.no_grad():
            for i, g in enumerate(gradients):
                m[i] = b1 * m[i] + (1 - b1) * g
                v[i] = b2 * v[i] + (1 - b2) * g * g
                hat_m, hat_v = m[i] / (1 - b1**step), v[i] / (1 - b2**step)
                theta[i] -= lr * hat_m / (hat_v.sqrt() + 1e-8)
    for parameter, expected in zip(network.parameters(), theta, strict=True):
        torch.testing.assert_close(parameter.detach(), expected.detach(), rtol=1e-9, atol=1e-12)


def test_the_norm_is_that_of_all_gradients_together() -> None:
    network = net()
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss_of(network), list(network.parameters()))])
    signals = update(network, loss_of(network), adam(network, "player", 0.1, (0.9, 0.99)))
    torch.testing.assert_close(signals["gradient_norm"], expected.norm())


def test_gradients_of_an_earlier_backward_do_not_count() -> None:
    fresh, stale = net(), net()
    loss_of(stale, 100.0).backward()
    for network in (fresh, stale):
        update(network, loss_of(network), torch.optim.SGD(network.named_parameters(), lr=0.1))
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), stale.parameters(), strict=True))


@pytest.mark.parametrize("scale", [0.01, 1e6])
def test_clipping_bounds_what_is_applied_and_reports_what_was(scale: float) -> None:
    network = net()
    before = torch.nn.utils.parameters_to_vector(network.parameters()).detach()
    whole = torch.cat(
        [g.flatten() for g in torch.autograd.grad(loss_of(network, scale), list(network.parameters()))]
    )
    sgd = torch.optim.SGD(network.named_parameters(), lr=1.0)
    norm = update(network, loss_of(network, scale), sgd, clip_norm=0.5)["gradient_norm"]
    moved = before - torch.nn.utils.parameters_to_vector(network.parameters()).detach()
    torch.testing.assert_close(norm, whole.norm())
    expected = whole * min(1.0, 0.5 / whole.norm().item())
    torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("value", "kind"), [(math.nan, "NaN"), (math.inf, "Inf")])
def test_a_loss_that_is_not_finite_changes_nothing_and_is_named(value: float, kind: str) -> None:
    network = net()
    optimizer = adam(network, "discriminator", 0.1, (0.9, 0.99))
    update(network, loss_of(network), optimizer)
    weights = [p.detach().clone() for p in network.parameters()]
    with pytest.raises(
        NonFiniteError, match=f"{kind} in the discriminator's loss while updating the discriminator"
    ) as caught:
        update(network, loss_of(network) * value, optimizer, "discriminator")
    assert (caught.value.player, caught.value.value, caught.value.exit_code) == ("discriminator", kind, 4)
    assert all(torch.equal(p, w) for p, w in zip(network.parameters(), weights, strict=True))
    assert all(state["step"] == 1 for state in optimizer.state.values())


def test_a_gradient_that_is_not_finite_is_named() -> None:
    """√0 is finite, its derivative is not."""
    network = net()
    with torch.no_grad():
        network[2].bias.zero_()
    optimizer = adam(network, "vae", 0.1, (0.9, 0.99))
    before = network[2].bias.clone()
    with pytest.raises(NonFiniteError, match=r"Inf in the gradient of vae\.2\.bias"):
        update(network, loss_of(network) + network[2].bias.sqrt().sum(), optimizer, "vae")
    assert torch.equal(network[2].bias, before)


def test_a_norm_that_overflows_is_named() -> None:
    network = nn.Linear(2, 1, bias=False)
    with pytest.raises(NonFiniteError, match="norm of the discriminator's gradient"):
        update(network, (network.weight * 3e38).sum() * 0.9, adam(network, "discriminator", 0.1, (0.9, 0.99)))


class Duel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = net(1), nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
        self.two[1].bias.requires_grad_(False)


def test_only_one_player_gets_gradients_but_they_pass_through_the_other() -> None:
    duel = Duel()
    with freeze_except(duel.one, among=duel):
        duel.two(duel.one(torch.ones(2, 3))).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in duel.one.parameters())
    assert all(p.grad is None for p in duel.two.parameters())


def test_freezing_gives_back_exactly_what_it_froze() -> None:
    duel = Duel()
    before = [p.requires_grad for p in duel.parameters()]
    with freeze_except(duel.one, among=duel):
        assert [p.requires_grad for p in duel.two.parameters()] == [False] * 4
        assert all(p.requires_grad for p in duel.one.parameters())
    assert [p.requires_grad for p in duel.parameters()] == before
    with pytest.raises(KeyError), freeze_except(duel.two, among=duel):
        raise KeyError
    assert [p.requires_grad for p in duel.parameters()] == before


def test_a_player_of_a_model_names_its_losses_and_leaves_the_other_alone() -> None:
    duel = Duel()
    before = [p.detach().clone() for p in duel.two.parameters()]
    player = Player("one", duel.one, adam(duel.one, "one", 0.1, (0.9, 0.99)), among=duel)
    with player.learning():
        assert not any(p.requires_grad for p in duel.two.parameters())
        output = duel.two(duel.one(torch.ones(2, 3)))
        player.backward({"error": output.square().mean(), "size": output.abs().mean()}, {"mean": output.mean()})
        signals = player.update(0)
    assert list(signals) == ["error", "size", "mean", "one_gradient_norm"]
    assert not any(signal.requires_grad for signal in signals.values())
    assert all(torch.equal(a, b) for a, b in zip(before, duel.two.parameters(), strict=True))


def test_parts_add_up_to_the_mean_of_their_losses() -> None:
    whole, cut = net().double(), net().double()
    data = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    players = [
        Player("net", network, torch.optim.SGD(network.named_parameters(), lr=1.0)) for network in (whole, cut)
    ]
    reported = []
    for player, count in zip(players, (1, 3), strict=True):
        with player.learning(count):
            for part in data.chunk(count):
                output = player.network(part)
                player.backward({"error": output.square().mean()}, {"mean": output.mean()})
            reported.append(player.update(0))
    for name, value in reported[0].items():
        torch.testing.assert_close(reported[1][name], value)
    for a, b in zip(whole.parameters(), cut.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_a_weight_regularizer_is_a_loss_and_hooks_run_after_the_update() -> None:
    network, seen = nn.Linear(2, 1, bias=False), []
    start = network.weight.detach().clone()
    player = Player(
        "net",
        network,
        torch.optim.SGD(network.named_parameters(), lr=0.1),
        weight_regularizer=lambda optimizer: optimizer.param_groups[0]["params"][0].square().sum(),
        after_step=[lambda _, step: seen.append((step, network.weight.detach().clone()))],
    )
    with player.learning():
        player.backward(0 * network(torch.ones(1, 2)).sum())
        signals = player.update(7)
    torch.testing.assert_close(signals["net_weight_regularizer"], start.square().sum())
    ((step, weight),) = seen
    assert step == 7
    torch.testing.assert_close(weight, 0.8 * start)
