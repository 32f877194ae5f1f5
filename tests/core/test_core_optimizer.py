from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from genlab.core.optimizer import adam, rmsprop, set_learning_rates


def test_adam_names_every_parameter_for_checkpoints() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = adam(network, "discriminator", 0.1, (0.9, 0.99))
    assert optimizer.param_groups[0]["param_names"] == [
        "discriminator.0.weight",
        "discriminator.0.bias",
        "discriminator.2.weight",
        "discriminator.2.bias",
    ]


@pytest.mark.parametrize("make", [partial(adam, betas=(0.0, 0.9)), rmsprop])
def test_parts_of_a_network_have_their_factor_on_the_learning_rate(
    make: Callable[..., torch.optim.Optimizer],
) -> None:
    network = nn.ModuleDict({"slow": nn.Linear(2, 2), "fast": nn.Linear(2, 2)})
    optimizer = make(network, "g", 0.1, rates={"slow.": 0.01})
    names = {group["lr"]: group["param_names"] for group in optimizer.param_groups}
    assert names == {0.1: ["g.fast.weight", "g.fast.bias"], 0.001: ["g.slow.weight", "g.slow.bias"]}
    set_learning_rates([optimizer], 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.05, 0.0005])
    (plain,) = make(network, "g", 0.1).param_groups
    assert plain["lr"] == 0.1
