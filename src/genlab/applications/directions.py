"""Directions among the styles of a model along which its images change, found without examples.

References:
    Härkönen, Hertzmann, Lehtinen and Paris, 2020. GANSpace. arXiv:2004.02546.
    Shen and Zhou, 2021. Closed-Form Factorization of Latent Semantics in GANs. arXiv:2007.06600.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from genlab.applications.capability import need
from genlab.applications.rows import read_table
from genlab.applications.style_space import StyleSpace, space_of
from genlab.core.contract import HasStyles
from genlab.core.errors import UsageError, suggestion
from genlab.core.random import generator

DRAWS = 10_000  # styles from which directions and their deviations are estimated


@dataclass(frozen=True)
class Directions:
    """Directions of styles, the most important ones of each method first."""

    names: Sequence[str]  # method-1, method-2, …
    vectors: Tensor  # (N, style), as long as the deviation of styles along them
    shares: Sequence[float]  # of the variance of styles that is along them


def principal(model: nn.Module, styles: Tensor) -> Tensor:
    """Return the principal directions of styles (B, style), (style, style): where they vary most (GANSpace)."""
    return _eigenvectors(styles.T.cov())


def closed_form(model: nn.Module, styles: Tensor) -> Tensor:
    """Return the eigenvectors of AᵀA, (style, style), with A the weights by which styles enter the layers (SeFa).

    Along the first ones the layers change most. As in the authors' code the rows of A have length 1.
    """
    weights = normalize(need(model, HasStyles, "genlab directions").style_weights().detach())
    return _eigenvectors(weights.T @ weights)


def random(model: nn.Module, styles: Tensor) -> Tensor:
    """Return directions that know nothing of the model, (style, style), to compare with."""
    return torch.randn(styles.shape[1], styles.shape[1], generator=generator(0, "directions")).to(styles)


METHODS: Mapping[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "ganspace": principal,
    "sefa": closed_form,
    "random": random,
}


def directions(model: nn.Module, count: int) -> Directions:
    """Return the first `count` directions of each method, in the space w of `StyleSpace`.

    Raises:
        GenlabError: the model has no styles.
    """
    space = StyleSpace(model, each_layer=False)
    styles = space.prior(DRAWS, generator(0, "directions"))
    total, vectors, names = styles.var(0).sum(), [], []
    for name, method in METHODS.items():
        found = normalize(method(model, styles))[:count]
        vectors.append(found * (styles @ found.T).std(0)[:, None])
        names += [f"{name}-{number + 1}" for number in range(len(found))]
    every = torch.cat(vectors)
    return Directions(names, every, (every.square().sum(1) / total).tolist())


def strips(model: nn.Module, found: Directions, seed: int, strengths: Sequence[float]) -> Tensor:
    """Return an image of the seed, moved along each direction by each strength, (N, S, *shape)."""
    space = StyleSpace(model, each_layer=False)
    start, steps = space.prior(1, generator(seed, "directions: image")), torch.tensor(strengths)
    with torch.no_grad():
        return torch.stack([space.decode(start + steps.to(each)[:, None] * each).cpu() for each in found.vectors])


def read_direction(towards: str) -> Tensor | None:
    """Return the direction (style,) that FILE:NAME means; None if it means something else.

    Raises:
        UsageError: the file has no such direction.
        DataError: it is no table.
    """
    file, colon, name = towards.rpartition(":")
    path = Path(file)
    if not colon or path.suffix.lower() not in (".csv", ".npz") or not path.is_file():
        return None
    table = read_table(path)
    if space_of(table.columns) != "w":
        raise UsageError(f"{path} holds no directions of styles. `genlab directions` writes some.")
    if name not in table.names:
        raise UsageError(
            f'{path} has no direction "{name}".{suggestion(name, table.names)} Choices: {", ".join(table.names)}.'
        )
    return torch.from_numpy(table.values[list(table.names).index(name)].copy())


def _eigenvectors(symmetric: Tensor) -> Tensor:
    """Return the eigenvectors of a symmetric matrix as rows, those of the largest eigenvalues first."""
    vectors: Tensor = torch.linalg.eigh(symmetric).eigenvectors
    return vectors.T.flip(0)
