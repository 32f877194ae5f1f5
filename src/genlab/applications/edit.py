"""Moves pictures along a direction of the latent space that stands for an attribute.

References:
    Larsen, Sønderby, Larochelle and Winther, 2016. Autoencoding beyond pixels using a learned similarity metric.
    arXiv:1512.09300: the difference of mean latents.
    Shen, Gu, Tang and Zhou, 2020. Interpreting the Latent Space of GANs for Semantic Face Editing.
    arXiv:1907.10786: the normal of a linear classifier.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.applications.project import Codes
from genlab.core.contract import Decodes
from genlab.core.errors import DataError


def direction(towards: Tensor, rest: Tensor, *, probe: bool = False) -> Tensor:
    """Return the direction d from examples without an attribute to those with it.

    d is the difference of the means, so that a step of 1 leads from one mean to the other. Of a probe it is the
    normal n of a logistic regression that tells both apart, as long as the difference of the means is along it:
    n nᵀ(difference) / ‖n‖².

    Args:
        towards: (N, D).
        rest: (M, D).
        probe: whether to take the normal.

    Returns:
        (D,).

    Raises:
        DataError: there are no examples on one side, or their means are the same.
    """
    if not len(towards) or not len(rest):
        raise DataError("a direction needs examples on both sides, and one of them has none.")
    difference = towards.mean(0) - rest.mean(0)
    if not difference.any():
        raise DataError(
            "both sides have the same mean, so that there is no direction between them. Train the model longer, "
            "or give other pictures."
        )
    if not probe:
        return difference
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scale, found = StandardScaler(), LogisticRegression(max_iter=1000)
    known = np.repeat([1, 0], [len(towards), len(rest)])
    make_pipeline(scale, found).fit(torch.cat([towards, rest]).cpu().numpy(), known)
    normal = torch.from_numpy(found.coef_[0] / scale.scale_).to(difference)
    return normal * (normal @ difference) / normal.square().sum()


def moved(model: nn.Module, codes: Codes, step: Tensor, strengths: Sequence[float]) -> Tensor:
    """Return the decodings of z + s·d for each strength s, (B, S, *shape).

    Raises:
        GenlabError: the model does not decode.
    """
    decode = need(model, Decodes, "genlab edit").decode
    step = step.to(codes.latents)
    return torch.stack([decode(codes.latents + s * step, codes.condition) for s in strengths], 1)


def relabelled(model: nn.Module, codes: Codes, label: int) -> Tensor:
    """Return the decodings of latents under their own classes and under another one, (B, 2, *shape).

    Raises:
        GenlabError: the model does not decode.
    """
    decode = need(model, Decodes, "genlab edit").decode
    changed = {**codes.condition, "label": torch.full_like(codes.condition["label"], label)}
    return torch.stack([decode(codes.latents, condition) for condition in (codes.condition, changed)], 1)
