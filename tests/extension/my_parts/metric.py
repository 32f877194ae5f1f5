"""A metric of `genlab evaluate` and `genlab compare`."""

from torch import Tensor

import genlab


@genlab.part("metric", "brightness-gap", better="lower")
def brightness_gap(samples: Tensor, real: Tensor) -> tuple[float, float]:
    """Return |E[samples] − E[real]| of images (B, C, H, W) in [-1, 1], and its standard error."""
    means = [images.flatten(1).mean(1).double() for images in (samples, real)]
    error = sum(mean.var() / len(mean) for mean in means) ** 0.5
    return (means[0].mean() - means[1].mean()).abs().item(), error.item()
