"""Train, diagnose, measure and use generative models.

`genlab.sample(run, number=16)` is `genlab sample RUN --number 16`: every command is a function with the same
options. They are loaded on first use: importing genlab does not import torch.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from genlab.verbs import VERBS, find
from genlab.version import __version__

if TYPE_CHECKING:
    from inspect import Signature

    from genlab.plugins import part, plugin
    from genlab.verbs.bench import bench
    from genlab.verbs.checks import checks
    from genlab.verbs.compare import compare
    from genlab.verbs.data import data
    from genlab.verbs.doctor import doctor
    from genlab.verbs.evaluate import evaluate
    from genlab.verbs.info import info
    from genlab.verbs.interpolate import interpolate
    from genlab.verbs.load import load
    from genlab.verbs.recipes import recipes
    from genlab.verbs.reconstruct import reconstruct
    from genlab.verbs.report import report
    from genlab.verbs.resume import resume
    from genlab.verbs.runs import runs
    from genlab.verbs.sample import sample
    from genlab.verbs.train import train

__all__ = [
    "__version__",
    "bench",
    "checks",
    "compare",
    "data",
    "doctor",
    "evaluate",
    "info",
    "interpolate",
    "load",
    "part",
    "plugin",
    "recipes",
    "reconstruct",
    "report",
    "resume",
    "runs",
    "sample",
    "train",
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
    if name in ("part", "plugin"):
        return getattr(importlib.import_module(f"{__name__}.plugins"), name)
    raise AttributeError(f"module 'genlab' has no attribute {name!r}")
