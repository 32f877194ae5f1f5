"""Bounds on the log-likelihood from several latent draws."""

import math

import torch
from torch import Tensor


def importance_bound(log_weights: Tensor) -> Tensor:
    """log (1/k) Σ_i w_i with w_i = p(x, z_i) / q(z_i | x), by logsumexp.

    For k = 1 its mean is the evidence lower bound; its mean never decreases with k and tends to log p(x).

    Args:
        log_weights: log w, (k, B), in nats.

    Returns:
        An estimate whose mean is a lower bound on log p(x), (B,), in nats.

    References:
        Burda, Grosse and Salakhutdinov, 2015. Importance Weighted Autoencoders, equation 8. arXiv:1509.00519.
    """
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))
