"""Losses of two players: each function gives the discriminator's and the generator's side together.

The discriminator gives scores (n,) of real and of generated images, the higher the more real. For `minimax`,
`non_saturating` and `relativistic_average` they are logits: D = sigmoid(score) is its probability that an image is
real (there, more real than the other side's images are on average).
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from torch import Tensor
from torch.nn.functional import relu, softplus

from genlab.core.distributed import all_reduce_mean

AdversarialLoss: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def _cross_entropy(logits: Tensor, label: float) -> Tensor:
    """−E[label·log D + (1 − label)·log(1 − D)] in nats, by −log sigmoid(a) = softplus(−a)."""
    return (label * softplus(-logits) + (1 - label) * softplus(logits)).mean()


def minimax(
    real_scores: Tensor, fake_scores: Tensor, *, real_label: float = 1.0, fake_label: float = 0.0
) -> tuple[Tensor, Tensor]:
    """The value of the game itself; the generator minimises E[log(1 − D(G(z)))].

    Its gradient vanishes where the discriminator is sure, which is why `non_saturating` is the default. At the
    best discriminator the game's value is −log 4 + 2·JS(data, model).

    Args:
        real_scores: logits of real images, (n,).
        fake_scores: logits of generated images, (n,).
        real_label: what the discriminator shall say of real images; below 1 it is smoothed, so that the
            discriminator does not become sure of itself. The generator's side is never smoothed.
        fake_label: what the discriminator shall say of generated images. Salimans et al. leave it at 0 (one-sided
            smoothing): above 0, fakes far from the data would be told that they are good where they are.

    Returns:
        The discriminator's loss and the generator's, each a mean in nats.

    References:
        Goodfellow et al., 2014. Generative Adversarial Networks, equation 1. arXiv:1406.2661.
        Salimans et al., 2016. Improved Techniques for Training GANs, section 3.4. arXiv:1606.03498.
    """
    discriminator_loss = _cross_entropy(real_scores, real_label) + _cross_entropy(fake_scores, fake_label)
    return discriminator_loss, -softplus(fake_scores).mean()


def non_saturating(
    real_scores: Tensor, fake_scores: Tensor, *, real_label: float = 1.0, fake_label: float = 0.0
) -> tuple[Tensor, Tensor]:
    """The discriminator of `minimax`; the generator minimises −E[log D(G(z))].

    Same fixed points, but the gradient is strongest where the discriminator rejects the fakes: for each logit it
    is that of `minimax` times (1 − D) / D.

    References:
        Goodfellow et al., 2014. Generative Adversarial Networks, section 3. arXiv:1406.2661.
    """
    discriminator_loss, _ = minimax(real_scores, fake_scores, real_label=real_label, fake_label=fake_label)
    return discriminator_loss, softplus(-fake_scores).mean()


def least_squares(
    real_scores: Tensor,
    fake_scores: Tensor,
    *,
    fake_label: float = 0.0,
    real_label: float = 1.0,
    wanted_label: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Discriminator: ½ E[(D(x) − b)²] + ½ E[(D(G(z)) − a)²]. Generator: ½ E[(D(G(z)) − c)²].

    With b − c = 1 and b − a = 2 the generator minimises the Pearson χ² divergence at the best discriminator; a =
    0, b = c = 1 is what the paper trains with.

    Args:
        real_scores: of real images, (n,).
        fake_scores: of generated images, (n,).
        fake_label: a, what the discriminator shall say of generated images.
        real_label: b, what the discriminator shall say of real images.
        wanted_label: c, what the generator wants the discriminator to say of its images.

    References:
        Mao et al., 2017. Least Squares Generative Adversarial Networks, equation 2. arXiv:1611.04076.
    """
    of_real = (real_scores - real_label).square().mean()
    of_fake = (fake_scores - fake_label).square().mean()
    return 0.5 * (of_real + of_fake), 0.5 * (fake_scores - wanted_label).square().mean()


def wasserstein(real_scores: Tensor, fake_scores: Tensor) -> tuple[Tensor, Tensor]:
    """Discriminator: E[D(G(z))] − E[D(x)]. Generator: −E[D(G(z))].

    Among discriminators of Lipschitz constant 1 the best one's loss is minus the earth mover's distance; something
    else must keep the discriminator there.

    References:
        Arjovsky, Chintala and Bottou, 2017. Wasserstein GAN. arXiv:1701.07875.
    """
    return fake_scores.mean() - real_scores.mean(), -fake_scores.mean()


def hinge(real_scores: Tensor, fake_scores: Tensor) -> tuple[Tensor, Tensor]:
    """Discriminator: E[max(0, 1 − D(x))] + E[max(0, 1 + D(G(z)))]. Generator: −E[D(G(z))].

    References:
        Lim and Ye, 2017. Geometric GAN. arXiv:1705.02894.
        Miyato et al., 2018. Spectral Normalization for GANs, equations 16 and 17. arXiv:1802.05957.
    """
    return relu(1 - real_scores).mean() + relu(1 + fake_scores).mean(), -fake_scores.mean()


def relativistic_average(real_scores: Tensor, fake_scores: Tensor) -> tuple[Tensor, Tensor]:
    """The discriminator says how much more real an image is than the other side's are on average.

    With D(x) = sigmoid(C(x) − E[C(G(z))]) and D(G(z)) = sigmoid(C(G(z)) − E[C(x)]), the discriminator minimises
    −E[log D(x)] − E[log(1 − D(G(z)))], the generator the same with the sides exchanged. The generator's side needs
    the real images' scores too.

    References:
        Jolicoeur-Martineau, 2018. The relativistic discriminator, section 4.2. arXiv:1807.00734.
    """
    real = real_scores - all_reduce_mean(fake_scores.mean())
    fake = fake_scores - all_reduce_mean(real_scores.mean())
    return (
        _cross_entropy(real, 1.0) + _cross_entropy(fake, 0.0),
        _cross_entropy(real, 0.0) + _cross_entropy(fake, 1.0),
    )


ADVERSARIAL: Mapping[str, AdversarialLoss] = {
    "minimax": minimax,
    "non-saturating": non_saturating,
    "least-squares": least_squares,
    "wasserstein": wasserstein,
    "hinge": hinge,
    "relativistic-average": relativistic_average,
}
