"""Options that several verbs share: their types, and their help, written once."""

import os
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

from genlab.recipes.diffusion import SamplerName
from genlab.recipes.settings import DEFAULT_ROOT

RunName: TypeAlias = str | os.PathLike[str]  # also a run itself
SourceName: TypeAlias = Any  # a path, a name, or in Python any data
PresetName: TypeAlias = Any  # a name, the path of a recipe, or in Python a recipe or its class
ExtractorName: TypeAlias = Any  # a name, or in Python a function or module class
File: TypeAlias = str | Path
RUNS = DEFAULT_ROOT


class Sampling(TypedDict, total=False):
    """Options of sampling that replace those of the run."""

    sampler: SamplerName | None
    sampling_steps: int | None
    eta: float | None
    guidance: float | None
    guidance_interval: tuple[float, float] | None
    temperature: float | None


SHARED = {
    "checkpoint": "Checkpoint of the run; by default the best, or the last if there is no best.",
    "device": "Device to compute on; auto takes a GPU if there is one.",
    "root": "Folder that contains the run folders.",
}
OF_SAMPLING = {
    "sampler": "Diffusion: sampling method; dpm++2m needs the fewest steps. By default the run's.",
    "sampling_steps": "Diffusion: number of steps; fewer are faster. By default the run's.",
    "eta": "Diffusion: noise that ddim adds in each step, from 0 (deterministic) to 1 (as much as ancestral).",
    "guidance": "Diffusion with labels: scale of classifier-free guidance, 1 for none; raise it for clearer "
    "classes and less variety.",
    "guidance_interval": "Times from 0 (image) to 1 (noise) at which --guidance acts; narrow it for more variety.",
    "temperature": "Flow: standard deviation of the latents; below 1 for cleaner, less varied samples.",
}
OF_MEASURING = {
    "extractor": "Feature extractor: efficientnet-lite0, inception (or inception:FILE) for FID, classifier for "
    "images unlike photographs, pixels for toys.",
    "samples": "Number of samples, and the most real images that are compared with them.",
    "resize": "How images are resized for the extractor; legacy is for comparison with older figures.",
    "seed": "Seed of the samples.",
}
# Parameters whose values may be a user's own parts, by their kind; in Python they may be objects.
PARTS = {
    "sampler": "sampler",
    "extractor": "extractor",
    "real": "data",
    "fake": "data",
    "source": "data",
    "data": "data",
}
HELP = {"run": "A run folder, the name of one in --root, or latest.", **SHARED, **OF_SAMPLING, **OF_MEASURING}
