"""What is done to pictures that a model learns to restore: `--degrade blur=0.2:2 bicubic=4 noise=10 jpeg=40:95`.

Degradations are applied to bytes, one after the other. `NAME=VALUE` has the same value for all pictures,
`NAME=LOW:HIGH` a random one for each. `holes=KIND`, the last, hides a part of the picture, and the mask becomes a
condition.

References:
    Zhang, Liang, Van Gool and Timofte, 2021. Designing a Practical Degradation Model for Deep Blind Image
    Super-Resolution. arXiv:2103.14006: chains of blur, downscaling, noise and JPEG.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from genlab.core.condition import MASK, SOURCE, Condition
from genlab.core.errors import UsageError, suggestion
from genlab.core.files import expanded
from genlab.core.modality import Images, Modality
from genlab.core.pictures import Picture, to_bytes, to_pillow
from genlab.core.random import Draws
from genlab.data.dataset import as_floats
from genlab.data.holes import HOLES
from genlab.data.masks import Masks, open_masks

HIDDEN = 0.0  # what a hole is filled with: the middle between black and white


@dataclass(frozen=True)
class Degradation:
    """A row of `DEGRADATIONS`: a function of a picture, a value and draws, and the values that are possible."""

    apply: Callable[[Picture, float, Draws], Picture]
    what: str  # the value
    least: float
    most: float
    reduces: bool = False  # whether the sides are divided by the value, which is then a whole number


def bicubic(picture: Picture, value: float, draws: Draws) -> Picture:
    """Divide the sides by a whole number, by Pillow's antialiased bicubic filter; MATLAB's gives the same."""
    from PIL import Image

    height, width = (side // int(value) for side in picture.shape[:2])
    return _array(to_pillow(picture).resize((width, height), Image.Resampling.BICUBIC), picture)


def blur(picture: Picture, value: float, draws: Draws) -> Picture:
    """Blur by a Gaussian with a standard deviation in pixels."""
    from PIL import ImageFilter

    return _array(to_pillow(picture).filter(ImageFilter.GaussianBlur(value)), picture)


def noise(picture: Picture, value: float, draws: Draws) -> Picture:
    """Add Gaussian noise with a standard deviation in levels of 255."""
    noisy = picture + value * draws.normal(*picture.shape)[0].numpy()
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def jpeg(picture: Picture, value: float, draws: Draws) -> Picture:
    """Compress by JPEG with a quality."""
    from PIL import Image

    stream = io.BytesIO()
    to_pillow(picture).save(stream, "JPEG", quality=int(value))
    with Image.open(stream) as compressed:
        return _array(compressed, picture)


def grey(picture: Picture, value: float, draws: Draws) -> Picture:
    """Convert to grey by ITU-R 601 luma, mixed with the colours by the value: 1 leaves no colour."""
    luma = np.asarray(to_pillow(picture).convert("L"), np.float32)[..., None]
    return np.rint(value * luma + (1 - value) * picture).astype(np.uint8)


DEGRADATIONS: Mapping[str, Degradation] = {
    "bicubic": Degradation(bicubic, "the factor by which the sides shrink", 2, 8, reduces=True),
    "blur": Degradation(blur, "a standard deviation in pixels", 0, 20),
    "noise": Degradation(noise, "a standard deviation in levels of 255", 0, 255),
    "jpeg": Degradation(jpeg, "a quality", 1, 100),
    "grey": Degradation(grey, "the share of the colour that is lost", 0, 1),
}
MASKED = ("holes", "known")  # what is white in a folder of masks: what is missing, or what is known
CHOICES = (
    f"{', '.join(DEGRADATIONS)} (each =VALUE or =LOW:HIGH), and holes (={', '.join(HOLES)}, or =FOLDER of masks)"
)


@dataclass(frozen=True)
class Step:
    """A degradation with the range of its value."""

    name: str
    low: float
    high: float

    def __call__(self, picture: Picture, draws: Draws) -> Picture:
        """Degrade a picture (H, W, C), with a value that is drawn if there is a range."""
        value = self.low
        if self.high > self.low:
            value += (self.high - self.low) * draws.uniform().item()
        return DEGRADATIONS[self.name].apply(picture, value, draws)


@dataclass(frozen=True)
class Chain:
    """Degradations, one after the other; a function that `Degraded` takes.

    Args:
        steps: what is done to the pixels.
        holes: the kind of the holes, or a folder of masks; None for none.
        known: whether white is what is known in these masks.
        masks: those of the folder, once they are opened.
    """

    steps: Sequence[Step]
    holes: str | None = None
    known: bool = False
    masks: Masks | None = None

    def opened(self, target: Modality) -> "Chain":
        """Return the chain with the masks of its folder, if it has one, in the size of the targets.

        Raises:
            UsageError: there is no such folder.
            DataError: it has no masks.
        """
        if self.holes is None or self.holes in HOLES:
            return self
        folder = expanded(self.holes)
        if not folder.is_dir():
            raise UsageError(f"there is no folder of masks {folder}. Choices of holes: {', '.join(HOLES)}.")
        _, height, width = target.shape
        return replace(self, masks=open_masks(folder, height, width, known=self.known))

    @property
    def scale(self) -> int:
        """By how much the sides of a source are smaller than those of its target."""
        factors = [int(step.low) for step in self.steps if DEGRADATIONS[step.name].reduces]
        return int(np.prod(factors)) if factors else 1

    def conditions(self, target: Modality) -> dict[str, Modality]:
        """Return the modalities of what a degraded picture gives: a source and, with holes, a mask.

        Raises:
            UsageError: the targets are no pictures of bytes, or have sides that the factor does not divide.
        """
        if not isinstance(target, Images) or target.levels is None:
            raise UsageError(f"--degrade is for pictures of bytes, but these data are {target}.")
        height, width = target.height // self.scale, target.width // self.scale
        if (height * self.scale, width * self.scale) != (target.height, target.width):
            wrong = f"{target.width}×{target.height}"
            raise UsageError(
                f"pictures of {wrong} pixels cannot be reduced by {self.scale}: choose sides that it divides, by "
                "--size or --patches."
            )
        source = replace(target, height=height, width=width)
        return {SOURCE: source, **({MASK: replace(target, channels=1)} if self.holes else {})}

    def degraded(self, picture: Picture, draws: Draws) -> Picture:
        """Return a picture (H, W, C) after all steps, without holes."""
        for step in self.steps:
            picture = step(picture, draws)
        return picture

    def __call__(self, x: Tensor, draws: Draws) -> Condition:
        """Return the source of one picture (1, C, H, W) in [-1, 1] and, with holes, the mask (1, 1, H, W).

        The mask is 1 in the hole, where the source is 0, and -1 where the picture is known.
        """
        source = x
        if self.steps:
            made = self.degraded(to_bytes(x)[0], draws)
            source = torch.from_numpy(as_floats(np.ascontiguousarray(np.moveaxis(made, 2, 0))))[None]
        if self.holes is None:
            return {SOURCE: source}
        height, width = x.shape[2:]
        make = HOLES[self.holes] if self.masks is None else self.masks
        hole = torch.from_numpy(make(height, width, draws))[None, None]
        return {SOURCE: source.masked_fill(hole, HIDDEN), MASK: hole.float() * 2 - 1}


def located(words: Sequence[str]) -> tuple[str, ...]:
    """Return words as `chain` takes them, with the path of a folder of masks made absolute."""
    name, _, kind = words[-1].partition("=")
    if name not in MASKED or not kind or (name == "holes" and kind in HOLES):
        return tuple(words)
    return (*words[:-1], f"{name}={expanded(kind).resolve()}")


def chain(words: Sequence[str]) -> Chain:
    """Return the degradations that words such as "bicubic=4" and "holes=centre" name.

    Raises:
        UsageError: an unknown name or kind, a value that is missing or not possible, two reductions, holes that do
            not come last or that come with a reduction, or none at all.
    """
    if not words:
        raise UsageError(f"--degrade needs a degradation or more. Choices: {CHOICES}.")
    *before, last = words
    name, _, kind = last.partition("=")
    holes = kind if name in MASKED else None
    if holes is not None and (name == "known" or holes not in HOLES) and not expanded(holes).is_dir():
        if expanded(holes).is_absolute():
            raise UsageError(f"there is no folder of masks {holes}. Move it back, or name another one.")
        raise UsageError(
            f'no holes "{holes}", nor a folder of masks.{suggestion(holes, HOLES)} Choices: {", ".join(HOLES)}.'
        )
    steps = [_step(word) for word in (words if holes is None else before)]
    reductions = [step for step in steps if DEGRADATIONS[step.name].reduces]
    if len(reductions) > 1 or (reductions and holes):
        what = "reduces pictures, and makes holes" if holes else "reduces pictures twice"
        raise UsageError(f"--degrade {' '.join(words)} {what}; a model learns one of both. Leave one out.")
    return Chain(steps, holes, known=name == "known")


def _step(word: str) -> Step:
    name, _, text = word.partition("=")
    if name not in DEGRADATIONS:
        place = " Holes come last." if name in MASKED else ""
        raise UsageError(f'no degradation "{name}".{suggestion(name, DEGRADATIONS)}{place} Choices: {CHOICES}.')
    row = DEGRADATIONS[name]
    if several := text.replace(",", " ").split()[1:]:
        raise UsageError(f'"{word}" is several degradations. Give them apart: --degrade {name}=… {several[0]} …')
    try:
        low, high = (float(each) for each in (text.split(":") if ":" in text else (text, text)))
    except ValueError:
        example = f"{name}=4" if row.reduces else f"{name}={row.most / 10:g} or {name}=0:{row.most / 10:g}"
        raise UsageError(f'"{word}" needs {row.what} after the =, such as {example}.') from None
    if row.reduces and (low != high or low != int(low)):
        raise UsageError(f'"{word}": {row.what} is one whole number for all pictures, such as {name}=4.')
    if low > high:
        raise UsageError(f'"{word}" goes from high to low. Give {name}={high:g}:{low:g}.')
    if not row.least <= low <= high <= row.most:
        raise UsageError(f'"{word}" is not possible: {name} takes {row.what}, from {row.least:g} to {row.most:g}.')
    return Step(name, low, high)


def _array(image: object, like: Picture) -> Picture:
    """Return a Pillow image as (H, W, C) with as many channels as another picture."""
    pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], like.shape[2])
