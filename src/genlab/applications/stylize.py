"""Gives a picture the style of another: by a trained model, or by optimising its pixels.

References:
    Gatys, Ecker and Bethge, 2015. A Neural Algorithm of Artistic Style. arXiv:1508.06576.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, pad

from genlab.applications.capability import need
from genlab.core.contract import Stylizes
from genlab.core.device import device_of

RATE = 0.02  # of Adam, for pixels in [-1, 1]
MOVES = ((0, 0), (1, 1), (0, 1), (1, 0))  # pixels down and to the right
STYLE_WEIGHT = 3.0  # of the relative error of the Gram matrices beside that of the content


class Stylizer(Protocol):
    """Gives contents a style."""

    @property
    def steps(self) -> int:
        """How often it advances."""
        ...

    @property
    def losses(self) -> Sequence[tuple[float, float]]:
        """The first and the last loss of each call, if it optimises."""
        ...

    def __call__(self, content: Tensor, style: Tensor, advance: Callable[[], object]) -> Tensor:
        """Return contents (B, C, H, W) in the style (1, C', H', W'); calls `advance` after each step."""
        ...


def stylizing(model: nn.Module) -> Stylizes:
    """Return a model as one that stylizes.

    Raises:
        GenlabError: it does not.
    """
    return need(model, Stylizes, "stylizing without --iterations")


class ByModel:
    """Stylizes by one pass of a model; `alpha` None is the strength of the style that it was trained to use.

    Raises:
        GenlabError: it does not stylize.
    """

    steps = 1
    losses: Sequence[tuple[float, float]] = ()

    def __init__(self, model: nn.Module, alpha: float | None = None) -> None:
        self.model, self.alpha = stylizing(model), alpha
        self.device = device_of(model)

    @torch.no_grad()
    def __call__(self, content: Tensor, style: Tensor, advance: Callable[[], object]) -> Tensor:
        """Return the contents in the style."""
        made = self.model.stylize(content.to(self.device), style.to(self.device), self.alpha).cpu()
        advance()
        return made


@dataclass(frozen=True)
class ByOptimising:
    """Optimises the pixels of a picture x, which starts as the content c, for a style s.

        ‖φ_L(x) − φ_L(c)‖² / ‖φ_L(c)‖² + α w Σᵢ ‖G(φᵢ(x)) − G(φᵢ(s))‖² / ‖G(φᵢ(s))‖²

    φ₁ … φ_L are the maps of a frozen network, and G their Gram matrices. In turns the network sees the picture
    moved by a pixel, so that its strides leave no pattern. Nothing is random.

    Args:
        network: the frozen network.
        device: on which it is.
        steps: iterations of Adam.
        alpha: strength of the style.
        losses: gets the first and the last loss of each call.
    """

    network: nn.Module
    device: torch.device
    steps: int
    alpha: float = 1.0
    losses: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, content: Tensor, style: Tensor, advance: Callable[[], object]) -> Tensor:
        """Return the contents in the style."""
        with torch.no_grad():
            wanted = [self.network(moved(content.to(self.device), turn))[-1] for turn in range(len(MOVES))]
            grams = [gram(maps) for maps in self.network(style.to(self.device))]
        x = content.to(self.device).clone().requires_grad_()
        optimizer = torch.optim.Adam([x], lr=RATE)
        losses = []
        for step in range(self.steps):
            optimizer.zero_grad()
            turn = step % len(MOVES)
            maps = self.network(moved(x, turn))
            distances = [relative(gram(mine), theirs) for mine, theirs in zip(maps, grams, strict=True)]
            loss = relative(maps[-1], wanted[turn]) + self.alpha * STYLE_WEIGHT * torch.stack(distances).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            with torch.no_grad():
                x.clamp_(-1, 1)
            losses.append(loss.item())
            advance()
        self.losses.append((losses[0], losses[-1]))
        return x.detach().cpu()


def moved(images: Tensor, turn: int) -> Tensor:
    """Return images (B, C, H, W), moved by one of `MOVES`; their first pixels are repeated."""
    down, right = MOVES[turn]
    return pad(images, (right, 0, down, 0), mode="replicate")


def gram(maps: Tensor) -> Tensor:
    """Return the mean products of channels (B, C, C) over the positions of maps (B, C, H, W)."""
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def relative(made: Tensor, wanted: Tensor) -> Tensor:
    """Return the squared error of a tensor, divided by the mean square of the one that is wanted."""
    return mse_loss(made, wanted.expand_as(made)) / wanted.square().mean().clamp(min=1e-12)
