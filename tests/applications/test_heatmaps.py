"""Heat maps have the size of their pictures, and masks measure them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.applications.heatmaps import colours, enlarged, error_maps, map_each, pixel_threshold
from genlab.core.modality import Images
from genlab.data.defects import find_defects
from genlab.data.originals import originals

DARK = 40


class Darkens(torch.nn.Module):
    """Reconstructs dark pixels well, and none that are bright."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def reconstruct(self, x: torch.Tensor) -> torch.Tensor:
        return x.clamp(max=-0.5)


@pytest.fixture
def tile(tmp_path: Path) -> Path:
    for name, bright in (("good/0", False), ("crack/0", True), ("crack/1", True)):
        pixels = np.random.default_rng(0).integers(0, DARK, (40, 32), dtype=np.uint8)
        mask = np.zeros_like(pixels)
        if bright:
            pixels[10:20, 8:24], mask[10:20, 8:24] = 255, 255
        for place, picture in (("test", pixels), ("ground_truth", mask)):
            path = tmp_path / place / (f"{name}.png" if place == "test" else f"{name}_mask.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
    (tmp_path / "ground_truth/crack/1_mask.png").unlink()
    return tmp_path


def test_a_map_finds_the_defect_in_the_size_of_the_picture(tile: Path, tmp_path: Path) -> None:
    defects, into = find_defects(tile), tmp_path / "maps"
    with originals(tile / "test", Images(1, 16, 16)) as given:
        maps = map_each(Darkens(), given, 0.1, into, defects, progress=False)
    assert maps.figures["pixel_auroc"] > 0.95
    assert maps.figures["pro"] > 0.9
    assert maps.notes == ["crack/1.png has no mask: it is left out of the figures of pixels"]
    found, truth = (
        np.asarray(Image.open(path)) > 127
        for path in (into / "mask/crack/0.png", tile / "ground_truth/crack/0_mask.png")
    )
    assert found.shape == (40, 32)
    assert (found & truth).sum() / (found | truth).sum() > 0.5
    assert not (np.asarray(Image.open(into / "mask/good/0.png")) > 127).any()
    assert np.asarray(Image.open(into / "overlay/crack/0.png")).shape == (40, 32, 3)


def test_the_threshold_leaves_a_share_of_normal_pixels_above() -> None:
    x = torch.rand(20, 3, 16, 16) * 2 - 1
    limit = pixel_threshold(Darkens(), iter([x]), 0.9)
    assert (error_maps(Darkens(), x) > limit).mean() == pytest.approx(0.1, abs=0.01)


def test_the_threshold_is_the_middle_of_the_colours() -> None:
    errors = np.array([[0.0, 0.1, 0.2, 5.0]], np.float32)
    drawn = colours(errors, 0.1).astype(int).sum(2)[0]
    assert drawn[0] < drawn[1] < drawn[2] == drawn[3]
    assert enlarged(errors, 2, 8).shape == (2, 8)
