"""Maps of examples: their vectors in two dimensions.

References:
    van der Maaten and Hinton, 2008. Visualizing Data using t-SNE. JMLR 9.
    McInnes, Healy and Melville, 2018. UMAP. arXiv:1802.03426.
    Venna and Kaski, 2001. Neighborhood Preservation in Nonlinear Projection Methods (trustworthiness).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from genlab.applications.examples import Examples
from genlab.applications.spaces import Numbers, Space
from genlab.core.errors import UsageError, suggestion

COMPONENTS = 50  # principal components of which t-SNE and UMAP make a map
NEIGHBOURS = 5  # of the trustworthiness
LEAST = 12  # examples


@dataclass(frozen=True)
class Panel:
    """A map of examples."""

    title: str
    points: Numbers  # (N, 2)
    trustworthiness: float  # 1 if all neighbours on the map are neighbours in the space; 0.5 for random points


def chosen(by: Sequence[str] | None) -> list[str]:
    """Return the methods asked for; by default all that are installed.

    Raises:
        UsageError: an unknown method, or one that is not installed.
    """
    if by is None:
        return [name for name in METHODS if name != "umap" or find_spec("umap")]
    for name in by:
        if name not in METHODS:
            raise UsageError(f'no map by "{name}".{suggestion(name, METHODS)} Choices: {", ".join(METHODS)}.')
        if name == "umap" and not find_spec("umap"):
            raise UsageError('UMAP is not installed: pip install "genlab[uses]", or choose --by pca tsne.')
    return list(dict.fromkeys(by))


def maps(examples: Examples, spaces: Sequence[Space], by: Sequence[str], seed: int) -> list[Panel]:
    """Return the maps of examples: by each method of the first space, then by each method of their pixels.

    Args:
        examples: with vectors in two spaces: that to map, and pixels.
        spaces: these two.
        by: methods, as `chosen` returns them.
        seed: of t-SNE and UMAP.

    Raises:
        UsageError: too few examples.
    """
    if len(examples.names) < LEAST:
        raise UsageError(
            f"a map needs {LEAST} examples or more, not {len(examples.names)}. Give more, or a larger --number."
        )
    return [
        _panel(f"{space.title} by {_NAMES[name]}", METHODS[name](x, seed), x)
        for space, x in zip(spaces, examples.vectors, strict=True)
        for name in by
    ]


def _panel(title: str, points: Numbers, x: Numbers) -> Panel:
    from sklearn.manifold import trustworthiness

    return Panel(title, points, float(trustworthiness(x, points, n_neighbors=NEIGHBOURS)))


def _pca(x: Numbers, seed: int) -> Numbers:
    from sklearn.decomposition import PCA

    points = PCA(min(2, x.shape[1]), random_state=seed).fit_transform(x)
    return np.pad(points, ((0, 0), (0, 2 - points.shape[1])))


def _tsne(x: Numbers, seed: int) -> Numbers:
    from sklearn.manifold import TSNE

    return np.asarray(TSNE(perplexity=min(30.0, len(x) / 4), random_state=seed).fit_transform(_fewer(x)))


def _umap(x: Numbers, seed: int) -> Numbers:
    from umap import UMAP  # type: ignore[import-not-found]

    made = UMAP(n_neighbors=min(15, len(x) - 1), random_state=seed, n_jobs=1).fit_transform(_fewer(x))
    return np.asarray(made)


def _fewer(x: Numbers) -> Numbers:
    """Return the first principal components, which are faster to map."""
    from sklearn.decomposition import PCA

    size = min(COMPONENTS, *x.shape)
    return x if size == x.shape[1] else np.asarray(PCA(size, random_state=0).fit_transform(x))


METHODS: Mapping[str, Callable[[Numbers, int], Numbers]] = {"pca": _pca, "tsne": _tsne, "umap": _umap}
_NAMES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
