"""Options that several commands have, with one wording."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from genlab.recipes.diffusion import SamplerName
from genlab.recipes.settings import CheckpointName, DeviceName

Run = Annotated[str, Parameter(help="A run folder, a name in --root, or latest.")]
Checkpoint = Annotated[CheckpointName | None, Parameter(help="Which of the run's; by default the best.")]
Device = Annotated[DeviceName, Parameter(help="Where to compute.")]
Root = Annotated[Path, Parameter(help="Folder of the run folders.")]
RUNS = Path("runs")


@Parameter(name="*")
@dataclass(frozen=True)
class Sampling:
    """How a model makes pictures, in place of how it was trained to.

    Parameters
    ----------
    sampler
        Of a diffusion model, how noise becomes pictures. By default as it was trained to.
    sampling_steps
        Of a diffusion model, in how many steps.
    eta
        Of --sampler ddim, how much noise each step draws anew.
    guidance
        Of a diffusion model that knows classes, how far pictures are driven from those of any class.
    guidance_interval
        The times between the image (0) and noise (1) at which --guidance acts.
    temperature
        Of a flow, the deviation of the latents that pictures are made of.
    """

    sampler: SamplerName | None = None
    sampling_steps: int | None = None
    eta: float | None = None
    guidance: float | None = None
    guidance_interval: tuple[float, float] | None = None
    temperature: float | None = None

    def asked(self) -> dict[str, Any]:
        """Return those that are asked for."""
        return {name: value for name, value in asdict(self).items() if value is not None}


AS_TRAINED = Sampling()
