"""Which pictures are held out where the source does not say so itself."""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from genlab.core.errors import DataError

SHARE = 0.1
RULE = "about 10% by a hash of each name: a picture keeps its side however the others change"


def held_out(names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which of `names` (N,) are held out: about 10% of them, at least one, never all.

    The side is a function of the name alone, so that files added later move no other file across; only
    where no hash falls below the threshold is the smallest one taken.

    Raises:
        DataError: fewer than two names.
    """
    if len(names) < 2:
        raise DataError(
            f"{len(names)} picture(s) cannot be split into a training and a held-out part: give at least 2."
        )
    hashes = np.array([_hash(name) for name in names], dtype=np.uint64)
    chosen = hashes < np.uint64(int(SHARE * 2**64))
    if not chosen.any():
        chosen[hashes.argmin()] = True
    if chosen.all():
        chosen[hashes.argmax()] = False
    return chosen


def _hash(name: str) -> int:
    data = name.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, person=b"held-out").digest(), "little")
