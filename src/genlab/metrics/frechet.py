"""The Fréchet distance between two sets of features, each seen as a Gaussian."""

import numpy as np
from numpy.typing import NDArray

from genlab.core.errors import GenlabError

Matrix = NDArray[np.float64]


def frechet_distance(real: Matrix, fake: Matrix) -> float:
    """|μ₁ − μ₂|² + tr(C₁ + C₂ − 2 (C₁^½ C₂ C₁^½)^½) for the means and covariances of two sets of features.

    The square roots come from eigendecompositions of symmetric matrices, which exist for rank-deficient
    covariances too; rounding below zero is cut off.

    Args:
        real: (N, D), N ≥ 2.
        fake: (M, D), M ≥ 2.

    Raises:
        GenlabError: fewer than two rows, or a feature that is NaN or infinite.

    References:
        Fréchet, 1957. Sur la distance de deux lois de probabilité.
        Heusel et al., 2017. GANs Trained by a Two Time-Scale Update Rule. arXiv:1706.08500.
    """
    for name, features in (("real", real), ("fake", fake)):
        if len(features) < 2:
            raise GenlabError(f"the Fréchet distance needs 2 {name} images or more, not {len(features)}")
        if not np.isfinite(features).all():
            raise GenlabError(f"the features of the {name} images are not finite")
    root = _square_root(_covariance(real))
    covariance = _covariance(fake)
    cross = np.linalg.eigvalsh(root @ covariance @ root)
    between = np.square(real.mean(0) - fake.mean(0)).sum()
    distance = between + np.square(root).sum() + np.trace(covariance) - 2 * np.sqrt(cross.clip(0)).sum()
    return float(max(distance, 0.0))


def _covariance(features: Matrix) -> Matrix:
    covariance: Matrix = np.atleast_2d(np.cov(features, rowvar=False))  # a number where D = 1
    return covariance


def _square_root(covariance: Matrix) -> Matrix:
    values, vectors = np.linalg.eigh(covariance)
    root: Matrix = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return root
