"""Interpolation between latents."""

import torch
from torch import Tensor
from torch.nn.functional import normalize


def slerp(start: Tensor, end: Tensor, weights: Tensor) -> Tensor:
    """Spherical interpolation: [sin((1−t)ω) a + sin(tω) b] / sin ω, with ω the angle between a and b.

    Between draws from N(0, 1) in many dimensions it keeps the norm that the decoder was trained on, which linear
    interpolation does not. If a and b are parallel, or one is 0, it is linear.

    Args:
        start: a, (latent,) or (T, latent).
        end: b, (latent,) or (T, latent).
        weights: t in [0, 1], (T,).

    Returns:
        (T, latent).

    References:
        White, 2016. Sampling Generative Networks. arXiv:1609.04468.
    """
    lengths = start.norm(dim=-1) * end.norm(dim=-1)
    angle = torch.acos(((start * end).sum(-1) / lengths).clamp(-1, 1))[..., None]
    t, sine = weights[:, None], torch.sin(angle)
    curved = (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / sine
    return torch.where(sine > 1e-6, curved, lerp(start, end, weights))  # not where the angle of a 0 is NaN


def arc(start: Tensor, end: Tensor, weights: Tensor) -> Tensor:
    """Interpolation of directions on the sphere and of lengths on a line: ‖x_t‖ = (1 − t) ‖a‖ + t ‖b‖.

    Latents of given pictures differ in length, where `slerp` would leave the range of lengths between both: far if
    they point in opposite directions. For latents of one length it is `slerp`.

    Args:
        start: a, (latent,).
        end: b, (latent,).
        weights: t in [0, 1], (T,).

    Returns:
        (T, latent).
    """
    lengths = lerp(start.norm()[None], end.norm()[None], weights)
    return lengths * normalize(slerp(start, end, weights), dim=-1)


def lerp(start: Tensor, end: Tensor, weights: Tensor) -> Tensor:
    """Linear interpolation: (1 − t) a + t b, (T, latent), for latents without a known prior."""
    t = weights[:, None]
    return start * (1 - t) + end * t
