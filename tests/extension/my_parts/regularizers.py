"""Two regularizers, whose options are their weights: `--lasso 1e-5 --zero-centred 10`."""

import torch
from torch import Tensor, nn

import genlab
from genlab.core.random import Draws
from genlab.regularizers.gradient import Score


@genlab.part("regularizer", "lasso")
def lasso(network: nn.Module) -> Tensor:
    """Return Σ|w| over the weights of a network (Tibshirani, 1996), for models of every family."""
    return torch.stack([weights.abs().sum() for weights in network.parameters()]).sum()


@genlab.part("regularizer", "zero-centred")
def zero_centred(score: Score, real: Tensor, fake: Tensor, draws: Draws, *, power: float = 2.0) -> Tensor:
    """Return E[‖∇D(x̂)‖ᵖ] of a GAN's discriminator, between real and generated images (arXiv:1902.03984).

    Args:
        score: the discriminator, images (B, C, H, W) to scores.
        real: images of the data.
        fake: generated images.
        draws: random numbers for B images; x̂ is x + u (G(z) − x) with u uniform.
        power: p.
    """
    between = (real + draws.uniform(1, 1, 1) * (fake - real)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(score(between).sum(), between, create_graph=True)
    return gradient.flatten(1).norm(dim=1).pow(power).mean()
