"""Losses of two players: each function gives the critic's and the generator's side together.

The critic gives logits: D = sigmoid(logits) is its probability that an image is real.

References:
    Goodfellow et al., 2014. Generative Adversarial Networks. arXiv:1406.2661.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from torch import Tensor
from torch.nn.functional import softplus

AdversarialLoss: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def _cross_entropy(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """−E[log D(x)] − E[log(1 − D(G(z)))], by −log sigmoid(a) = softplus(−a)."""
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def minimax(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """The value of the game itself; the generator minimises E[log(1 − D(G(z)))].

    Its gradient vanishes where the critic is sure, which is why `non_saturating` is the default. At the best
    critic the game's value is −log 4 + 2·JS(data, model).

    Args:
        real_logits: of real images, (B,).
        fake_logits: of generated images, (B,).

    Returns:
        The critic's loss and the generator's, each a mean in nats.

    References:
        Goodfellow et al., 2014, equation 1. arXiv:1406.2661.
    """
    return _cross_entropy(real_logits, fake_logits), -softplus(fake_logits).mean()


def non_saturating(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """The critic of `minimax`; the generator minimises −E[log D(G(z))].

    Same fixed points, but the gradient is strongest where the critic rejects the fakes: for each logit it is
    that of `minimax` times (1 − D) / D.

    References:
        Goodfellow et al., 2014, section 3. arXiv:1406.2661.
    """
    return _cross_entropy(real_logits, fake_logits), softplus(-fake_logits).mean()


ADVERSARIAL: Mapping[str, AdversarialLoss] = {
    "minimax": minimax,
    "non-saturating": non_saturating,
}
