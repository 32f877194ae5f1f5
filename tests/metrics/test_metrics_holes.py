"""Fills without a model, and how near fills are to the truth."""

import numpy as np
import pytest
import torch
from torch import Tensor

from genlab.metrics.holes import (
    border_jump,
    gradient_energy,
    harmonic_fill,
    hole_l1,
    hole_mse,
    hole_psnr,
    mean_fill,
)


def box(count: int, side: int, *, top: int, left: int, height: int, width: int) -> Tensor:
    hole = torch.zeros(count, 1, side, side, dtype=torch.bool)
    hole[:, :, top : top + height, left : left + width] = True
    return hole


def test_a_harmonic_fill_continues_a_plane_exactly_and_ignores_what_was_there() -> None:
    y, x = torch.meshgrid(torch.linspace(-0.5, 0.5, 16), torch.linspace(-0.4, 0.4, 16), indexing="ij")
    images, hole = torch.stack([y + x, y - x])[None], box(1, 16, top=3, left=5, height=7, width=6)
    torch.testing.assert_close(harmonic_fill(images.masked_fill(hole, 9.0), hole), images, rtol=0, atol=1e-6)


def test_each_missing_pixel_is_the_mean_of_its_neighbours_also_at_the_border() -> None:
    images = torch.rand(3, 2, 9, 9)
    hole = torch.rand(3, 1, 9, 9) < 0.5
    filled = harmonic_fill(images, hole)
    sides = [(slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))]
    total, count = torch.zeros_like(filled), torch.zeros_like(filled)
    for to, of in sides:
        total[:, :, to] += filled[:, :, of]
        count[:, :, to] += 1
        total[..., to] += filled[..., of]
        count[..., to] += 1
    error = (filled - total / count).abs() * hole
    assert error.max() < 1e-5
    assert torch.equal(torch.where(hole, images, filled), images)


def test_a_picture_of_which_nothing_is_known_becomes_grey() -> None:
    hole = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    assert (harmonic_fill(torch.rand(1, 3, 4, 4), hole) == 0).all()
    assert torch.isfinite(mean_fill(torch.rand(1, 3, 4, 4), hole)).all()


def test_the_mean_is_that_of_known_pixels_of_each_channel() -> None:
    images, hole = torch.rand(2, 3, 8, 8), box(2, 8, top=2, left=2, height=4, width=4)
    wanted = np.where(hole, np.nan, images.numpy())
    filled = mean_fill(images, hole)
    np.testing.assert_allclose(filled[..., 3, 3], np.nanmean(wanted, (2, 3)), rtol=1e-5)
    assert torch.equal(filled[..., 0, :], images[..., 0, :])


def test_errors_are_of_missing_pixels_alone() -> None:
    truth, hole = torch.zeros(1, 3, 8, 8), box(1, 8, top=0, left=0, height=4, width=8)
    made = torch.full_like(truth, 0.5)
    made[..., 4:, :] = 99
    assert hole_mse(made, truth, hole).item() == pytest.approx(0.25)
    assert hole_l1(made, truth, hole).item() == pytest.approx(0.5)
    assert hole_psnr(made, truth, hole).item() == pytest.approx(10 * np.log10(4 / 0.25))


def test_the_energy_of_gradients_is_that_of_neighbours_in_the_hole() -> None:
    hole = box(1, 8, top=2, left=2, height=3, width=3)
    images = torch.where(hole, 0.0, 5.0).expand(-1, 2, -1, -1)
    assert gradient_energy(images, hole).item() == 0, "the step at the edge does not count"
    slope = torch.arange(8.0).expand(1, 1, 8, 8)
    assert gradient_energy(slope, hole).item() == pytest.approx(0.5), "1 across and 0 down"


def test_the_jump_across_the_border_is_that_of_pairs_of_one_known_and_one_missing_pixel() -> None:
    hole, images = box(2, 8, top=2, left=2, height=3, width=4), torch.zeros(2, 3, 8, 8)
    raised = torch.where(hole, images + torch.tensor([0.5, -0.2]).view(2, 1, 1, 1), images)
    torch.testing.assert_close(border_jump(raised, hole), torch.tensor([0.5, 0.2]))
    inner, outer = box(2, 8, top=3, left=3, height=1, width=2), box(2, 8, top=1, left=1, height=5, width=6)
    raised[inner.expand_as(raised)] = raised[~outer.expand_as(raised)] = 9
    torch.testing.assert_close(border_jump(raised, hole), torch.tensor([0.5, 0.2]))


def test_the_smoothest_fill_has_a_smaller_jump_than_the_mean() -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 16), indexing="ij")
    images, hole = (y * x + x)[None, None], box(1, 16, top=4, left=5, height=8, width=8)
    smooth, mean, truth = (
        border_jump(each, hole).item() for each in (harmonic_fill(images, hole), mean_fill(images, hole), images)
    )
    assert smooth < 1.2 * truth < mean
