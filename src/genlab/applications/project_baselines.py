"""What a projection is compared with: the nearest training example, and a linear model with as many latents."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.core.batch import at_once
from genlab.data.dataset import Split
from genlab.metrics.neighbours import nearest
from genlab.runs.statistics import random_rows

MOST, NUMBERS = 10_000, 2**24  # training examples that are compared, and numbers of them all


@dataclass(frozen=True)
class Baselines:
    """Training examples, and their principal components."""

    examples: Tensor  # (N, D)
    pca: Any  # of scikit-learn, fitted to them

    def nearest(self, x: Tensor) -> Tensor:
        """Return the training example that is nearest to each of x (B, *shape) in pixels."""
        return self.examples[nearest(x.flatten(1), self.examples)[1]].view(x.shape)

    def principal(self, x: Tensor) -> Tensor:
        """Return what the principal components keep of x (B, *shape)."""
        kept = self.pca.inverse_transform(self.pca.transform(x.flatten(1).numpy()))
        return torch.from_numpy(kept).float().view(x.shape)


def baselines_of(train: Split, latent: int) -> Baselines:
    """Return the baselines of a model with `latent` latents, from at most 10,000 training examples."""
    from sklearn.decomposition import PCA

    shape = train.spec.target.shape
    count = max(2, min(MOST, NUMBERS // int(np.prod(shape))))
    rows = np.sort(random_rows(len(train), count))
    parts = [
        train.batch(rows[at : at + at_once(shape)]).x.flatten(1) for at in range(0, len(rows), at_once(shape))
    ]
    examples = torch.cat(parts)
    components = min(latent, *examples.shape)
    return Baselines(examples, PCA(components, random_state=0).fit(examples.numpy()))
