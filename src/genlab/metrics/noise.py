"""How strong the noise in a picture is, without its clean version.

References:
    Immerkær, 1996. Fast Noise Variance Estimation. Computer Vision and Image Understanding 64(2).
    Donoho and Johnstone, 1994. Ideal Spatial Adaptation by Wavelet Shrinkage. Biometrika 81(3): the median.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

MASK = (
    (1.0, -2.0, 1.0),
    (-2.0, 4.0, -2.0),
    (1.0, -2.0, 1.0),
)  # difference of two Laplacians: no planes, few edges
GAIN = 6.0  # standard deviation that the mask makes of noise of 1: the root of its squares' sum
MEDIAN = 0.6745  # of |ε| for ε ~ N(0, 1)
SIDE = 3  # of the mask


def noise_level(images: Tensor) -> Tensor:
    """Return the estimated standard deviation of Gaussian noise in images (B, C, H, W), (B,), on their scale.

    It is median |mask * image| / (6 · 0.6745) over positions and channels: a median hardly depends on the few
    positions at edges. Fine textures raise it; where noise was
    clipped to black or white, or smoothed by JPEG, it is too low. Images with a side below 3 pixels get 0.
    """
    count, channels, *sides = images.shape
    if min(sides) < SIDE:
        return images.new_zeros(count)
    mask = torch.tensor(MASK, dtype=images.dtype, device=images.device)[None, None]
    details = conv2d(images.reshape(count * channels, 1, *sides), mask)
    return details.view(count, -1).abs().median(1).values / (GAIN * MEDIAN)
