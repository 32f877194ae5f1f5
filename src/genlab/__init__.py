"""Train, diagnose, measure and use generative models.

`genlab.train` and the others are loaded on first use: importing genlab does not import torch.
"""

from typing import TYPE_CHECKING, Any

from genlab.version import __version__

if TYPE_CHECKING:
    from genlab.applications.api import compare, evaluate
    from genlab.runs.api import load, resume, train
    from genlab.runs.diagnose import doctor

__all__ = ["__version__", "compare", "doctor", "evaluate", "load", "resume", "train"]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a module's attribute may be anything)
    if name in ("load", "resume", "train"):
        from genlab.runs import api

        return getattr(api, name)
    if name in ("part", "plugin"):
        from genlab import plugins

        return getattr(plugins, name)
    if name == "doctor":
        from genlab.runs.diagnose import doctor

        return doctor
    if name in ("compare", "evaluate"):
        from genlab.applications import api as measuring

        return getattr(measuring, name)
    raise AttributeError(f"module 'genlab' has no attribute {name!r}")
