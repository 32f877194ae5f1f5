"""What `genlab inpaint` and `genlab upscale` share: options of diffusion models that draw what is not known."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from genlab.core.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from genlab.applications.restore import Restorer
    from genlab.core.modality import Modality
    from genlab.data.photos import Photos

MOST_DRAWS = 64  # of each picture


@dataclass(frozen=True)
class Drawing:
    """How a diffusion model enlarges pictures: the options of `genlab upscale`."""

    scale: int | None = None
    number: int = 1
    jump_length: int | None = None
    resampling: int | None = None
    seed: int = 0

    @property
    def given(self) -> dict[str, int]:
        """Those that are not as by default, by their names."""
        return {name: value for name, value in asdict(self).items() if value != getattr(BY_DEFAULT, name)}


BY_DEFAULT = Drawing()


def set_up(model: "nn.Module", number: int, jump_length: int | None, resampling: int | None) -> None:
    """Set the options of RePaint, and check the number of draws.

    Raises:
        UsageError: a value that is not possible.
        GenlabError: an option that the model does not have.
    """
    from genlab.applications.capability import need
    from genlab.core.contract import Repaints

    if not 1 <= number <= MOST_DRAWS:
        raise UsageError(f"--number must be from 1 to {MOST_DRAWS}, not {number}.")
    for name, value in (("jump_length", jump_length), ("resampling", resampling)):
        if value is None:
            continue
        flag = f"--{name.replace('_', '-')}"
        if value < 1:
            raise UsageError(f"{flag} must be at least 1, not {value}.")
        setattr(need(model, Repaints, flag), name, value)


def draws(model: "nn.Module") -> bool:
    """Whether a model draws pictures of which a part is known, and was not trained to restore them."""
    from genlab.core.contract import Repaints, Restores

    return isinstance(model, Repaints) and not isinstance(model, Restores)


def by_diffusion(model: "nn.Module", target: "Modality", drawing: Drawing, given: "Photos") -> "Restorer":
    """Return what enlarges pictures by a diffusion model.

    Raises:
        UsageError: an option that is not possible, or a first picture of a size that cannot be enlarged.
    """
    from genlab.applications.enlarge import ByDiffusion, scale_of_first

    set_up(model, drawing.number, drawing.jump_length, drawing.resampling)
    shape = (target.shape[0], target.shape[1], target.shape[2])
    scale = scale_of_first(shape, given) if drawing.scale is None else drawing.scale
    return ByDiffusion(model, shape, scale, drawing.number, drawing.seed)


def refuse_tiles(tile: int | None, *, ensemble: bool) -> None:
    """Refuse options of models that enlarge pictures of any size."""
    for flag, given in (("--tile", tile is not None), ("--ensemble", ensemble)):
        if given:
            raise UsageError(f"{flag} is for models of super-resolution, not for diffusion models. Leave it out.")
