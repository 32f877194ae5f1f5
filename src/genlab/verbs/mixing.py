"""`genlab sample --mix`: a grid of images and their mixed styles."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.verbs.output import refuse_too_many
from genlab.verbs.result import Pictured
from genlab.verbs.using import Opened, write_png

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.applications.mix import Mixture
    from genlab.core.pictures import Picture


@dataclass(frozen=True, eq=False)
class Mixed(Pictured):
    """Images, their mixed styles, and where they were written."""

    mixture: "Mixture"
    path: Path

    @property
    def picture(self) -> "Picture":
        """The grid."""
        return self.mixture.picture

    def __repr__(self) -> str:
        return f"<Mixed {len(self.mixture.rows)}x{len(self.mixture.columns)} {self.path}>"

    def __str__(self) -> str:
        return str(self.path)


def grid_of(mix: str) -> tuple[int, int]:
    """Return the rows and columns of a grid such as 3x5.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"\s*([1-9]\d{0,3})\s*[x×X]\s*([1-9]\d{0,3})\s*", mix)
    if not found:
        raise UsageError(f'--mix must be ROWSxCOLUMNS, such as 3x5, not "{mix:.40}".')
    return int(found[1]), int(found[2])


def write_mixed(
    opened: Opened,
    grid: tuple[int, int],
    png: Path | None,
    seed: int,
    turns: Mapping[str, "Tensor"],
    sampling: Mapping[str, Any],
) -> Mixed:
    """Write a grid of rows and columns.

    Raises:
        UsageError: it is too large for one picture.
        GenlabError: the model has no styles.
    """
    from genlab.applications.capability import need
    from genlab.applications.mix import GROUPS, mix
    from genlab.core.condition import in_turn
    from genlab.core.contract import HasStyles

    rows, columns = grid
    need(opened.model, HasStyles, "--mix")
    refuse_too_many((len(GROUPS) * rows + 1) * (columns + 1), opened.spec.target.shape, opened.spec.target.noun)
    mixture = mix(opened.model, rows, columns, seed, in_turn(turns, range(rows + columns)))
    path = png or opened.place("mixtures", f"{rows}x{columns}", seed=seed, **sampling)
    result = Mixed(mixture, path)
    write_png(path, result.picture)
    return result
