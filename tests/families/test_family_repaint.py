"""Missing parts that a diffusion model fills in are distributed as given what is known."""

import pytest
import torch
from torch import Tensor

from genlab.core.errors import UsageError
from genlab.core.known import Outside, Reduced
from genlab.families.repaint import Repainting, repaint
from genlab.families.samplers import Ancestral, Trajectory
from genlab.objectives.diffusion import cosine

MEAN, COVARIANCE = torch.tensor([0.3, -0.2]), torch.tensor([[0.5, 0.4], [0.4, 0.5]])
OTHER = torch.tensor([[0.6, 0.1], [0.1, 0.1]])  # of which the sum says more about the first number
SCHEDULE, COUNT = cosine(1000), 1500


def exact(noisy: Tensor, t: float, covariance: Tensor = COVARIANCE) -> tuple[Tensor, Tensor]:
    """The mean of a Gaussian of two numbers, given both with noise."""
    alpha, sigma = SCHEDULE.alpha(t).float(), SCHEDULE.sigma(t).float()
    spread = alpha**2 * covariance + sigma**2 * torch.eye(2)
    clean = MEAN + (noisy - alpha * MEAN) @ torch.linalg.solve(spread, alpha * covariance)
    return clean, (noisy - alpha * clean) / sigma


def fills(resampling: int, known: float = 1.0) -> Tensor:
    """The second number, drawn by RePaint given the first one."""
    noise = torch.Generator().manual_seed(0)
    path = Trajectory(SCHEDULE, exact, lambda: torch.randn(COUNT, 2, generator=noise))
    given = Outside(torch.tensor([[known, torch.nan]]).expand(COUNT, 2), torch.tensor([[False, True]]))
    made = repaint(path, given, Ancestral().times(SCHEDULE, 100), Repainting(10, resampling))
    assert (made[:, 0] == known).all()
    return made[:, 1]


def completions(resampling: int, mean: float = 0.5) -> Tensor:
    """Both numbers, as the pixels of an image, drawn by RePaint given their mean."""
    noise = torch.Generator().manual_seed(0)
    shape = (COUNT, 1, 1, 2)

    def denoiser(noisy: Tensor, t: float) -> tuple[Tensor, Tensor]:
        clean, rest = exact(noisy.flatten(1), t, OTHER)
        return clean.view(shape), rest.view(shape)

    path = Trajectory(SCHEDULE, denoiser, lambda: torch.randn(shape, generator=noise))
    known = Reduced(torch.full((COUNT, 1, 1, 1), mean), (1, 2))
    made = repaint(path, known, Ancestral().times(SCHEDULE, 100), Repainting(10, resampling)).flatten(1)
    torch.testing.assert_close(made.mean(1), torch.full((COUNT,), mean))
    return made


def test_fills_have_the_mean_and_the_variance_given_what_is_known() -> None:
    made = fills(10)
    mean, variance = -0.2 + 0.8 * (1 - 0.3), 0.5 * (1 - 0.8**2)
    assert made.mean() == pytest.approx(mean, abs=0.06)
    assert made.var() == pytest.approx(variance, rel=0.2)
    assert abs(fills(1).mean() - mean) > 0.15, "which is what going back to noise is for"


def test_what_is_drawn_has_the_mean_and_the_variance_given_a_sum() -> None:
    made, total = completions(10), torch.tensor([1.0, 1.0])
    share = OTHER @ total / (total @ OTHER @ total)
    mean = MEAN + share * (1.0 - MEAN.sum())
    variance = OTHER - torch.outer(share, OTHER @ total)
    assert made.mean(0).tolist() == pytest.approx(mean.tolist(), abs=0.03)
    assert made.var(0).tolist() == pytest.approx(variance.diag().tolist(), rel=0.2)
    assert (completions(1).mean(0) - mean).abs().max() > 0.05, "which is what going back to noise is for"


def test_the_path_goes_back_from_each_multiple_of_the_jump_but_not_to_where_it_began() -> None:
    assert Repainting(2, 3).path(4) == [4, 3, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1, 0]
    assert Repainting(3, 2).path(7) == [7, 6, 5, 4, 3, 4, 5, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0]
    assert Repainting(10, 1).path(3) == [3, 2, 1, 0]
    assert Repainting(10, 2).path(3) == [3, 2, 1, 0, 1, 2, 1, 0], "a jump is shorter than the path"
    assert Repainting(5, 5).path(1) == [1, 0]


@pytest.mark.parametrize("wrong", [{"jump_length": 0}, {"resampling": 0}])
def test_an_impossible_path_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="must be at least 1, not 0"):
        Repainting(**wrong)
