"""A pool of generated images of the past, which a discriminator is shown again.

References:
    Shrivastava et al., 2017. Learning from Simulated and Unsupervised Images through Adversarial Training, section
    2.3. arXiv:1612.07828.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class Pool:
    """Remembers generated images, so that a discriminator does not forget what the generator made before.

    Until the pool is full, each image is remembered and shown. Then each is, with probability ½, remembered in the
    place of an earlier one, which is shown instead of it.

    Args:
        size: number of images; with 0 the current ones are always shown.
        shape: of an image.
        device: of the images.
    """

    def __init__(self, size: int, shape: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.images = torch.zeros(size, *shape, device=device)
        self.count = torch.zeros((), dtype=torch.int64)  # on the CPU: read in every step

    def shown(self, made: Tensor, draws: torch.Generator) -> Tensor:
        """Return what the discriminator is shown (B, *shape) for new images (B, *shape), and remember these."""
        shown, size = made.clone(), len(self.images)
        for row, (chance, place) in enumerate(torch.rand(len(made), 2, generator=draws).tolist()):
            if self.count < size:
                self.images[int(self.count)] = made[row]
                self.count += 1
            elif size and chance < 0.5:
                earlier = int(place * size)
                shown[row] = self.images[earlier]
                self.images[earlier] = made[row]
        return shown
