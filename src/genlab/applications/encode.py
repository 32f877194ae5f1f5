"""Latents of examples."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from genlab.applications.capability import need
from genlab.applications.project_files import labels_of
from genlab.applications.rows import Rows
from genlab.core.contract import Classifies, Encodes
from genlab.core.device import device_of
from genlab.core.modality import Modality
from genlab.data.dataset import Rejected
from genlab.data.originals import Originals, squashed_of, stacked
from genlab.data.progress import bar


def latents_of(model: nn.Module, modality: Modality) -> int:
    """Return the number of latents of an example.

    Raises:
        GenlabError: the model does not encode.
    """
    encodes = need(model, Encodes, "genlab encode")
    return encodes.encode(torch.zeros(1, *modality.shape, device=device_of(model))).flatten(1).shape[1]


def encode_each(
    model: nn.Module, given: Originals, rows: Rows, classes: Sequence[str], *, progress: bool
) -> tuple[list[Rejected], int]:
    """Append the latents of all examples to `rows`, except of those that are there.

    Return what is no picture, and how many pictures were squashed to the shape of the model.

    A model with `classes` encodes an example under its own class, or under the one that it infers if it does not
    know that one. This is the class in `rows`, under which the latents are decoded.

    Raises:
        GenlabError: the model does not encode.
        StorageError: the disk refused.
    """
    encodes, rejected, squashed = need(model, Encodes, "genlab encode"), list[Rejected](), 0
    with bar(progress) as shown:
        task = shown.add_task("encoding", total=given.count, completed=len(rows.names))
        for chunk in given.chunks(rejected, done=set(rows.names)):
            x, labels = stacked(chunk).to(device_of(model)), [each.label for each in chunk]
            condition = {}
            if classes and isinstance(model, Classifies):
                own = labels_of(chunk, classes).to(x.device)
                condition["label"] = torch.where(own < 0, model.classify(x), own)
                labels = [classes[label] for label in condition["label"].tolist()]
            latents = encodes.encode(x, condition).flatten(1)
            rows.add([each.name for each in chunk], labels, np.asarray(latents.cpu()))
            squashed += squashed_of([each.size for each in chunk], given.modality.shape)
            shown.update(task, completed=len(rows.names) + len(rejected))
    return rejected, squashed
