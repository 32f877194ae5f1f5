"""Numbers that tell whether images are fit to be trained on."""

import hashlib
import math

import numpy as np

from genlab.core.random import derive
from genlab.data.dataset import Split

LOOKED_AT = 3e7  # pixel values; of more, some images that are random and the same every time
CHUNK = 256  # images in memory at a time
LEVEL = 1 / 255  # a deviation below it, in [-1, 1], is that of a picture of one colour


def facts(data: Split) -> dict[str, float]:
    """Return what the doctor knows of a split.

    - images, classes;
    - rarest: images of the smallest class, by the mean over classes;
    - of images, not of points: constant, the share of images of one colour; duplicates, that of images that equal
      another one before them; low and high, the 0.5 % and 99.5 % quantiles of pixels, in [-1, 1].
    """
    found = {"images": float(len(data)), "classes": float(data.spec.classes)}
    if data.labels is not None and data.spec.classes > 1:
        counts = np.bincount(data.labels, minlength=data.spec.classes)
        found["rarest"] = float(counts.min() / counts.mean())
    if not data.spec.target.spatial:
        return found
    count = min(len(data), max(CHUNK, int(LOOKED_AT) // math.prod(data.spec.target.shape)))
    order = np.random.default_rng(derive(0, "facts")).permutation(len(data))[:count]
    constant, different, lows, highs = 0, set(), [], []
    for rows in np.array_split(order, -(-count // CHUNK)):
        images = data.batch(rows).x.flatten(1).numpy()
        constant += int((images.std(1) < LEVEL).sum())
        different |= {hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images}
        lows.append(np.quantile(images, 0.005))
        highs.append(np.quantile(images, 0.995))
    return found | {
        "constant": constant / count,
        "duplicates": 1 - len(different) / count,
        "low": float(np.mean(lows)),
        "high": float(np.mean(highs)),
    }
