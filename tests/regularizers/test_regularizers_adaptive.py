"""Adaptive augmentation: what its operations keep, that it can be undone, and how its probability moves."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import genlab
from genlab.core.errors import UsageError
from genlab.core.random import Draws, Randomness
from genlab.recipes.resolve import resolve
from genlab.regularizers import adaptive
from genlab.regularizers.adaptive import HIGHEST, AdaptiveAugmentation, augmented


def images(count: int = 6, channels: int = 3, height: int = 12, width: int = 12) -> Tensor:
    return 2 * torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(1)) - 1


def draws(count: int, seed: int = 0) -> Draws:
    return Randomness(seed).draws(count, "test")


@pytest.mark.parametrize("shape", [(3, 12, 12), (1, 8, 16), (3, 16, 8)])
def test_at_probability_0_images_stay_as_they_are(shape: tuple[int, int, int]) -> None:
    given = images(6, *shape)
    torch.testing.assert_close(augmented(given, torch.tensor(0.0), draws(6)), given, atol=1e-5, rtol=0)


def test_each_image_is_augmented_by_chance_alone() -> None:
    given = images(400, 1, 4, 4)
    made = augmented(given, torch.tensor(0.05), draws(400))
    unchanged = (made - given).abs().amax((1, 2, 3)) < 1e-4
    assert 0.4 < unchanged.float().mean() < 0.75  # 0.95 to the power of eleven operations is 0.57


def test_pictures_of_one_value_are_not_changed_by_moving_them() -> None:
    given = torch.full((50, 3, 9, 9), 0.3)
    torch.testing.assert_close(adaptive._moved(given, torch.tensor(1.0), draws(50)), given)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 32)])
def test_turns_and_mirrors_keep_distances(height: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disc around the centre stays one, in pixels, whatever the shape of the picture."""
    monkeypatch.setattr(adaptive._Chance, "normal", lambda self, deviation: torch.zeros(self.draws.rows))
    monkeypatch.setattr(adaptive, "FARTHEST", 0.0)
    y, x = torch.arange(height)[:, None] - (height - 1) / 2, torch.arange(width) - (width - 1) / 2
    disc = torch.exp(-(x**2 + y**2) / 8).expand(20, 1, -1, -1)
    made = adaptive._moved(disc, torch.tensor(1.0), draws(20))
    inside = (x**2 + y**2 < height**2 / 5).expand_as(disc)  # beyond are reflections
    torch.testing.assert_close(made[inside], disc[inside], atol=0.06, rtol=0)


def test_hues_turn_about_grey_and_keep_lengths() -> None:
    turn = adaptive._hue(torch.tensor([0.0, 0.7, 2.0]))
    grey = torch.ones(3, 3)
    torch.testing.assert_close(torch.einsum("bij,bj->bi", turn, grey), grey)
    torch.testing.assert_close(turn @ turn.mT, torch.eye(3).expand(3, 3, 3))
    torch.testing.assert_close(turn[0], torch.eye(3))


@pytest.mark.parametrize(("probability", "undone"), [(0.5, True), (1.0, False)])
def test_below_probability_1_the_distribution_of_images_can_be_recovered(
    probability: float, *, undone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mirroring and quarter turns each mix four images by a matrix whose smallest singular value is 1 − p."""
    monkeypatch.setattr(adaptive._Chance, "normal", lambda self, deviation: torch.zeros(self.draws.rows))
    monkeypatch.setattr(adaptive._Chance, "uniform", lambda self, *_: torch.zeros(self.draws.rows))
    corner = torch.zeros(1, 1, 2, 2)
    corner[..., 0, 0] = 1.0
    corners = torch.cat([corner.rot90(k, (2, 3)) for k in range(4)])
    given = corners.repeat_interleave(2000, dim=0)
    made = adaptive._moved(given, torch.tensor(probability), draws(len(given)))
    places = made.flatten(1).argmax(1)
    mixing = torch.stack([torch.bincount(part, minlength=4) for part in places.chunk(4)]) / 2000
    smallest = torch.linalg.svdvals(mixing)[-1]
    assert smallest == pytest.approx((1 - probability) ** 2, abs=0.05)
    assert (smallest > 0.2) == undone


def test_the_probability_follows_the_signs_of_scores() -> None:
    follower = AdaptiveAugmentation(target=0.6)
    for _ in range(30):
        follower.observe(torch.ones(10), images=5000)
    assert 0 < follower.probability <= 0.3
    assert follower.overfitting > 0.9
    for _ in range(200):
        follower.observe(torch.ones(10), images=5000)
    assert follower.probability == pytest.approx(HIGHEST)
    for _ in range(200):
        follower.observe(torch.tensor([1.0, -1.0]), images=5000)
    assert follower.probability == 0


def test_a_run_logs_and_resumes_it(tmp_path: Path) -> None:
    small = {"data": "digits", "size": 16, "width": 4, "latent": 4, "batch_size": 8, "adaptive_augment": 0.2}
    fast = {"device": "cpu", "precision": "float32", "root": tmp_path, "quiet": True, "log_every": 1}
    whole = genlab.train("r1-gan", steps=4, **small, **fast).history
    assert np.abs(whole["overfitting"][1:]).min() > 0
    part = genlab.train("r1-gan", steps=2, **small, **fast)
    resumed = genlab.resume(part, steps=4, quiet=True).history
    for name in ("overfitting", "augmentation_probability", "generator_loss"):
        assert resumed[name][-1] == whole[name][-1]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"loss": "wasserstein", "weight_clip": 0.1}, "scores of real images are above 0, which says nothing"),
        ({"diff_augment": "translation"}, "Leave one out"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        resolve("dcgan", {"adaptive_augment": 0.6, **options}).recipe.refuse()
