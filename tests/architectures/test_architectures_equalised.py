import torch
from torch import nn

from genlab.architectures.equalised import equalised, initialise


def test_an_equalised_layer_is_the_plain_layer_with_scaled_weights() -> None:
    torch.manual_seed(0)
    layer = equalised(nn.Conv2d(6, 4, 3, padding=1), bias=0.5)
    stored = layer.parametrizations.weight.original
    plain = nn.Conv2d(6, 4, 3, padding=1)
    plain.weight.data = stored.detach() / 54**0.5
    plain.bias.data.fill_(0.5)  # type: ignore[union-attr]
    maps = torch.randn(2, 6, 5, 5)
    torch.testing.assert_close(layer(maps), plain(maps))
    assert abs(stored.std().item() - 1) < 0.2


def test_an_update_changes_all_layers_by_the_same_share_however_many_inputs_they_have() -> None:
    torch.manual_seed(0)
    layers = [equalised(nn.Linear(inputs, 50)) for inputs in (8, 800)]
    before = [layer.weight.detach().clone() for layer in layers]
    optimizer = torch.optim.Adam([p for layer in layers for p in layer.parameters()], lr=0.01)
    for layer in layers:
        layer(torch.randn(4, layer.in_features)).square().sum().backward()
    optimizer.step()
    few, many = ((its.weight - old).norm() / old.norm() for its, old in zip(layers, before, strict=True))
    assert abs(few / many - 1) < 0.1


def test_initialising_equalises_what_is_not_equalised_yet_and_leaves_the_rest() -> None:
    network = nn.Sequential(equalised(nn.Linear(3, 2), bias=1.0), nn.Linear(2, 5))
    first = network[0].weight.detach().clone()
    initialise(network)
    names = [name for name, _ in network.named_parameters()]
    assert [name for name in names if "original" in name and "weight" in name] == [
        "0.parametrizations.weight.original",
        "1.parametrizations.weight.original",
    ]
    assert torch.equal(network[0].weight, first)
    torch.testing.assert_close(network[0].bias, torch.ones(2))
    assert not network[1].bias.any()
