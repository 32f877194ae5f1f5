"""The running statistics of batch normalisation."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def set_statistics_(network: nn.Module, passes: Iterable[Callable[[], object]]) -> None:
    """Set the running statistics of batch normalisation to the mean of those of some passes, in place.

    The running statistics of training lag behind its weights; an average of weights has none of its own. Each
    pass is a call that sends a batch through `network`, which is in evaluation mode; every layer normalises with
    the statistics of that batch.

    References:
        Brock, Donahue and Simonyan, 2018. Large Scale GAN Training for High Fidelity Natural Image Synthesis,
        appendix E. arXiv:1809.11096 (standing statistics).
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    found: dict[nn.BatchNorm2d, list[tuple[Tensor, Tensor]]] = {norm: [] for norm in norms}

    def measure(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        maps = inputs[0].float()
        variance, mean = torch.var_mean(maps, (0, *range(2, maps.ndim)), correction=0)
        found[norm].append((mean, variance))
        _set(norm, mean, variance)

    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    try:
        for take in passes:
            take()
    finally:
        for hook in hooks:
            hook.remove()
    for norm, statistics in found.items():
        means, variances = zip(*statistics, strict=True)
        _set(norm, torch.stack(means).mean(0), torch.stack(variances).mean(0))


def _set(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
