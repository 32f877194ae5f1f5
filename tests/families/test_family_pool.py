import torch
from torch import Tensor

from genlab.core.random import generator
from genlab.families.pool import Pool


def made(step: int, rows: int = 1) -> Tensor:
    """Return images that tell themselves apart: 1, 2, 3, …"""
    return torch.arange(step * rows, (step + 1) * rows).view(rows, 1, 1, 1) + 1.0


def stream(pool: Pool, start: int, stop: int, rows: int = 1) -> list[float]:
    steps = (pool.shown(made(step, rows), generator(0, step)) for step in range(start, stop))
    return [number for shown in steps for number in shown.flatten().tolist()]


def test_an_empty_pool_shows_the_current_images_and_remembers_them() -> None:
    pool = Pool(5, (1, 1, 1))
    assert stream(pool, 0, 5) == [1, 2, 3, 4, 5] == pool.images.flatten().tolist()
    assert pool.count == 5


def test_a_pool_of_none_shows_the_current_images() -> None:
    assert stream(Pool(0, (1, 1, 1)), 0, 4, rows=3) == list(range(1, 13))


def test_a_full_pool_shows_an_earlier_image_half_of_the_time_each_at_most_once() -> None:
    pool, steps = Pool(5, (1, 1, 1)), 2000
    shown = stream(pool, 0, steps)
    earlier = sum(number < step + 1 for step, number in enumerate(shown))
    assert abs(earlier / steps - 0.5) < 0.04
    assert len(set(shown[5:])) == len(shown[5:])
    # The first five were shown as they came; whatever else was made was shown once or is still remembered.
    assert sorted([*shown[5:], *pool.images.flatten().tolist()]) == list(range(1, steps + 1))


def test_all_places_are_replaced_equally_often() -> None:
    pool = Pool(4, (1, 1, 1))
    replaced = torch.zeros(4)
    for step in range(2000):
        before = pool.images.clone()
        pool.shown(made(step), generator(0, step))
        replaced += (pool.images != before).flatten()
    assert (replaced / replaced.sum() - 0.25).abs().max() < 0.05


def test_rows_of_a_batch_enter_one_after_the_other() -> None:
    pool = Pool(3, (1, 1, 1))
    shown = stream(pool, 0, 50, rows=8)
    assert shown[:3] == [1, 2, 3]
    assert len(set(shown[3:])) == len(shown[3:])
    assert sorted([*shown[3:], *pool.images.flatten().tolist()]) == list(range(1, 401))


def test_a_pool_that_is_copied_after_any_step_goes_on_as_it_would_have() -> None:
    whole = stream(Pool(5, (1, 1, 1)), 0, 40)
    for stop in range(40):
        pool, copy = Pool(5, (1, 1, 1)), Pool(5, (1, 1, 1))
        stream(pool, 0, stop)
        copy.images.copy_(pool.images)
        copy.count.copy_(pool.count)
        assert stream(copy, stop, 40) == whole[stop:]


def test_the_images_that_are_passed_in_stay_as_they_are() -> None:
    pool = Pool(1, (1, 1, 1))
    for step in range(20):
        image = made(step)
        pool.shown(image, generator(0, step)).zero_()
        assert image.item() == step + 1
        assert pool.images.item() > 0
