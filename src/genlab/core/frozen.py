"""Networks that are not trained: their weights are buffers."""

from torch import nn


def freeze(network: nn.Module) -> None:
    """Turn all parameters of a network into buffers, which share their memory, under the same names."""
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.data)
