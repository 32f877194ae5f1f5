"""The Inception score: how confident a classifier is about each image, and how evenly it predicts the classes.

References:
    Salimans et al., 2016. Improved Techniques for Training GANs. arXiv:1606.03498.
    Barratt and Sharma, 2018. A Note on the Inception Score. arXiv:1801.01973: its limitations.
"""

import torch
from torch import Tensor
from torch.special import entr

from genlab.core.errors import GenlabError
from genlab.metrics.estimate import Estimate

SPLITS = 10


def inception_score(probabilities: Tensor, splits: int = SPLITS) -> Estimate:
    """exp(E KL(p(y|x) ‖ p(y))), between 1 and the number of classes: its mean over splits and the standard error.

    It does not use real images: a model that repeats one image of each class has the best score.

    Args:
        probabilities: p(y|x) of a classifier, (N, K), in random order.
        splits: number of parts on which it is computed.

    Raises:
        GenlabError: fewer images than splits, or values that are not probabilities.
    """
    if len(probabilities) < splits:
        raise GenlabError(f"the score of a classifier needs {splits} images or more, not {len(probabilities)}")
    probabilities = probabilities.double()
    if not torch.isfinite(probabilities).all() or probabilities.min() < 0:
        raise GenlabError("the classifier's probabilities are not finite, or negative")
    scores = torch.stack([_score(part) for part in torch.tensor_split(probabilities, splits)])
    error = float(scores.std()) / splits**0.5 if splits > 1 else float("nan")
    return Estimate(float(scores.mean()), error)


def _score(conditional: Tensor) -> Tensor:
    """exp(E KL(p(y|x) ‖ p(y))); the KL is the entropy of the mean minus the mean of the entropies."""
    information: Tensor = entr(conditional.mean(0)).sum() - entr(conditional).sum(1).mean()
    return information.exp()
