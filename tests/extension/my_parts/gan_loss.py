"""A loss for GANs: `--loss squared-hinge --squared-hinge-margin 2`."""

from torch import Tensor
from torch.nn.functional import relu

import genlab


@genlab.part("gan-loss", "squared-hinge")
class SquaredHinge:
    """The discriminator minimises E[max(0, m − D(x))²] + E[max(0, m + D(G(z)))²], the generator −E[D(G(z))].

    Args:
        margin: m; beyond it an output no longer changes the discriminator.
    """

    @staticmethod
    def discriminator(real: Tensor, fake: Tensor, *, margin: float = 1.0) -> Tensor:
        """Return the loss for the outputs (n,) of real and of generated images."""
        return relu(margin - real).square().mean() + relu(margin + fake).square().mean()

    @staticmethod
    def generator(fake: Tensor) -> Tensor:
        """Return the loss for the outputs (n,) of generated images."""
        return -fake.mean()
