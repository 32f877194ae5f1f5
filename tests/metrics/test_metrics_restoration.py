"""Restored pictures are measured as in published tables of super-resolution."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.core.batch import PIXELS
from genlab.metrics import restoration
from genlab.metrics.restoration import likeness, luma, ssim

ROOT = Path(__file__).parents[2]
SET5 = Path(os.environ.get("GENLAB_SET5", ROOT.parent / "shared" / "data" / "super-resolution.zip"))
LEVEL = 2 / 255


def images(*shape: int, seed: int = 0, most: int = 256) -> torch.Tensor:
    """Images of bytes below `most`, in [-1, 1]."""
    draws = torch.Generator().manual_seed(seed)
    return torch.randint(0, most, shape, generator=draws) * LEVEL - 1


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((0, 0, 0), 16.0),
        ((255, 255, 255), 235.0),
        ((255, 0, 0), 16 + 65.481),
        ((0, 255, 0), 16 + 128.553),
        ((0, 0, 255), 16 + 24.966),
    ],
)
def test_the_luma_of_a_colour_is_that_of_the_standard(colour: tuple[int, int, int], expected: float) -> None:
    pixel = torch.tensor(colour, dtype=torch.float64).view(1, 3, 1, 1) / 127.5 - 1
    assert (luma(pixel).item() + 1) * 127.5 == pytest.approx(expected, abs=1e-3)


def test_an_error_of_one_level_of_grey_counts_by_the_range_of_the_luma() -> None:
    truth = images(1, 3, 20, 20, most=255)
    found = likeness(truth + LEVEL, truth, 0)
    assert found["psnr_rgb"].item() == pytest.approx(20 * np.log10(255), abs=1e-3)
    assert found["psnr_y"].item() == pytest.approx(20 * np.log10(255 * 255 / 219), abs=1e-3)


def test_the_border_does_not_count_and_the_inside_does() -> None:
    truth = images(1, 3, 24, 30)
    made = truth.clone()
    made[..., :4, :] = made[..., -4:, :] = made[..., :, :4] = made[..., :, -4:] = 0
    assert likeness(made, truth, 4)["psnr_rgb"].item() == pytest.approx(58.92, abs=0.01)
    assert likeness(made, truth, 3)["psnr_rgb"].item() < 30
    assert likeness(made, truth, 4)["ssim_y"].item() == pytest.approx(1)


def test_results_are_rounded_to_bytes_before_they_are_measured() -> None:
    truth = images(2, 3, 16, 16)
    assert likeness(truth + 0.4 * LEVEL, truth, 0)["psnr_y"].min() > 58


def test_small_and_grey_pictures_have_the_measures_that_are_possible() -> None:
    assert likeness(images(1, 1, 16, 16), images(1, 1, 16, 16), 4).keys() == {"psnr_y"}
    assert likeness(images(1, 3, 8, 40), images(1, 3, 8, 40), 4) == {}
    assert likeness(images(1, 3, 3, 3), images(1, 3, 3, 3), 4) == {}


def test_the_similarity_is_that_of_scikit_image(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    one = images(1, 1, 40, 53)
    two = (0.7 * one + 0.3 * images(1, 1, 40, 53, seed=1) + 0.1).clamp(-1, 1)
    arrays = [(x[0, 0].double().numpy() + 1) * 127.5 for x in (one, two)]
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    _, maps = metrics.structural_similarity(*arrays, full=True, **options)
    whole = ssim(one, two).item()
    assert whole == pytest.approx(maps[5:-5, 5:-5].mean(), abs=1e-6)
    monkeypatch.setattr(restoration, "PIXELS", 53 * 7)
    assert ssim(one, two).item() == pytest.approx(whole, abs=1e-12), "the same in strips"
    assert PIXELS > 53 * 7


def test_bicubic_interpolation_is_measured_as_by_hand() -> None:
    ramp = np.add.outer(np.arange(64.0), 2 * np.arange(48.0)) % 97 * 2.5
    truth = np.stack([ramp, ramp[::-1], 255 - ramp], 2).astype(np.uint8)
    small = Image.fromarray(truth).resize((12, 16), Image.Resampling.BICUBIC)
    made = np.asarray(small.resize((48, 64), Image.Resampling.BICUBIC))
    weights = np.array([65.481, 128.553, 24.966]) / 255
    error = ((made.astype(float) - truth) @ weights)[4:-4, 4:-4]
    both = (torch.from_numpy(x.copy()).permute(2, 0, 1)[None] / 127.5 - 1 for x in (made, truth))
    expected = 10 * np.log10(255**2 / np.square(error).mean())
    assert likeness(*both, 4)["psnr_y"].item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.skipif(not SET5.is_file(), reason="needs super-resolution.zip with Set5, at GENLAB_SET5")
def test_bicubic_interpolation_of_set5_reaches_the_published_figures() -> None:
    found: dict[str, list[float]] = {}
    with zipfile.ZipFile(SET5) as archive:
        names = [name for name in archive.namelist() if "set5/" in name.lower() and not name.endswith("/")]
        for name in names:
            with Image.open(io.BytesIO(archive.read(name))) as file:
                whole = file.convert("RGB")
            width, height = (side // 4 * 4 for side in whole.size)
            truth = whole.crop((0, 0, width, height))
            small = truth.resize((width // 4, height // 4), Image.Resampling.BICUBIC)
            both = (truth, small.resize((width, height), Image.Resampling.BICUBIC))
            one, two = (torch.from_numpy(np.array(x)).permute(2, 0, 1)[None] / 127.5 - 1 for x in both)
            for measure, value in likeness(two, one, 4).items():
                found.setdefault(measure, []).append(value.item())
    assert len(names) == 5
    assert np.mean(found["psnr_y"]) == pytest.approx(28.43, abs=0.01)
    assert np.mean(found["ssim_y"]) == pytest.approx(0.811, abs=0.001)
