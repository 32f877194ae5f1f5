"""How well scores rank anomalies above normal examples, and the pixels of defects above others.

References:
    Bergmann et al., 2019. MVTec AD: A Comprehensive Real-World Dataset for Unsupervised Anomaly Detection. CVPR.
    Bergmann et al., 2020. Uninformed Students: Student-Teacher Anomaly Detection. CVPR (the per-region overlap).
    Hanley and McNeil, 1982. The Meaning and Use of the Area under a ROC Curve. Radiology 143.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float32]
Truth = npt.NDArray[np.bool_]

MOST_FALSE = 0.3  # share of false positives up to which the per-region overlap is integrated
_DROPPED = 12  # last bits of a float32: bins are wide by at most 2^-11 of their value
_BINS = (0x7F800000 >> _DROPPED) + 1


@dataclass(frozen=True)
class Ranking:
    """How scores rank n normal examples and m anomalies."""

    auroc: float  # probability that an anomaly has a higher score than a normal example
    error: float  # standard error of auroc
    average_precision: float
    best_f1: float  # at the best threshold
    best_threshold: float  # scores above it are anomalies


def ranking(scores: Numbers, anomalous: Truth) -> Ranking:
    """Return how scores (N,) rank examples, of which some, but not all, are `anomalous` (N,)."""
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

    auroc = float(roc_auc_score(anomalous, scores))
    precision, recall, thresholds = precision_recall_curve(anomalous, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(f1[:-1].argmax())
    below = float(np.nextafter(np.float32(thresholds[best]), np.float32(-np.inf)))
    error = _auroc_error(auroc, int(anomalous.sum()), int((~anomalous).sum()))
    return Ranking(auroc, error, float(average_precision_score(anomalous, scores)), float(f1[best]), below)


def _auroc_error(auroc: float, anomalies: int, normals: int) -> float:
    """Return the standard error of an AUROC after Hanley and McNeil."""
    both, squared = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    spread = auroc * (1 - auroc) + (anomalies - 1) * (both - auroc**2) + (normals - 1) * (squared - auroc**2)
    return math.sqrt(max(spread, 0.0) / (anomalies * normals))


def chance_error(anomalies: int, normals: int) -> float:
    """Return the standard error of the AUROC ½ of scores that rank by chance."""
    return _auroc_error(0.5, anomalies, normals)


def f1_at(scores: Numbers, anomalous: Truth, threshold: float) -> float:
    """Return F1 = 2 TP / (2 TP + FP + FN) if scores (N,) above a threshold are called anomalies."""
    called = scores > threshold
    return 2 * int((called & anomalous).sum()) / max(1, int(called.sum() + anomalous.sum()))


def _counts() -> npt.NDArray[np.float64]:
    return np.zeros(_BINS)


@dataclass
class PixelRanking:
    """How maps of scores rank the pixels of defects: pixel by pixel, and defect by defect.

    Scores of at least 0 are counted in bins, so that the memory does not depend on the number of pictures.
    """

    normal: npt.NDArray[np.float64] = field(default_factory=_counts)  # pixels
    defective: npt.NDArray[np.float64] = field(default_factory=_counts)  # pixels
    overlap: npt.NDArray[np.float64] = field(
        default_factory=_counts
    )  # pixels, each divided by those of its defect
    defects: int = 0  # connected regions

    def add(self, scores: Numbers, mask: Truth | None = None) -> None:
        """Add the map (H, W) of a picture and the mask of its defects, None if it has none."""
        bins = np.ascontiguousarray(scores, "<f4").view("<u4") >> _DROPPED
        if mask is None:
            self.normal += np.bincount(bins.ravel(), minlength=_BINS)
            return
        from scipy.ndimage import label

        regions, count = label(mask, np.ones((3, 3)))
        weights = 1 / np.bincount(regions[mask])[regions[mask]] if count else None
        self.normal += np.bincount(bins[~mask], minlength=_BINS)
        self.defective += np.bincount(bins[mask], minlength=_BINS)
        self.overlap += np.bincount(bins[mask], weights, minlength=_BINS)
        self.defects += count

    def quantile(self, share: float) -> float:
        """Return the score below which this share of the normal pixels lies."""
        places = self.normal.cumsum() / self.normal.sum()
        upper = np.array([(int(np.searchsorted(places, share)) + 1) << _DROPPED], "<u4")
        return float(upper.view("<f4")[0])

    @property
    def auroc(self) -> float:
        """Probability that a pixel of a defect has a higher score than another pixel."""
        return self._area(self.defective / self.defective.sum(), 1.0)

    @property
    def pro(self) -> float:
        """Mean share of each defect that is found, over the thresholds with at most 30 % false positives."""
        return self._area(self.overlap / self.defects, MOST_FALSE)

    def _area(self, found: npt.NDArray[Any], most: float) -> float:
        """Return the area under the curve of what is found by false positives up to `most`, divided by `most`."""
        from sklearn.metrics import auc

        false, true = (
            np.concatenate([[0.0], parts[::-1].cumsum()]) for parts in (self.normal / self.normal.sum(), found)
        )
        inside = false < most
        x = np.append(false[inside], most)
        y = np.append(true[inside], np.interp(most, false, true))
        return float(auc(x, y)) / most
