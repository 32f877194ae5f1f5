"""Decides which examples are held out, if the source has no split of its own."""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from genlab.core.errors import DataError

SHARE = 0.1
RULE = "about 10% by a hash of each name: a picture stays in its split when others are added or removed"


def held_out(names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which of `names` are held out, (N,): about 10% of them, at least one, never all.

    It depends on each name alone, so adding files does not move others to the other split; only if no hash is
    below the threshold, the smallest one is held out.

    Raises:
        DataError: fewer than two names.
    """
    if len(names) < 2:
        raise DataError("one picture cannot be split into a training and a held-out part. Give at least 2.")
    hashes = np.array([_hash(name) for name in names], dtype=np.uint64)
    out = hashes < np.uint64(int(SHARE * 2**64))
    if not out.any():
        out[hashes.argmin()] = True
    if out.all():
        out[hashes.argmax()] = False
    return out


def _hash(name: str) -> int:
    data = name.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, person=b"held-out").digest(), "little")
