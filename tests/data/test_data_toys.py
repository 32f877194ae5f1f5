from collections.abc import Callable

import numpy as np
import pytest

from genlab.core.errors import UsageError
from genlab.data.dataset import Source


@pytest.mark.parametrize(
    ("name", "count", "spread_over_spacing"),
    [("ring8", 8, 0.01 / (2 * np.sin(np.pi / 8))), ("grid25", 25, 0.05 / 2)],
)
def test_modes_are_balanced_and_spread_as_published(
    opened: Callable[..., Source], name: str, count: int, spread_over_spacing: float
) -> None:
    source = opened(name)
    assert source.modes is not None
    assert source.mode_spread is not None
    assert source.modes.shape == (count, 2)
    assert np.abs(source.modes).max() == pytest.approx(0.8)
    gaps = np.linalg.norm(source.modes[:, None] - source.modes, axis=-1)
    spacing = gaps[gaps > 0].min()
    assert source.mode_spread / spacing == pytest.approx(spread_over_spacing)

    for side, size in [(source.train, 100_000), (source.held_out, 10_000)]:
        assert side.spec.target.shape == (2,)
        assert len(side) == size
        assert side.labels is not None
        counts = np.bincount(side.labels, minlength=count)
        assert (np.abs(counts - size / count) < 5 * np.sqrt(size / count)).all()
        points = side.batch(np.arange(size)).x.numpy()
        offsets = points - source.modes[side.labels]
        assert offsets.std() == pytest.approx(source.mode_spread, rel=0.02)
        assert np.abs(offsets.mean(axis=0)).max() < 5 * source.mode_spread / np.sqrt(size)
        nearest = np.linalg.norm(points[:2000, None] - source.modes, axis=-1).argmin(axis=1)
        assert (nearest == side.labels[:2000]).all()


def test_a_toy_is_always_the_same_and_its_sides_differ(opened: Callable[..., Source]) -> None:
    first, again = opened("ring8"), opened("ring8")
    assert first.train.fingerprint == again.train.fingerprint
    one, other = (side.batch(np.arange(10_000)).x for side in (first.train, first.held_out))
    assert not np.isin(one.numpy(), other.numpy()).all()
    assert first.total == len(first.train) + len(first.held_out)


@pytest.mark.parametrize("options", [{"size": 32}, {"channels": 1}])
def test_size_and_channels_do_not_fit_a_toy(opened: Callable[..., Source], options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="points"):
        opened("grid25", **options)
