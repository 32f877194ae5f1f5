"""Reconstruction errors of each example, summed over pixels or columns.

A decoder outputs pre-activations a; the image is tanh(a). Each function takes a, so that it can compute its error
exactly and stably. All return (B,). A row of `RECONSTRUCTION` makes the function for a modality: of tables it is
that of `objectives/columns.py`.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from genlab.core.errors import UsageError
from genlab.core.modality import Modality
from genlab.core.parts import Part, Table
from genlab.core.table import Table as TableModality
from genlab.objectives.columns import ColumnDistance, ColumnGaussian, absolute

Reconstruction: TypeAlias = Callable[[Tensor, Tensor], Tensor]


@runtime_checkable
class DrawsExamples(Protocol):
    """A likelihood whose means are no typical examples, such as that of categories: it draws some."""

    def draw(self, activations: Tensor, noise: Tensor) -> Tensor:
        """Return a draw of p(x | z), (B, *shape), from raw outputs and standard normal noise (B, *shape)."""
        ...


def mse(activations: Tensor, images: Tensor) -> Tensor:
    """Σ (tanh(a) − x)²: the negative log-likelihood, up to a constant, of a Gaussian with variance ½."""
    return (torch.tanh(activations) - images).square().flatten(1).sum(1)


def l1(activations: Tensor, images: Tensor) -> Tensor:
    """Σ |tanh(a) − x|: the negative log-likelihood, up to a constant, of a Laplace distribution with scale 1."""
    return (torch.tanh(activations) - images).abs().flatten(1).sum(1)


def bce(activations: Tensor, images: Tensor) -> Tensor:
    """Σ −[y log p + (1 − y) log(1 − p)] in nats, with y = (x + 1)/2 and p = (tanh(a) + 1)/2 = sigmoid(2a).

    For binary images it is the exact negative log-likelihood. For grey levels in between it is not normalised
    (Loaiza-Ganem and Cunningham, 2019), but it trains well.

    References:
        Kingma and Welling, 2013. Auto-Encoding Variational Bayes, appendix C.1. arXiv:1312.6114.
        Loaiza-Ganem and Cunningham, 2019. The continuous Bernoulli. arXiv:1907.06845.
    """
    # −y log p − (1 − y) log(1 − p) = log(1 + exp(2a)) − 2ay, in fewer passes than PyTorch's own.
    normaliser = 2 * softplus(activations, beta=2)
    return (normaliser - activations * (images + 1)).flatten(1).sum(1)


class LearnedVarianceGaussian(nn.Module):
    """Σ ½ [(x − tanh(a))²/σ² + log 2πσ²] in nats: a normalised density, with one learned σ for all pixels.

    log σ = b + softplus(s − b) with the learned parameter s, which starts at 0, and the lower limit b = −6:
    without a limit, the density of an exactly reconstructed image would be unbounded. At the limit σ is a third of
    an 8-bit grey level.

    References:
        Rybkin, Daniilidis and Levine, 2021. Simple and Effective VAE Training with Calibrated Decoders.
        arXiv:2006.13202.
    """

    LEAST = -6.0

    def __init__(self) -> None:
        super().__init__()
        self.free_log_deviation = nn.Parameter(torch.zeros(()))

    @property
    def log_deviation(self) -> Tensor:
        """log σ, 0-dimensional; σ in the units of images in [-1, 1]."""
        return self.LEAST + softplus(self.free_log_deviation - self.LEAST)

    def forward(self, activations: Tensor, images: Tensor) -> Tensor:
        """Return −log N(x; tanh(a), σ²) of each image, (B,)."""
        log_deviation = self.log_deviation
        distances = (torch.tanh(activations) - images).square() * (-2 * log_deviation).exp()
        return (0.5 * (distances + math.log(2 * math.pi)) + log_deviation).flatten(1).sum(1)


class OwnReconstruction(nn.Module):
    """A user's own loss of reconstructions and images, (B, *shape) in [-1, 1], one number for each image.

    Args:
        loss: a function or a module. It gets the reconstructions tanh(a), or a itself if its first parameter is
            called `activations`.
        name: of the loss in errors.
        squash: what takes the place of tanh for other data.
    """

    def __init__(self, loss: Reconstruction, name: str, squash: Callable[[Tensor], Tensor] = torch.tanh) -> None:
        super().__init__()
        self.loss, self.name, self.squash = loss, name, squash
        function = loss.forward if isinstance(loss, nn.Module) else loss
        self.of_activations = next(iter(inspect.signature(function).parameters), "") == "activations"

    def forward(self, activations: Tensor, images: Tensor) -> Tensor:
        """Return the loss of each image, (B,).

        Raises:
            UsageError: the loss has another shape.
        """
        made = self.loss(activations if self.of_activations else self.squash(activations), images)
        if not isinstance(made, Tensor) or made.shape != images.shape[:1]:
            got = f"shape {tuple(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
            raise UsageError(
                f'the reconstruction loss "{self.name}" must return one number for each of {len(images)} images, '
                f"shape ({len(images)},), not {got}: sum over the pixels with .flatten(1).sum(1)."
            )
        return made


def own_reconstruction(part: Part, own: Mapping[str, Any]) -> Callable[[Modality], Reconstruction]:
    """Return a function that makes a user's own loss: a function, or a module class for one with weights.

    Raises:
        UsageError: it is neither.
    """
    if not callable(part.value) or isinstance(part.value, nn.Module):
        raise UsageError(
            f'the reconstruction loss "{part.name}" must be a function (reconstructions, images) -> (batch,), or '
            f"a torch.nn.Module class of one, not a {type(part.value).__name__}."
        )
    loss = part.bound(own)
    return lambda modality: OwnReconstruction(
        loss() if inspect.isclass(part.value) else loss, part.name, modality.squash
    )


def _bce_for(modality: Modality) -> Reconstruction:
    if isinstance(modality, TableModality):
        raise UsageError(
            "--reconstruction bce is for values in [-1, 1], and the numbers of a table have no limits. Set "
            "--reconstruction gaussian or mse, without --binarise, or use table-vae."
        )
    return bce


RECONSTRUCTION: Table[Callable[[Modality], Reconstruction]] = Table(
    "reconstruction",
    {
        "mse": lambda modality: ColumnDistance(modality) if isinstance(modality, TableModality) else mse,
        "l1": lambda modality: ColumnDistance(modality, absolute) if isinstance(modality, TableModality) else l1,
        "bce": _bce_for,
        "gaussian": lambda modality: (
            ColumnGaussian(modality) if isinstance(modality, TableModality) else LearnedVarianceGaussian()
        ),
    },
    own_reconstruction,
)
