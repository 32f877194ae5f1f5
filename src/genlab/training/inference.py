"""Temporary evaluation mode."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def inference_mode(model: nn.Module) -> Iterator[None]:
    """Put `model` into evaluation mode without gradients, and back into its mode at the end."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        yield
    model.train(was_training)
