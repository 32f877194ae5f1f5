"""Generative models of images: train, watch, measure, use and ship them.

`genlab.train`, `genlab.resume` and `genlab.load` are loaded on first use, so that importing genlab does not
import torch.
"""

from typing import TYPE_CHECKING, Any

from genlab.version import __version__

if TYPE_CHECKING:
    from genlab.recipes.api import load, resume, train

__all__ = ["__version__", "load", "resume", "train"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a module's attribute may be anything)
    if name in ("load", "resume", "train"):
        from genlab.recipes import api

        return getattr(api, name)
    raise AttributeError(f"module 'genlab' has no attribute {name!r}")
