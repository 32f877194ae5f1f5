"""Denoisers, and what other families make of noisy examples."""

import pytest
import torch
from test_family_diffusion import POINT, SPREAD, Known, every_process
from torch import Tensor, nn

from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec, Images, Points
from genlab.core.random import Draws, generator
from genlab.families.denoiser import Denoiser
from genlab.families.diffusion import Diffusion, Sampling
from genlab.families.samplers import DDIM, Ancestral
from genlab.objectives.diffusion import SCHEDULES
from genlab.regularizers.corruption import CORRUPTIONS


class Shift(nn.Module):
    """Finds the same noise in every pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.full_like(x, 0.25)


def test_what_the_network_finds_is_taken_away_and_no_pixel_leaves_the_picture() -> None:
    model = Denoiser(Images(1, 4, 4), Shift(), lambda x, draws: x)
    x = torch.tensor([0.5, -0.9]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    restored = model.denoise(x)
    assert (restored[0] == 0.25).all()
    assert (restored[1] == -1).all()
    points = Denoiser(Points(2), Shift(), lambda x, draws: x)
    assert (points.denoise(torch.full((1, 2), -0.9)) == -1.15).all()


def test_each_picture_gets_noise_of_its_own_strength_and_half_of_them_are_clipped() -> None:
    clean = torch.zeros(400, 1, 16, 16)
    noisy = CORRUPTIONS["gaussian-levels"](clean, Draws(generator(0), len(clean)), 0.4)
    spread = noisy.flatten(1).std(1)
    assert spread.min() < 0.02
    assert 0.7 < spread.max() < 0.9  # twice the level, because pixels go from -1 to 1
    beyond = (noisy.abs() > 1).flatten(1).any(1)[spread > 0.5].float().mean()
    assert 0.35 < beyond < 0.65


@every_process
@pytest.mark.parametrize("sigma", [0.05, 0.3, 2.0])
def test_diffusion_denoises_to_the_posterior_mean(schedule: str, prediction: str, sigma: float) -> None:
    """Of c ~ N(0, s²) and x = c + σε it is s²/(s² + σ²) x."""
    model = Diffusion(Known(schedule, prediction), POINT, SCHEDULES[schedule](1000), prediction)
    x = torch.randn(5, 2)
    wanted = SPREAD**2 / (SPREAD**2 + sigma**2) * x
    torch.testing.assert_close(model.denoise(x, torch.full((5,), sigma)), wanted, rtol=0.01, atol=1e-3)


def test_each_example_is_denoised_at_its_own_level() -> None:
    model = Diffusion(Known("cosine", "velocity"), POINT, SCHEDULES["cosine"](1000), "velocity")
    x, sigma = torch.randn(3, 2), torch.tensor([0.1, 1.0, 0.1])
    singly = [model.denoise(x[at : at + 1], sigma[at : at + 1]) for at in range(3)]
    torch.testing.assert_close(model.denoise(x, sigma), torch.cat(singly))


@pytest.mark.parametrize(("sampler", "steps"), [(DDIM(), 200), (Ancestral(), None)])
def test_draws_have_the_spread_of_clean_examples(sampler: DDIM | Ancestral, steps: int | None) -> None:
    """Their mean has less: that is why draws have more details."""
    sigma = torch.tensor([0.5, 0.25]).repeat(2000)
    model = Diffusion(
        Known("cosine", "velocity"),
        POINT,
        SCHEDULES["cosine"](1000),
        "velocity",
        sampling=Sampling(sampler, steps),
    )
    noise = generator(0, "clean")
    clean = SPREAD * torch.randn(4000, 2, generator=noise)
    x = clean + sigma[:, None] * torch.randn(4000, 2, generator=noise)
    with torch.no_grad():
        drawn = model.draw_denoised(x, sigma, generator=generator(1))
        mean = model.denoise(x, sigma)
    assert drawn.std() == pytest.approx(SPREAD, rel=0.04)
    assert mean.std() < 0.9 * SPREAD
    assert (mean - clean).square().mean() < (drawn - clean).square().mean()


def test_diffusion_needs_the_noise_level_and_no_source() -> None:
    schedule = SCHEDULES["cosine"](10)
    model = Diffusion(Known("cosine", "velocity"), POINT, schedule, "velocity")
    with pytest.raises(UsageError, match="sigma"):
        model.denoise(torch.randn(1, 2))
    translating = Diffusion(
        Known("cosine", "velocity"), DataSpec(Points(2), {"source": Points(2)}), schedule, "velocity"
    )
    with pytest.raises(UsageError, match="the condition source"):
        translating.denoise(torch.randn(1, 2), torch.ones(1))
