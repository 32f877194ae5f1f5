"""A batch in parts, for batches that do not fit into memory as a whole."""

from collections.abc import Iterator

from genlab.core.batch import Batch
from genlab.core.random import Randomness


def parts(batch: Batch, randomness: Randomness, count: int) -> Iterator[tuple[Batch, Randomness]]:
    """Cut a batch into `count` parts of equally many rows, each with the randomness of its rows.

    Each part draws its rows of the whole batch's noise, so a loss that is a mean over images has the same gradient
    for any number of parts. What looks at several images at once (batch normalisation, the start of activation
    normalisation, minibatch layers, relativistic losses, feature matching) sees those of one part.
    """
    for number, part in enumerate(batch.parts(count)):
        yield part, randomness.part(number, count)
