"""Cuts a batch into parts, for batches that do not fit into memory."""

from collections.abc import Iterator

from genlab.core.batch import Batch
from genlab.core.random import Randomness


def parts(batch: Batch, randomness: Randomness, count: int) -> Iterator[tuple[Batch, Randomness]]:
    """Cut a batch into `count` equal parts, each with the randomness of its rows.

    Each part draws its rows of the whole batch's noise, so a loss that is a mean over images has the same gradient
    for any number of parts. Layers and losses that mix images (batch normalisation, the initialisation of
    activation normalisation, minibatch layers, relativistic losses, feature matching) see one part at a time.
    """
    for number, part in enumerate(batch.parts(count)):
        yield part, randomness.part(number, count)
