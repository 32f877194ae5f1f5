"""Noise on images and labels, which keeps a discriminator from becoming overconfident."""

import torch
from torch import Tensor

from genlab.core.random import Draws


def instance_noise(images: Tensor, draws: Draws, spread: float) -> Tensor:
    """Return x + spread·ε with ε ~ N(0, 1) for each pixel; for real and generated images alike.

    With noise, the distributions of real and generated images overlap everywhere, so that the optimal
    discriminator is not certain and has a gradient. `spread` usually decays to 0 over the run.

    References:
        Sønderby et al., 2016. Amortised MAP Inference for Image Super-resolution, appendix C. arXiv:1610.04490.
        Arjovsky and Bottou, 2017. Towards Principled Methods for Training GANs, section 3. arXiv:1701.04862.
    """
    return images + spread * draws.normal(*images.shape[1:])


def flip_labels(
    real_scores: Tensor, fake_scores: Tensor, draws: Draws, probability: float
) -> tuple[Tensor, Tensor]:
    """Swap real and generated scores with `probability`, which for any loss equals flipped labels.

    Args:
        real_scores: of real images or of packs of them, (n,).
        fake_scores: of generated images or of packs of them, (n,).
        draws: for the images, whose number is a multiple of n.
        probability: of a flipped label, the same for real and generated images.

    References:
        Salimans et al., 2016. Improved Techniques for Training GANs. arXiv:1606.03498.
        Chintala et al., 2016. How to Train a GAN?, tip 6. github.com/soumith/ganhacks.
    """
    wrong = draws.uniform()[:: draws.rows // len(real_scores)] < probability
    return torch.where(wrong, fake_scores, real_scores), torch.where(wrong, real_scores, fake_scores)
