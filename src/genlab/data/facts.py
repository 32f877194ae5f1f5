"""Numbers that tell whether images are fit to be trained on."""

import numpy as np

from genlab.core.random import derive
from genlab.data.dataset import Dataset

LOOKED_AT = 10_000  # images; of more, a part that is random and the same every time
LEVEL = 1 / 255  # a deviation below it, in [-1, 1], is that of a picture of one colour


def facts(data: Dataset) -> dict[str, float]:
    """Return what the doctor knows of a split.

    - images, classes;
    - rarest: images of the smallest class, by the mean over classes;
    - of images, not of points: constant, the share of images of one colour; duplicates, that of images that equal
      another one before them; low and high, the 0.5 % and 99.5 % quantiles of pixels, in [-1, 1].
    """
    found = {"images": float(len(data)), "classes": float(len(data.classes))}
    if data.labels is not None and len(data.classes) > 1:
        counts = np.bincount(data.labels, minlength=len(data.classes))
        found["rarest"] = float(counts.min() / counts.mean())
    if data.shape.height == 1:
        return found
    order = np.random.default_rng(derive(0, "facts")).permutation(len(data))[:LOOKED_AT]
    images = data.batch(order).images.flatten(1).numpy()
    return found | {
        "constant": float((images.std(1) < LEVEL).mean()),
        "duplicates": 1 - len({image.tobytes() for image in images}) / len(images),
        "low": float(np.quantile(images[:1000], 0.005)),
        "high": float(np.quantile(images[:1000], 0.995)),
    }
