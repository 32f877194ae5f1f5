"""Regularizers of weights: clipping, historical averaging and orthogonality."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

MEAN = "mean"  # the key of the running mean in the optimizer's state, which checkpoints save


@torch.no_grad()
def clip_weights_(network: nn.Module, limit: float) -> None:
    """Clip every parameter of `network` to [−limit, limit], in place, which bounds its Lipschitz constant.

    References:
        Arjovsky, Chintala and Bottou, 2017. Wasserstein GAN, algorithm 1. arXiv:1701.07875.
    """
    for parameter in network.parameters():
        parameter.clamp_(-limit, limit)


def historical_distance(optimizer: torch.optim.Optimizer) -> Tensor:
    """Return ‖θ − (1/t) Σ θ_i‖² over all parameters θ of `optimizer`; 0 before the first `remember_`.

    References:
        Salimans et al., 2016. Improved Techniques for Training GANs, section 3.3. arXiv:1606.03498.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    distance = torch.zeros((), device=parameters[0].device)
    for parameter in parameters:
        mean = optimizer.state.get(parameter, {}).get(MEAN)
        if mean is not None:
            distance = distance + (parameter - mean).square().sum()
    return distance


@torch.no_grad()
def remember_(optimizer: torch.optim.Optimizer, step: int) -> None:
    """Update the running mean of the parameters after the optimizer's update number `step`, counted from 0.

    Only parameters with an optimizer state have a mean: Adam would take a state with nothing else for its own.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state.get(parameter)
            if state:
                mean = state.setdefault(MEAN, parameter.detach().clone())
                mean.lerp_(parameter, 1 / (step + 1))


def orthogonal_distance(network: nn.Module) -> Tensor:
    """Return Σ ‖W Wᵀ ⊙ (1 − I)‖² over the weight matrices of `network`: how far their rows are from orthogonal.

    The rows of a convolution are its kernels, those of a layer with spectral normalisation those of the weight
    before it. Lengths are free, unlike in the penalty ‖W Wᵀ − I‖².

    References:
        Brock, Donahue and Simonyan, 2018. Large Scale GAN Training for High Fidelity Natural Image Synthesis,
        equation 3. arXiv:1809.11096.
    """
    distances = []
    for parameter in _matrices(network):
        rows = parameter.flatten(1)
        products = rows @ rows.T
        distances.append(products.square().sum() - products.diagonal().square().sum())
    return torch.stack(distances).sum()


def _matrices(network: nn.Module) -> Iterator[Tensor]:
    """Yield the weights of the linear layers and convolutions of `network`, before any spectral normalisation."""
    for name, parameter in network.named_parameters():
        if name.endswith(("weight", "weight.original")) and parameter.ndim > 1:
            yield parameter
