"""A reconstruction loss: `--reconstruction huber --huber-delta 0.5`."""

from torch import Tensor
from torch.nn.functional import huber_loss

import genlab


@genlab.part("reconstruction", "huber")
def huber(reconstruction: Tensor, images: Tensor, *, delta: float = 1.0) -> Tensor:
    """Return the Huber loss of images (B, C, H, W) in [-1, 1], summed over the pixels, (B,).

    Args:
        reconstruction: of the images.
        images: the images.
        delta: error of a pixel at which the loss changes from squares to absolute values.
    """
    return huber_loss(reconstruction, images, reduction="none", delta=delta).flatten(1).sum(1)
