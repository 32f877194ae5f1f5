"""The spaces that an example may be described in."""

from typing import Literal

SpaceName = Literal["z", "w", "w+"]
"""Latents z; or, of a model with styles, one style for all layers, w, or one for each layer, w+."""
