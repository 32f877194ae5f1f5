from torch import nn

from genlab.core.optimizer import adam


def test_adam_names_every_parameter_for_checkpoints() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = adam(network, "discriminator", 0.1, (0.9, 0.99))
    assert optimizer.param_groups[0]["param_names"] == [
        "discriminator.0.weight",
        "discriminator.0.bias",
        "discriminator.2.weight",
        "discriminator.2.bias",
    ]
