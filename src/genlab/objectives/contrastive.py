"""The contrastive loss of patches, by which a translation keeps what is where in its source."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def patch_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """−E[log (exp(q_s·k_s / τ) / Σ_t exp(q_s·k_t / τ))] in nats.

    Each position of a translation has to be recognised among the positions of its own source. If all S look the
    same, the loss is log S.

    Args:
        queries: unit vectors of S positions of each translation, (B, S, F).
        keys: unit vectors of the same positions of the sources, (B, S, F).
        temperature: τ.

    References:
        Park et al., 2020. Contrastive Learning for Unpaired Image-to-Image Translation, equation 3.
        arXiv:2007.15651.
    """
    logits = queries @ keys.transpose(1, 2) / temperature
    places = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
    return cross_entropy(logits.flatten(0, 1), places.flatten())
