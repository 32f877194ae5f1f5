"""The page of uses: what it says of aims, and of augmentation."""

from typing import Any

import pytest

import tasks
import uses_augmentation
from genlab.bench.page import Row, Section


def test_the_overview_names_the_aims_that_are_missed() -> None:
    rows = [Row("PSNR", 20.0, "dB", least=22.0), Row("SSIM", 0.9, "", least=0.8), Row("noise", 1.0, "")]
    assert "| Denoising | 1 of 2 | PSNR |" in tasks.overview([Section("Denoising", "", rows)])


@pytest.mark.parametrize(("generated", "met"), [(0.55, True), (0.45, False)])
def test_augmentation_is_held_to_its_gain_against_flips(generated: float, met: bool) -> None:
    of_set = dict.fromkeys(uses_augmentation.SETS, 0.5) | {uses_augmentation.GENERATED: generated}
    accuracy = {name: {"all": [0.8] * 3, "classes": {"shirt": [value] * 3}} for name, value in of_set.items()}
    counts = {"generated": 1, "low_score": 1, "copies": 0}
    line: dict[str, Any] = {
        "minutes": 60,
        "steps": 600,
        "presets": {"cgan": {"counts": counts, "accuracy": accuracy}},
    }
    (aim,) = (row for row in uses_augmentation.section(line).rows if row.least == uses_augmentation.AIM)
    assert aim.middle == pytest.approx(100 * (generated - 0.5))
    assert aim.met is met
