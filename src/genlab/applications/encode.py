"""Latents of examples."""

import numpy as np
import torch
from torch import nn

from genlab.applications.capability import need
from genlab.applications.rows import Rows
from genlab.core.contract import Encodes
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


def encode_each(model: nn.Module, given: Originals, rows: Rows, *, progress: bool) -> tuple[list[Rejected], int]:
    """Append the latents of all examples to `rows`, except of those that are there.

    Return what is no picture, and how many pictures were squashed to the shape of the model.

    Raises:
        GenlabError: the model does not encode.
        StorageError: the disk refused.
    """
    encodes, rejected, squashed = need(model, Encodes, "genlab encode"), list[Rejected](), 0
    with bar(progress) as shown:
        task = shown.add_task("encoding", total=given.count, completed=len(rows.names))
        for chunk in given.chunks(rejected, done=set(rows.names)):
            latents = encodes.encode(stacked(chunk).to(device_of(model))).flatten(1)
            rows.add([each.name for each in chunk], [each.label for each in chunk], np.asarray(latents.cpu()))
            squashed += squashed_of([each.size for each in chunk], given.modality.shape)
            shown.update(task, completed=len(rows.names) + len(rejected))
    return rejected, squashed
