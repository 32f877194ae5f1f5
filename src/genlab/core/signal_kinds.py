"""What a row of the table of signals is, and the kinds that signals share an axis by."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

Better: TypeAlias = Literal["lower", "higher", "none"]

CRITERION = "criterion"  # the evaluated value that decides which checkpoint is the best
INDEX = "[{index}]"  # ends the name of a profile: kl[0], kl[1], …


@dataclass(frozen=True)
class Kind:
    """A kind of signals, which share an axis."""

    name: str
    log: bool = False  # whether the axis is logarithmic
    group: str = "own"  # of its names in a logger: loss/generator_loss


@dataclass(frozen=True)
class Signal:
    """One row of the table.

    Args:
        name: as it is reported; `{player}`, `{part}`, `{penalty}`, `{extractor}`, `{score}` and `{index}` stand
            for any name.
        kind: signals of one kind share an axis.
        better: the direction of improvement, if there is one.
        meaning: one sentence; without a direction of improvement it says what is good.
        foreign: whether it occurs only in logs of other programs.
    """

    name: str
    kind: Kind
    better: Better
    meaning: str
    foreign: bool = False

    @property
    def profile(self) -> bool:
        """Whether it is one value of a profile, such as kl[0]."""
        return self.name.endswith(INDEX)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The pattern of its reported names."""
        return re.compile(".+".join(map(re.escape, re.split(r"\{\w+\}", self.name))))


LOSS = Kind("loss", group="loss")
PENALTY = Kind("penalty", group="loss")
SCORE = Kind("discriminator score", group="discriminator")
PROBABILITY = Kind("probability", group="discriminator")
GRADIENT_NORM = Kind("gradient norm", log=True, group="optimizer")
UPDATE_RATIO = Kind("update ratio", log=True, group="optimizer")
DEAD_UNITS = Kind("dead units", group="probe")
DIVERSITY = Kind("diversity of samples", group="probe")
PIXELS = Kind("share of pixels", group="probe")
SHARPNESS = Kind("sharpness", group="probe")
R2 = Kind("R²", group="probe")
PATTERN = Kind("periodic pattern", log=True, group="probe")
TRANSLATION = Kind("translation", group="probe")
CYCLE = Kind("cycle error", group="probe")
FIDELITY = Kind("loss of PSNR", group="probe")
DENOISING = Kind("denoising", group="probe")
LATENTS = Kind("share of latents", group="latent")
LATENT_SCALE = Kind("scale of latents", group="latent")
INVERSION = Kind("inversion error", log=True, group="probe")
BITS = Kind("bits per dimension", group="evaluation")
BOUND = Kind("negative bound", group="evaluation")
AUROC = Kind("AUROC", group="evaluation")
MSE = Kind("mean squared error", group="evaluation")
TRANSFER = Kind("distance of features", group="evaluation")
FD = Kind("Fréchet distance", group="evaluation")
L1 = Kind("mean absolute error", group="evaluation")
PSNR = Kind("PSNR", group="evaluation")
GAIN = Kind("gain of PSNR", group="probe")
SEAM = Kind("seam", group="probe")
COLOUR_SHIFT = Kind("shift of colours", group="probe")
