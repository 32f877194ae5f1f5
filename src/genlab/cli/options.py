"""Options that several commands share."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from genlab.recipes.diffusion import SamplerName
from genlab.recipes.settings import CheckpointName, DeviceName

Run = Annotated[str, Parameter(help="A run folder, the name of one in --root, or latest.")]
Checkpoint = Annotated[
    CheckpointName | None,
    Parameter(help="Checkpoint of the run; by default the best, or the last if there is no best."),
]
Device = Annotated[DeviceName, Parameter(help="Device to compute on; auto takes a GPU if there is one.")]
Root = Annotated[Path, Parameter(help="Folder that contains the run folders.")]
RUNS = Path("runs")


@Parameter(name="*")
@dataclass(frozen=True)
class Sampling:
    """Sampling options that replace those of the run.

    Parameters
    ----------
    sampler
        Diffusion: sampling method; dpm++2m needs the fewest steps. By default the run's.
    sampling_steps
        Diffusion: number of steps; fewer are faster. By default the run's.
    eta
        Diffusion: noise that ddim adds in each step, from 0 (deterministic) to 1 (as much as ancestral).
    guidance
        Diffusion with labels: scale of classifier-free guidance, 1 for none; raise it for clearer classes and less
        variety.
    guidance_interval
        Times from 0 (image) to 1 (noise) at which --guidance acts; narrow it for more variety.
    temperature
        Flow: standard deviation of the latents; below 1 for cleaner, less varied samples.
    """

    sampler: SamplerName | None = None
    sampling_steps: int | None = None
    eta: float | None = None
    guidance: float | None = None
    guidance_interval: tuple[float, float] | None = None
    temperature: float | None = None

    def given(self) -> dict[str, Any]:
        """Return the options that the user gave."""
        return {name: value for name, value in asdict(self).items() if value is not None}


AS_TRAINED = Sampling()
