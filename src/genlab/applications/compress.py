"""Compresses pictures into the rounded latents of a model, and decodes them."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from genlab.applications import latent_code
from genlab.applications.capability import need
from genlab.applications.glz import Block, Size, Writer
from genlab.applications.latent_code import Code, Floats, Scales, Whole
from genlab.core.batch import at_once
from genlab.core.condition import NONE, Condition
from genlab.core.contract import Classifies, Decodes, Encodes, Inverts, Reconstructs
from genlab.core.device import device_of
from genlab.core.errors import DataError, GenlabError, UsageError
from genlab.core.files import storage
from genlab.core.modality import Classes, Modality
from genlab.core.random import generator
from genlab.data.dataset import Rejected, Split
from genlab.data.originals import Originals, stacked
from genlab.data.progress import bar
from genlab.runs.data import open_recorded
from genlab.runs.recorded import plan_of
from genlab.training.run_folder import RunFolder

FITTED, PERTURBED = 10_000, 256  # training pictures that give the quantiles; the gains
PURPOSE = "genlab compress"


class Coder:
    """A model that maps pictures to latents and back, as a function of arrays.

    Raises:
        UsageError: a model of other data than pictures.
        GenlabError: a model without latents, or a flow.
    """

    def __init__(self, model: nn.Module, modality: Modality) -> None:
        if isinstance(model, Inverts):
            raise GenlabError(
                f"{PURPOSE} needs a model with a bottleneck; a flow has as many latents as a picture has numbers. "
                "Lossless compression by a flow (bits-back coding) is not done. Try: conv-autoencoder, conv-vae."
            )
        if modality.spatial != 2:
            raise UsageError(f"{PURPOSE} is for models of pictures; this one makes {modality.noun}.")
        need(model, Reconstructs, PURPOSE)  # whose presets are those that have a bottleneck
        self._encodes, self._decodes = need(model, Encodes, PURPOSE), need(model, Decodes, PURPOSE)
        self.model, self.modality, self.device = model, modality, device_of(model)
        label = getattr(model, "conditions", {}).get("label")
        self.classes = len(label) if isinstance(label, Classes) and isinstance(model, Classifies) else 0
        self.latents = self.encode(torch.zeros(1, *modality.shape))[0].shape[1]

    def encode(self, x: Tensor) -> tuple[Floats, Whole]:
        """Return the latents (B, D) of pictures, and their inferred class (B, 1), or (B, 0) without classes."""
        x = x.to(self.device)
        condition: Condition = NONE
        labels = torch.zeros(len(x), 0)
        if self.classes and isinstance(self.model, Classifies):
            condition = {"label": self.model.classify(x)}
            labels = condition["label"][:, None].cpu()
        latents = self._encodes.encode(x, condition).flatten(1)
        return latents.float().cpu().numpy(), labels.numpy().astype(np.int64)

    def decode(self, latents: Tensor, labels: Whole) -> Tensor:
        """Return the pictures (B, *shape) of latents (B, D) and their classes."""
        given = torch.from_numpy(labels).to(self.device)
        return self._decodes.decode(latents.to(self.device), {"label": given[:, 0]} if self.classes else NONE)

    def block(self, code: Code, x: Tensor, names: Sequence[str], sizes: Sequence[Size]) -> Block:
        """Return pictures as a block of a file."""
        latents, labels = self.encode(x)
        rounded, beyond = code.rounded(latents)
        return Block(names, sizes, code.pack(np.concatenate([rounded, labels], 1)), beyond)

    def pictures(self, code: Code, block: Block) -> Iterator[Tensor]:
        """Yield the pictures of a block, (B, *shape), some at a time.

        Raises:
            DataError: they are damaged.
        """
        found = code.unpack(block.codes, len(block.names))
        each = at_once(self.modality.shape)
        for start in range(0, len(found), each):
            part = found[start : start + each]
            latents = torch.from_numpy(code.restored(part[:, : self.latents]))
            yield self.decode(latents, part[:, self.latents :]).cpu()

    def fit(self, split: Split) -> Scales:
        """Return the scales of the latents of training pictures."""
        rows = np.unique(np.linspace(0, len(split) - 1, min(len(split), FITTED)).astype(np.int64))
        parts = [self.encode(split.batch(part).x) for part in np.array_split(rows, -(-len(rows) // 250))]
        latents, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
        chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), PERTURBED)).astype(np.int64))
        each = min(at_once(self.modality.shape), 64)
        sums = np.zeros(self.latents)
        draws = generator(0, "gains of latents")
        for start in range(0, len(chosen), each):
            part = chosen[start : start + each]
            decode = partial(self.decode, labels=labels[part])
            gains = latent_code.gains(decode, torch.from_numpy(latents[part]), draws)
            sums += len(part) / len(chosen) * np.square(gains.numpy())
        return latent_code.fit(latents, np.sqrt(sums).astype(np.float32))


def open_code(
    coder: Coder,
    folder: RunFolder,
    weights: str,
    step: int,
    data: str | None = None,
    *,
    scales: bytes | None = None,
) -> Code:
    """Return the code of a run at a step.

    Its scales are in the folder `compression` of the run; if they are missing, they are fitted to its training
    pictures and written.

    Args:
        coder: the run's model.
        folder: of the run.
        weights: the hash of its checkpoint.
        step: in grey levels.
        data: where the training data are now.
        scales: the hash that the scales must have, 8 bytes.

    Raises:
        DataError: the scales are damaged, or others than those asked for.
        StorageError: the disk refused.
    """
    path = folder.path / "compression" / f"{weights[:16]}.npz"
    if path.is_file():
        found = latent_code.load(path, coder.latents)
    else:
        found = coder.fit(open_recorded(folder, plan_of(folder).settings, data, quiet=True).train)
        with storage(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        latent_code.save(found, path)
    if scales not in (None, found.digest):
        raise DataError(
            f"{path} holds other scales of the latents than those that the pictures were compressed with. Copy "
            "that file from the run folder in which they were compressed."
        )
    return Code(found, step, coder.classes)


def compress_each(coder: Coder, code: Code, given: Originals, into: Writer, *, progress: bool) -> list[Rejected]:
    """Append all pictures to a file, except those that are there; return what is no picture.

    Raises:
        StorageError: the disk refused.
    """
    rejected = list[Rejected]()
    with bar(progress) as shown:
        task = shown.add_task("compressing", total=given.count, completed=len(into.names))
        for chunk in given.chunks(rejected, done=set(into.names)):
            into.add(coder.block(code, stacked(chunk), [e.name for e in chunk], [e.size for e in chunk]))
            shown.update(task, completed=len(into.names) + len(rejected))
    return rejected
