"""Finds the latents of given examples: by the encoder of a model, or by optimising them for its decoder.

References:
    Zhu, Krähenbühl, Shechtman and Efros, 2016. Generative Visual Manipulation on the Natural Image Manifold.
    arXiv:1609.03552.
    Creswell and Bharath, 2018. Inverting the Generator of a Generative Adversarial Network. arXiv:1611.05644.
    Karras et al., 2020. Analyzing and Improving the Image Quality of StyleGAN. arXiv:1912.04958: the mean latent
    as a start.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import torch
from torch import Tensor, nn

from genlab.applications.capability import need, suiting, unaided
from genlab.core.batch import at_once
from genlab.core.condition import NONE, Condition, condition_rows, fill
from genlab.core.contract import Classifies, Decodes, Encodes, HasPrior, Inverts, Samples
from genlab.core.device import device_of
from genlab.core.errors import GenlabError, UsageError
from genlab.core.modality import Modality
from genlab.core.random import generator
from genlab.core.schedules import cosine_decay
from genlab.metrics.extractors.taps import EFFICIENTNET, taps
from genlab.metrics.perceptual import distance_of_maps
from genlab.metrics.similarity import mse

CANDIDATES = 0.25  # share of the steps in which all starts compete
MOST_CLASSES = 20  # that are tried for an example of unknown class


@dataclass(frozen=True)
class Codes:
    """Latents of examples, and the conditions under which they are decoded."""

    latents: Tensor  # (B, latent)
    condition: Condition  # of each example, by name


@dataclass(frozen=True)
class Projecting:
    """How examples are projected.

    Args:
        steps: of Adam.
        starts: latents that compete for each example: the mean of the prior, and draws from it. An encoder's code
            is the only start of its example.
        rate: of Adam, which falls along a cosine.
        perceptual: weight of the perceptual distance of pictures beside the squared error per pixel.
        noise: standard deviation of the pixels given the latents, which weighs the prior; 0 for no prior.
        seed: of the starts, which are the same for all examples.
    """

    steps: int = 300
    starts: int = 4
    rate: float = 0.1
    perceptual: float = 0.0
    noise: float = 0.05
    seed: int = 0


def _neither(model: nn.Module) -> GenlabError:
    able = ", ".join(suiting(model, lambda other: isinstance(other, HasPrior) and unaided(other)))
    return GenlabError(f"projection needs a model with a prior or an encoder, and this has neither. Try: {able}.")


Loss: TypeAlias = Callable[[Tensor], Tensor]  # latents (B, latent) -> (B,)
Objective: TypeAlias = Callable[[Tensor, Condition], Loss]  # of examples (B, *shape) and their classes


def codes_of(model: nn.Module, x: Tensor, how: Projecting, labels: Tensor | None = None) -> Codes:
    """Return the codes of examples (B, *shape): those of the encoder, else projections, as `project` finds them.

    Raises:
        GenlabError: the model neither encodes nor has a prior and decodes.
        UsageError: as `project`.
    """
    if not isinstance(model, Encodes):
        return project(model, x, how, labels)
    condition = _condition(model, x, labels)
    return Codes(model.encode(x, condition).flatten(1), condition)


def size_of(model: nn.Module, modality: Modality) -> int:
    """Return the number of latents of an example.

    Raises:
        GenlabError: the model does not decode, or has neither an encoder nor a prior.
    """
    need(model, Decodes, "projection")
    if isinstance(model, Encodes):
        return model.encode(torch.zeros(1, *modality.shape, device=device_of(model))).flatten(1).shape[1]
    if isinstance(model, HasPrior):
        return model.prior(1).flatten(1).shape[1]
    raise _neither(model)


def project(model: nn.Module, x: Tensor, how: Projecting, labels: Tensor | None = None) -> Codes:
    """Return the codes of examples x (B, *shape), on the model's device, that are decoded to what is nearest to x.

        argmin_z  mean (G(z) − x)² + w · perceptual(G(z), x) + noise² ‖z‖² / numbers of x

    The last term is that of the prior N(0, 1) if pixels are normal around G(z); models without a prior lack it.
    For a quarter of the steps all starts compete, and the best goes on; of all latents on its way the best one is
    kept, so that a code is never worse than its start. The codes of a model that inverts are exact and kept.

    A model with classes decodes an example under the class that the model infers, else under its label, else under
    the class with which it is found best.

    Args:
        model: decodes, and has a prior or encodes.
        x: examples, images in [-1, 1].
        how: steps and weights.
        labels: the classes of the examples, (B,), −1 for those that are not known.

    Raises:
        GenlabError: the model does not decode, or has neither an encoder nor a prior.
        UsageError: the model has too many classes to try them all.
    """
    decode = need(model, Decodes, "projection").decode
    if not isinstance(model, Encodes | HasPrior):
        raise _neither(model)
    if isinstance(model, Encodes) and isinstance(model, Inverts):
        return codes_of(model, x, how, labels)
    network = taps(EFFICIENTNET).to(x.device) if how.perceptual and x.ndim == 4 else None
    prior = how.noise**2 / prod(x.shape[1:]) if isinstance(model, HasPrior) else 0.0

    def objective(x: Tensor, condition: Condition) -> Loss:
        with torch.no_grad():
            wanted = network(x) if network else []

        def loss(latents: Tensor) -> Tensor:
            made = decode(latents, condition)
            losses = mse(made, x) + prior * latents.square().sum(1)
            return losses + how.perceptual * distance_of_maps(network(made), wanted) if network else losses

        return loss

    starts, classes = _starts(model, x, how, labels)
    each = max(1, at_once(x.shape[1:]) // starts.shape[1])
    pieces = torch.split(torch.arange(x.shape[0], device=x.device), each)
    parts = [_best(objective, x[rows], Codes(starts[rows], condition_rows(classes, rows)), how) for rows in pieces]
    condition = {name: torch.cat([part.condition[name] for part in parts]) for name in classes}
    return Codes(torch.cat([part.latents for part in parts]), condition)


def _best(objective: Objective, x: Tensor, rivals: Codes, how: Projecting) -> Codes:
    """Return the codes of x (B, *shape), for each of which latents (B, C, latent) and classes (B, C) compete."""
    rows, count = rivals.latents.shape[:2]
    first = how.steps if count == 1 else round(CANDIDATES * how.steps)
    condition = {name: value.flatten() for name, value in rivals.condition.items()}
    loss = objective(x.repeat_interleave(count, 0), condition)
    latents, losses = descend(loss, rivals.latents.flatten(0, 1), first, how.rate)
    if count > 1:
        chosen = losses.view(rows, count).argmin(1) + count * torch.arange(rows, device=x.device)
        condition = condition_rows(condition, chosen)
        latents, _ = descend(objective(x, condition), latents[chosen], how.steps - first, how.rate)
    return Codes(latents, condition)


@torch.enable_grad()
def descend(loss: Loss, starts: Tensor, steps: int, rate: float) -> tuple[Tensor, Tensor]:
    """Return the latents (B, latent) with the least loss on a path of Adam, and their losses (B,).

    The path of each row begins at its start, and depends on no other row. The rate falls along a cosine.
    """
    latents = starts.detach().clone().requires_grad_()
    optimizer, falling = torch.optim.Adam([latents], lr=rate), cosine_decay(steps + 1)
    best, least = starts.detach(), starts.new_full((starts.shape[0],), torch.inf)
    for step in range(steps + 1):
        losses = loss(latents)
        better = losses.detach() < least
        best = torch.where(better[:, None], latents.detach(), best)
        least = torch.where(better, losses.detach(), least)
        optimizer.param_groups[0]["lr"] = rate * falling(step)
        optimizer.zero_grad()
        losses.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return best, least


def _starts(model: nn.Module, x: Tensor, how: Projecting, labels: Tensor | None) -> tuple[Tensor, Condition]:
    """Return the latents (B, C, latent) that compete for each example, and their classes (B, C)."""
    count = x.shape[0]
    if isinstance(model, Encodes):
        condition = _condition(model, x, labels)
        latents = model.encode(x, condition).flatten(1)[:, None]
        return latents, {name: value[:, None] for name, value in condition.items()}
    assert isinstance(model, HasPrior)
    drawn = model.prior(how.starts, generator(how.seed, "projection"))
    drawn[0] = 0  # the mean
    conditions = model.conditions if isinstance(model, Samples) else {}
    if "label" not in conditions:
        fill(conditions, NONE, count)  # refuses a model that needs a source
        return drawn.expand(count, *drawn.shape), NONE
    if labels is None or (labels < 0).any():
        labels = _every_class(conditions["label"].levels or 0, labels, count, x.device)
    else:
        labels = labels[:, None]
    latents = drawn.repeat(labels.shape[1], 1).expand(count, -1, -1)
    return latents, {"label": labels.repeat_interleave(how.starts, 1)}


def _every_class(classes: int, labels: Tensor | None, count: int, device: torch.device) -> Tensor:
    """Return the classes (B, K) to try for each example: all of them, and only its own if that is known."""
    if classes > MOST_CLASSES:
        raise UsageError(
            f"the model has {classes} classes, too many to try them all for a picture whose class is not known. "
            "Sort the pictures into folders that are named by their classes."
        )
    every = torch.arange(classes, device=device).expand(count, classes)
    return every if labels is None else torch.where(labels[:, None] < 0, every, labels[:, None])


def _condition(model: Encodes, x: Tensor, labels: Tensor | None) -> Condition:
    """Return the classes under which examples are encoded: inferred, else as given, else the classes in turn."""
    conditions = model.conditions if isinstance(model, Samples) else {}
    given: Condition = NONE
    if "label" in conditions:
        if isinstance(model, Classifies):
            given = {"label": model.classify(x)}
        elif labels is not None and (labels >= 0).all():
            given = {"label": labels}
    return fill(conditions, given, x.shape[0], x.device)
