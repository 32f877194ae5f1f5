import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from genlab.metrics.ranking import PixelRanking, f1_at, ranking

DRAWS = np.random.default_rng(0)


def test_scores_that_separate_have_an_auroc_of_1_and_a_threshold_between() -> None:
    scores, anomalous = np.array([1, 2, 3, 7, 8], np.float32), np.array([False] * 3 + [True] * 2)
    found = ranking(scores, anomalous)
    assert (found.auroc, found.average_precision, found.best_f1, found.error) == (1, 1, 1, 0)
    assert 3 <= found.best_threshold < 7
    assert f1_at(scores, anomalous, found.best_threshold) == 1
    assert ranking(-scores, anomalous).auroc == 0


def test_the_best_f1_is_that_at_the_best_threshold() -> None:
    anomalous = DRAWS.random(200) < 0.3
    scores = (DRAWS.normal(size=200) + anomalous).astype(np.float32)
    found = ranking(scores, anomalous)
    assert f1_at(scores, anomalous, found.best_threshold) == pytest.approx(found.best_f1)
    assert max(f1_at(scores, anomalous, float(t)) for t in scores) <= found.best_f1 + 1e-9


def test_the_error_of_an_auroc_is_its_deviation_over_draws() -> None:
    anomalous = np.arange(120) < 40
    drawn = [ranking((DRAWS.normal(size=120) + anomalous).astype(np.float32), anomalous) for _ in range(100)]
    assert np.mean([each.error for each in drawn]) == pytest.approx(np.std([d.auroc for d in drawn]), rel=0.25)


def test_binned_pixels_have_the_exact_auroc() -> None:
    pixels, masks, maps = PixelRanking(), [], []
    for _ in range(3):
        mask = DRAWS.random((30, 40)) < 0.1
        scores = (DRAWS.gamma(2, size=(30, 40)) + mask).astype(np.float32)
        pixels.add(scores, mask)
        masks.append(mask)
        maps.append(scores)
    assert pixels.auroc == pytest.approx(roc_auc_score(np.ravel(masks), np.ravel(maps)), abs=1e-3)
    assert pixels.quantile(0.9) == pytest.approx(np.quantile(np.array(maps)[~np.array(masks)], 0.9), rel=0.02)


def _with_defects() -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((100, 100), bool)
    mask[10:50, 10:50] = True
    mask[80:82, 80:82] = True
    return DRAWS.random((100, 100)).astype(np.float32), mask


def test_each_defect_counts_the_same_whatever_its_size() -> None:
    scores, mask = _with_defects()
    scores[10:50, 10:50] += 10
    scores[80:82, 80:82] = 0
    pixels = PixelRanking()
    pixels.add(scores, mask)
    assert pixels.defects == 2
    assert pixels.pro == pytest.approx(0.5, abs=0.01)
    assert pixels.auroc > 0.99


def test_a_perfect_map_has_a_pro_of_1_and_a_random_one_that_of_chance() -> None:
    perfect, chance = PixelRanking(), PixelRanking()
    for _ in range(20):
        scores, mask = _with_defects()
        perfect.add(mask.astype(np.float32), mask)
        chance.add(scores, mask)
        chance.add(scores)
    assert perfect.pro == pytest.approx(1)
    assert chance.pro == pytest.approx(0.15, abs=0.05)
