"""Train, diagnose, measure and use generative models.

`genlab.sample(run, number=16)` is `genlab sample RUN --number 16`: every command is a function with the same
options. They are loaded on first use: importing genlab does not import torch.
"""

import importlib
import logging
from types import ModuleType
from typing import TYPE_CHECKING, Any

from genlab.verbs import VERBS, find
from genlab.version import __version__

if TYPE_CHECKING:
    from inspect import Signature

    from genlab.applications.subject import Subject
    from genlab.core.batch import Batch
    from genlab.core.contract import Evaluator
    from genlab.core.errors import GenlabError
    from genlab.core.modality import Classes, DataSpec, Images, Points
    from genlab.data.dataset import Source
    from genlab.data.objects import as_source
    from genlab.diagnosis.finding import Evidence, Sign
    from genlab.diagnosis.rule import Rule
    from genlab.families.samplers import Sampler
    from genlab.metrics.figures import Figure
    from genlab.objectives.adversarial import AdversarialLoss
    from genlab.plugins import plugin
    from genlab.recipes.fields import option
    from genlab.recipes.recipe import Recipe
    from genlab.registration import part
    from genlab.runs.run import Run
    from genlab.verbs.augment import augment
    from genlab.verbs.bench import bench
    from genlab.verbs.checks import checks
    from genlab.verbs.cluster import cluster
    from genlab.verbs.compare import compare
    from genlab.verbs.compress import compress
    from genlab.verbs.data import data
    from genlab.verbs.decode import decode
    from genlab.verbs.decompress import decompress
    from genlab.verbs.denoise import denoise
    from genlab.verbs.directions import directions
    from genlab.verbs.doctor import doctor
    from genlab.verbs.edit import edit
    from genlab.verbs.encode import encode
    from genlab.verbs.evaluate import evaluate
    from genlab.verbs.info import info
    from genlab.verbs.inpaint import inpaint
    from genlab.verbs.interpolate import interpolate
    from genlab.verbs.load import load
    from genlab.verbs.map import map  # noqa: A004 the name of the command
    from genlab.verbs.neighbours import neighbours
    from genlab.verbs.probe import probe
    from genlab.verbs.project import project
    from genlab.verbs.recipes import recipes
    from genlab.verbs.reconstruct import reconstruct
    from genlab.verbs.report import report
    from genlab.verbs.restore import restore
    from genlab.verbs.resume import resume
    from genlab.verbs.rm import rm
    from genlab.verbs.runs import runs
    from genlab.verbs.sample import sample
    from genlab.verbs.score import score
    from genlab.verbs.stylize import stylize
    from genlab.verbs.train import train
    from genlab.verbs.translate import translate
    from genlab.verbs.upscale import upscale

logging.getLogger("genlab").addHandler(logging.NullHandler())  # the program decides where messages go

PARTS = {  # for parts of one's own, and where they are
    "AdversarialLoss": "objectives.adversarial",
    "Batch": "core.batch",
    "Classes": "core.modality",
    "DataSpec": "core.modality",
    "Evaluator": "core.contract",
    "Evidence": "diagnosis.finding",
    "Figure": "metrics.figures",
    "GenlabError": "core.errors",
    "Images": "core.modality",
    "Points": "core.modality",
    "Recipe": "recipes.recipe",
    "Rule": "diagnosis.rule",
    "Run": "runs.run",
    "Sampler": "families.samplers",
    "Sign": "diagnosis.finding",
    "Source": "data.dataset",
    "Subject": "applications.subject",
    "as_source": "data.objects",
    "option": "recipes.fields",
    "part": "registration",
    "plugin": "plugins",
}
__all__ = [
    "AdversarialLoss",
    "Batch",
    "Classes",
    "DataSpec",
    "Evaluator",
    "Evidence",
    "Figure",
    "GenlabError",
    "Images",
    "Points",
    "Recipe",
    "Rule",
    "Run",
    "Sampler",
    "Sign",
    "Source",
    "Subject",
    "__version__",
    "as_source",
    "augment",
    "bench",
    "checks",
    "cluster",
    "compare",
    "compress",
    "data",
    "decode",
    "decompress",
    "denoise",
    "directions",
    "doctor",
    "edit",
    "encode",
    "evaluate",
    "info",
    "inpaint",
    "interpolate",
    "load",
    "map",
    "neighbours",
    "option",
    "part",
    "plugin",
    "probe",
    "project",
    "recipes",
    "reconstruct",
    "report",
    "restore",
    "resume",
    "rm",
    "runs",
    "sample",
    "score",
    "stylize",
    "train",
    "translate",
    "upscale",
]
ROOMS = ("bench", "data", "recipes", "runs")  # packages with the name of a verb


class _Room(ModuleType):
    """A package that can also be called, as the verb of its name: `genlab.data("digits")`."""

    @property
    def __signature__(self) -> "Signature":
        signature: Signature = self._verb.__signature__
        return signature

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        return str(self._verb.__doc__)

    @property
    def _verb(self) -> Any:  # noqa: ANN401
        return find(self.__name__.rpartition(".")[2])

    def __call__(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        return self._verb(*args, **options)


for _name in ROOMS:
    importlib.import_module(f"{__name__}.{_name}").__class__ = _Room


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a module's attribute may be anything)
    if name in VERBS:
        return find(name)
    if name in PARTS:
        return getattr(importlib.import_module(f"{__name__}.{PARTS[name]}"), name)
    raise AttributeError(f"module 'genlab' has no attribute {name!r}")
