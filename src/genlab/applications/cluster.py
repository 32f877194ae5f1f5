"""Clusters of examples by k-means, and how well they match the classes."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genlab.applications.rows import Rows
from genlab.applications.spaces import Numbers, Space
from genlab.data.dataset import Rejected
from genlab.data.originals import Originals, squashed_of, stacked
from genlab.data.progress import bar

RESTARTS = 4  # of k-means, of which the best is taken


@dataclass(frozen=True)
class Clustering:
    """k-means in one space, with the transformation of its vectors."""

    title: str
    space: Space
    components: Any  # a PCA, or None
    means: Numbers  # (K, D)

    def distances_of(self, vectors: Numbers) -> Numbers:
        """Return the distances (B, K) of vectors (B, D) to the means."""
        from sklearn.metrics.pairwise import euclidean_distances

        found = vectors if self.components is None else self.components.transform(vectors)
        return np.asarray(euclidean_distances(found, self.means))


def fit(title: str, space: Space, vectors: Numbers, count: int, seed: int, components: Any = None) -> Clustering:  # noqa: ANN401
    """Return `count` clusters of vectors (N, D) by k-means, of their principal `components` if these are given.

    Of fewer different vectors than clusters, some clusters are empty.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    x = vectors if components is None else components.transform(vectors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different examples: the others stay empty
        fitted = KMeans(count, n_init=RESTARTS, random_state=seed).fit(x)
    return Clustering(title, space, components, fitted.cluster_centers_)


def nearest(clustering: Clustering, vectors: Numbers, each: int) -> list[npt.NDArray[np.int64]]:
    """Return for each cluster the rows of its `each` vectors (N, D) that are nearest to its mean."""
    distances = clustering.distances_of(vectors)
    clusters = distances.argmin(1)
    members = [np.flatnonzero(clusters == cluster) for cluster in range(len(clustering.means))]
    return [rows[distances[rows, cluster].argsort()[:each]] for cluster, rows in enumerate(members)]


def assign(
    given: Originals, clusterings: Sequence[Clustering], rows: Rows, *, progress: bool
) -> tuple[list[Rejected], int]:
    """Write the cluster of each example in each space; return what is no picture, and how many were squashed.

    The rows hold the cluster by the first clustering, the distance to its mean, and the clusters by the others.

    Raises:
        StorageError: the disk refused.
    """
    rejected, squashed = list[Rejected](), 0
    with bar(progress) as shown:
        task = shown.add_task("assigning", total=given.count, completed=len(rows.names))
        for chunk in given.chunks(rejected, done=set(rows.names)):
            x = stacked(chunk)
            found = [clustering.distances_of(clustering.space.of(x)) for clustering in clusterings]
            own = (found[0].argmin(1), found[0].min(1))
            values = np.stack([*own, *(each.argmin(1) for each in found[1:])], 1)
            rows.add([each.name for each in chunk], [each.label for each in chunk], values.astype(np.float32))
            squashed += squashed_of([each.size for each in chunk], given.modality.shape)
            shown.update(task, completed=len(rows.names) + len(rejected))
    return rejected, squashed


def agreement(labels: Sequence[str], clusters: npt.NDArray[np.int64]) -> Mapping[str, float]:
    """Return how well clusters match classes: 1 if exactly; NMI and ARI are about 0 for random clusters.

    NMI is the mutual information of both, divided by the mean of their entropies; ARI the share of pairs that are
    together or apart in both, corrected for chance; purity the share of examples in the largest class of their
    cluster, which grows with the number of clusters.

    References:
        Vinh, Epps and Bailey, 2010. Information Theoretic Measures for Clusterings Comparison. JMLR 11.
        Hubert and Arabie, 1985. Comparing Partitions. Journal of Classification 2.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
    from sklearn.metrics.cluster import contingency_matrix

    table = contingency_matrix(labels, clusters)
    return {
        "NMI": float(normalized_mutual_info_score(labels, clusters)),
        "ARI": float(adjusted_rand_score(labels, clusters)),
        "purity": float(table.max(0).sum() / table.sum()),
    }
