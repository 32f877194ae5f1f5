"""Numbers that show whether data are fit for training."""

import hashlib
import math

import numpy as np

from genlab.core.random import derive_seed
from genlab.data.dataset import Split
from genlab.data.pair_relation import pair_relation

LOOKED_AT = 3e7  # pixel values that are read; of larger data a random subset, the same every time
CHUNK = 256  # images in memory at a time
LEVEL = 1 / 255  # standard deviation of pixels in [-1, 1] below which an image has a single colour


def facts(data: Split) -> dict[str, float]:
    """Return what the doctor needs to know about a split.

    - images, classes: their numbers;
    - rarest: images in the smallest class, divided by the mean over classes;
    - only for images: constant, the share of images with a single colour; duplicates, the share of images that are
      equal to an earlier one; low and high, the 0.5 % and 99.5 % quantiles of the pixels, in [-1, 1];
    - only for pairs of images: pair_relation, as `pair_relation.py` explains.
    """
    found = {"images": float(len(data)), "classes": float(data.spec.classes)}
    if data.labels is not None and data.spec.classes > 1:
        counts = np.bincount(data.labels, minlength=data.spec.classes)
        found["rarest"] = float(counts.min() / counts.mean())
    if not data.spec.target.spatial:
        return found
    count = min(len(data), max(CHUNK, int(LOOKED_AT) // math.prod(data.spec.target.shape)))
    order = np.random.default_rng(derive_seed(0, "facts")).permutation(len(data))[:count]
    constant, different, lows, highs = 0, set(), [], []
    for rows in np.array_split(order, -(-count // CHUNK)):
        images = data.batch(rows).x.flatten(1).numpy()
        constant += int((images.std(1) < LEVEL).sum())
        different |= {hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images}
        lows.append(np.quantile(images, 0.005))
        highs.append(np.quantile(images, 0.995))
    relation = pair_relation(data)
    return found | {
        **({} if relation is None else {"pair_relation": relation}),
        "constant": constant / count,
        "duplicates": 1 - len(different) / count,
        "low": float(np.mean(lows)),
        "high": float(np.mean(highs)),
    }
