"""The classes of images that are to be made."""

import torch
from torch import Tensor

from genlab.core.errors import UsageError


def round_robin(count: int, classes: int, device: torch.device | None = None) -> Tensor | None:
    """Return i % K for each of `count` rows i, (count,); None for a model of no classes."""
    return torch.arange(count, device=device) % classes if classes else None


def chosen(labels: Tensor | None, count: int, classes: int, device: torch.device | None = None) -> Tensor | None:
    """Return `labels` (count,), or without any those of `round_robin`.

    Raises:
        UsageError: another number of labels than of images, or labels that are none of the model's classes.
    """
    if labels is None:
        return round_robin(count, classes, device)
    if labels.shape != (count,):
        raise UsageError(f"labels of shape {tuple(labels.shape)} for {count} images, which take ({count},).")
    if count and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        knows = f"0 to {classes - 1}" if classes else "none"
        raise UsageError(f"labels {labels.min()} to {labels.max()} are asked for, and the model knows {knows}.")
    return labels
