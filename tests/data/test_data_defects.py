from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.data.defects import defect_of, find_defects, normal_classes, read_mask


def picture(path: Path, side: int = 16, value: int = 200) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, side), value, np.uint8)).save(path)


@pytest.fixture
def bottle(tmp_path: Path) -> Path:
    for name in ("train/good/0.png", "test/good/0.png", "test/broken/0.png"):
        picture(tmp_path / name)
    picture(tmp_path / "ground_truth/broken/0_mask.png")
    picture(tmp_path / "ground_truth/broken/7_mask.png")
    return tmp_path


@pytest.mark.parametrize("inner", [".", "test"])
def test_a_data_set_of_defects_is_recognised_with_its_masks(bottle: Path, inner: str) -> None:
    found = find_defects(bottle / inner)
    assert found
    assert found.pictures == bottle / "test"
    assert found.normal == bottle / "train" / "good"
    assert found.mask_of("broken/0.png") == bottle / "ground_truth" / "broken" / "0_mask.png"
    assert found.mask_of("good/0.png") is None
    assert [path.name for path in found.unused(["broken/0.png", "good/0.png"])] == ["7_mask.png"]
    assert "2 masks" in found.summary


def test_other_folders_are_none(tmp_path: Path) -> None:
    picture(tmp_path / "test" / "cat" / "0.png")
    picture(tmp_path / "train" / "cat" / "0.png")
    assert find_defects(tmp_path) is None


def test_a_mask_of_another_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    picture(tmp_path / "0_mask.png", side=8)
    assert read_mask(tmp_path / "0_mask.png", (8, 8)).all()
    with pytest.raises(ValueError, match="8x8 pixels, and its picture 16x16"):
        read_mask(tmp_path / "0_mask.png", (16, 16))


def test_the_first_folder_of_a_name_is_its_defect() -> None:
    assert defect_of("broken/a/0.png") == "broken"
    assert defect_of("0.png") is None
    assert normal_classes({"good": 1, "bad": 1}) == ["good"]
