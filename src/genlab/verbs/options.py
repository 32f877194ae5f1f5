"""Options that several verbs share: their types, and their help, written once."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from genlab.recipes.fields import options_of
from genlab.recipes.presets import PRESETS
from genlab.recipes.settings import DEFAULT_ROOT

RunName: TypeAlias = str | os.PathLike[str]  # also a run itself
SourceName: TypeAlias = Any  # a path, a name, or in Python any data
PresetName: TypeAlias = Any  # a name, the path of a recipe, or in Python a recipe or its class
ExtractorName: TypeAlias = Any  # a name, or in Python a function or module class
File: TypeAlias = str | Path
ImagesName: TypeAlias = Any  # a path, a name of own data, or in Python an array of images
PathsName: TypeAlias = str | Sequence[str] | None  # paths or a name; in Python also an array of images
RUNS = DEFAULT_ROOT


SHARED = {
    "checkpoint": "Checkpoint of the run; by default the better of best and last, by their evaluations.",
    "device": "Device to compute on: auto, cpu, cuda (or gpu, cuda:1, 1), mps; auto takes a GPU if there is one.",
    "root": "Folder that contains the run folders.",
}
OF_MEASURING = {
    "extractor": "Feature extractor: efficientnet-lite0, inception (or inception:FILE) for FID, classifier for "
    "images unlike photographs, pixels for toys.",
    "samples": "Number of samples, and the most real images that are compared with them: by default 10,000 of a "
    "run, and all images of --real and --fake.",
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
    "other": "data",
    "data": "data",
    "preset": "family",
}
HELP = {
    "run": "A run folder, the name of one in --root, or latest; for its model also a checkpoint in it.",
    "path": "A picture, a folder or a zip of pictures, a table of rows, or other data, such as digits, whose "
    "held-out part is taken. In Python also an array.",
    "data": "The data of the run, if they are at another place now; they must be the same.",
    "space": "What examples are compared by: the latents of the model, the features of its discriminator, those "
    "of an extractor, or pixels. By default its latents, or, if it has none, its discriminator.",
    **SHARED,
    **OF_MEASURING,
}
OBJECTS = ("path", "pictures", "between", "normal", "box")  # parameters that in Python may be an array, or a tuple


class SamplingOption(NamedTuple):
    """An option of sampling that replaces that of the run."""

    hint: Any
    help: str


def sampling_options() -> dict[str, SamplingOption]:
    """Return the options of sampling of all presets by name, those of a user's own samplers last."""
    found: dict[str, SamplingOption] = {}
    for recipe in {type(recipe): recipe for recipe in PRESETS.values()}.values():  # one of each family
        known = options_of(recipe)
        for name in recipe.of_sampling:
            about = f"{recipe.title or recipe.family.capitalize()}: {known[name].help}. By default as in the run."
            found.setdefault(name, SamplingOption(known[name].hint | None, about))
    return found
