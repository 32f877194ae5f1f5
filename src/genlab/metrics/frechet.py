"""The Fréchet distance between two sets of features, each approximated by a Gaussian.

A Gaussian is stored as its mean and a root R of its covariance, C = RᵀR. Then tr (C₁C₂)^½ is the sum of the
singular values of R₁R₂ᵀ. This needs no square root of a matrix, keeps digits that C₁C₂ would lose, and is cheap
for few images: the root of N centred features is the features themselves, divided by √(N − 1).

References:
    Fréchet, 1957. Sur la distance de deux lois de probabilité.
    Heusel et al., 2017. GANs Trained by a Two Time-Scale Update Rule. arXiv:1706.08500.
    Mathiasen and Hvilshøj, 2020. Backpropagating through Fréchet Inception Distance. arXiv:2009.14075: few images.
    Chan, Golub and LeVeque, 1983. Algorithms for Computing the Sample Variance: sums of parts.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from genlab.core.errors import GenlabError
from genlab.metrics.estimate import Estimate

NEGLIGIBLE = 1e-7  # of the largest singular value: smaller ones belong to directions that one of the sets lacks
TOLERANCE = 1e-7  # largest relative error of the sum of the singular values by the faster method
LARGE = 256  # rows from which the faster method is tried
ROUNDING = 10 * torch.finfo(torch.float64).eps  # error of an eigenvalue, as a fraction of the largest
FEW = 0.75  # images per dimension up to which the features themselves are the cheaper root


@dataclass(frozen=True)
class Moments:
    """Number, mean and scatter matrix of features; the moments of a union are their sum.

    They have about D² numbers for a set of any size, so that sets can be streamed and shared among processes.
    """

    count: int
    mean: Tensor  # (D,), float64
    scatter: Tensor  # Σ (x − μ)(x − μ)ᵀ, (D, D), float64

    def __add__(self, other: "Moments") -> "Moments":
        """Return the moments of the union of both sets."""
        count = self.count + other.count
        shift = other.mean - self.mean
        scatter = self.scatter + other.scatter + torch.outer(shift, shift) * (self.count * other.count / count)
        return Moments(count, self.mean + shift * (other.count / count), scatter)


def moments(features: Tensor) -> Moments:
    """Return the moments of features (N, D)."""
    features = features.double()
    mean = features.mean(0)
    centred = features - mean
    return Moments(len(features), mean, centred.T @ centred)


@dataclass(frozen=True)
class Gaussian:
    """N(μ, RᵀR)."""

    mean: Tensor  # (D,), float64
    root: Tensor  # R, (rank or more, D), float64

    @cached_property
    def spread(self) -> float:
        """tr C = ‖R‖²."""
        return float(self.root.square().sum())


def gaussian(features: Tensor | Moments, name: str = "") -> Gaussian:
    """Return the Gaussian with the mean and the unbiased covariance of features (N, D) or of their moments.

    Args:
        features: features, or their moments, which are cheaper for many images.
        name: of the images in errors.

    Raises:
        GenlabError: fewer than two images, or features that are NaN or infinite.
    """
    given = features.count if isinstance(features, Moments) else len(features)
    if given < 2:
        raise GenlabError(f"the Fréchet distance needs 2 {name} images or more, not {given}".replace("  ", " "))
    if isinstance(features, Tensor) and len(features) > FEW * features.shape[1]:
        features = moments(features)
    if isinstance(features, Tensor):
        features = features.double()
        mean = features.mean(0)
        root = (features - mean) / math.sqrt(given - 1)
    else:
        mean, root = features.mean, _root(features.scatter / (given - 1))
    if not torch.isfinite(mean).all():
        raise GenlabError(f"the features of the {name} images are not finite".replace("  ", " "))
    return Gaussian(mean, root)


def frechet_distance(real: Tensor | Moments | Gaussian, fake: Tensor | Moments | Gaussian) -> float:
    """|μ₁ − μ₂|² + tr(C₁ + C₂ − 2 (C₁C₂)^½) for the means and covariances of two sets of features.

    Covariances may have any rank; a result that is negative by rounding becomes 0.

    Args:
        real: features (N, D), N ≥ 2, or their moments or Gaussian.
        fake: features (M, D), M ≥ 2, or their moments or Gaussian.

    Raises:
        GenlabError: fewer than two images, features that are NaN or infinite, or sets with different numbers of
            features.
    """
    one = real if isinstance(real, Gaussian) else gaussian(real, "real")
    two = fake if isinstance(fake, Gaussian) else gaussian(fake, "fake")
    if one.mean.shape != two.mean.shape:
        raise GenlabError(
            f"the images have {len(one.mean)} and {len(two.mean)} features: use one extractor for both"
        )
    return _distance(one, two, _singular_values(one.root @ two.root.T))


def frechet_estimate(real: Gaussian, fake: Gaussian, features: Tensor, count: int) -> Estimate:
    """Return the distance and its standard error over samples of the model.

    By the delta method, the influence of one sample y on the distance is

        ψ(y) = 2 (μ₂ − μ₁)ᵀ(y − μ₂) + (y − μ₂)ᵀ(I − T)(y − μ₂)

    where T is the optimal transport from fake to real, T C₂ T = C₁; the error is the standard deviation of ψ over
    √count. It does not include the bias from the number of images, which two models measured alike share.

    Args:
        real: Gaussian of the real images.
        fake: Gaussian of the generated images.
        features: features of some of the generated images, (N, D).
        count: number of generated images from which `fake` was computed.
    """
    left, values, _ = torch.linalg.svd(real.root @ fake.root.T, full_matrices=False)
    kept = values > values[0] * NEGLIGIBLE
    # T = R₁ᵀ U S⁻¹ Uᵀ R₁, so that yᵀT y is a sum of squares.
    whitened = (real.root.T @ left[:, kept]) / values[kept].sqrt()
    away = features.double() - fake.mean
    change = 2 * away @ (fake.mean - real.mean) + away.square().sum(1) - (away @ whitened).square().sum(1)
    return Estimate(_distance(real, fake, values), float(change.std()) / math.sqrt(count))


def _distance(one: Gaussian, two: Gaussian, singular_values: Tensor) -> float:
    """Return the distance, given the singular values of R₁R₂ᵀ."""
    between = float((one.mean - two.mean).square().sum())
    return max(between + one.spread + two.spread - 2 * float(singular_values.sum()), 0.0)


def _singular_values(product: Tensor) -> Tensor:
    """Return the singular values of P: if accurate enough, as square roots of the eigenvalues of PPᵀ.

    This takes a third of the time. An eigenvalue λ ± δ has the root √λ ± δ/(2√λ), at most ± √δ, so the error of
    the sum can be bounded, and the method is rejected if it is too large.
    """
    narrow = product if len(product) <= product.shape[1] else product.T
    if len(narrow) >= LARGE:
        squares: Tensor = torch.linalg.eigvalsh(narrow @ narrow.T).clamp(min=0)
        values = squares.sqrt()
        rounding = ROUNDING * squares.max()
        error = torch.minimum(rounding.sqrt(), rounding / (2 * values)).sum()
        if error <= TOLERANCE * values.sum():
            return values
    exact: Tensor = torch.linalg.svdvals(product)
    return exact


def _root(covariance: Tensor) -> Tensor:
    """Return R (rank, D) with RᵀR = C: the Cholesky factor, with pivoting unless C has full rank."""
    if not torch.isfinite(covariance).all():
        return covariance  # the caller reports it, by its check of the mean
    full: Tensor
    full, failed = torch.linalg.cholesky_ex(covariance, upper=True)
    if not failed:
        return full
    from scipy.linalg.lapack import dpstrf  # takes a quarter of a second

    factor, pivots, rank, _ = dpstrf(covariance.cpu().numpy(), lower=0)
    upper = torch.from_numpy(factor).triu()[:rank]
    root = torch.empty_like(upper)
    root[:, torch.from_numpy(pivots).long() - 1] = upper
    return root.to(covariance.device)
