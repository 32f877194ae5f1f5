"""Mixes the styles of images: some layers of an image get the styles of another one.

References:
    Karras, Laine and Aila, 2019. A Style-Based Generator Architecture for GANs, figure 3. arXiv:1812.04948.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.core.batch import at_once
from genlab.core.condition import NONE, Condition
from genlab.core.contract import HasPrior, HasStyles
from genlab.core.pictures import Picture, image_grid, stacked
from genlab.core.random import RowNoise

GROUPS = ("coarse", "middle", "fine")


@dataclass(frozen=True)
class Mixture:
    """Images and their mixtures."""

    columns: Tensor  # (C, *shape), the images that are changed
    rows: Tensor  # (R, *shape), the images whose styles they get
    mixed: Mapping[str, Tensor]  # (R, C, *shape) by the group of layers with the styles of the rows
    layers: Mapping[str, range]  # of each group, from 0

    @property
    def picture(self) -> Picture:
        """The columns' images above; below, for each group of layers, the rows' images and their mixtures."""
        wide = len(self.columns) + 1
        head = image_grid(torch.cat([torch.ones_like(self.rows[:1]), self.columns]), wide)
        blocks = []
        for group, mixed in self.mixed.items():
            images = torch.cat([self.rows[:, None], mixed], 1).flatten(0, 1)
            its = self.layers[group]
            name = f"{group} styles (layers {its.start + 1} to {its.stop}) of the images on the left"
            blocks.append(image_grid(images, wide, [name] * len(images)))
        return stacked([head, *blocks])


def groups_of(layers: int) -> dict[str, range]:
    """Return which of so many layers, coarse ones first, are in each group: a third, rounded up for the first."""
    parts = torch.tensor_split(torch.arange(layers), len(GROUPS))
    return {name: range(int(part[0]), int(part[-1]) + 1) for name, part in zip(GROUPS, parts, strict=True)}


@torch.no_grad()
def mix(model: nn.Module, rows: int, columns: int, seed: int, condition: Condition = NONE) -> Mixture:
    """Return `columns` images, `rows` others, and the first with some of the styles of the second.

    The images of the columns and then those of the rows are the first samples of the seed.

    Args:
        model: has styles and a prior.
        rows: number of images whose styles are taken.
        columns: number of images that are changed.
        seed: of the latents.
        condition: the conditions of all images, columns first; by default labels cycle through the classes.

    Raises:
        GenlabError: the model has no styles.
        UsageError: a condition that the model does not take.
    """
    styled = need(model, HasStyles, "mixing of styles")
    latents = need(model, HasPrior, "mixing of styles").prior(
        columns + rows, RowNoise(seed, "samples", range(columns + rows))
    )
    styles = styled.styles(latents, condition)
    layers = groups_of(styled.style_layers)

    def drawn(given: Tensor) -> Tensor:
        shape = styled.synthesize(given[:1]).shape[1:]
        return torch.cat([styled.synthesize(part).cpu() for part in torch.split(given, at_once(shape))])

    mixed = {}
    for group, its in layers.items():
        grid = styles[:columns].repeat(rows, 1, 1)
        grid[:, its.start : its.stop] = styles[columns:].repeat_interleave(columns, 0)[:, its.start : its.stop]
        images = drawn(grid)
        mixed[group] = images.view(rows, columns, *images.shape[1:])
    images = drawn(styles)
    return Mixture(images[:columns], images[columns:], mixed, layers)
