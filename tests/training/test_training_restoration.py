"""How models that restore images are measured and probed while they train: beside the sources as they are."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import Condition
from genlab.core.modality import Images, Modality
from genlab.families.restoration import completed
from genlab.metrics.translation import untranslated
from genlab.training.evaluation import evaluate
from genlab.training.model_probes import ProbeInput, filling, restoration

STEP = 2 / 255


class Enlarger(nn.Module):
    """Enlarges sources by bicubic interpolation, and adds a number."""

    def __init__(self, added: float = 0) -> None:
        super().__init__()
        self.added = added
        self.conditions: Mapping[str, Modality] = {"source": Images(3, 8, 8)}

    def restore(self, condition: Condition) -> Tensor:
        return untranslated(condition["source"], (3, 32, 32)) + self.added


def reduced(count: int = 12) -> Batch:
    """Return smooth images of bytes with sources of a quarter of their sides."""
    draws = torch.Generator().manual_seed(0)
    rough = torch.rand(count, 3, 8, 8, generator=draws) - 0.5
    truth = (untranslated(rough, (3, 32, 32)) / STEP).round() * STEP - STEP / 2
    return Batch(truth, torch.arange(count), {"source": untranslated(truth, (3, 8, 8))})


def test_bicubic_interpolation_is_the_floor_of_models_that_enlarge() -> None:
    floor, worse = (evaluate(Enlarger(added), reduced(), 0) for added in (0, 20 * STEP))
    assert floor.values.keys() == {"restoration_l1", "psnr_y", "psnr_y_source"}
    assert floor.values["psnr_y"] == floor.values["psnr_y_source"] == worse.values["psnr_y_source"] > 30
    assert worse.values["psnr_y"] == pytest.approx(20 * np.log10(255 / 20 * 255 / 219), abs=0.8)
    assert worse.criterion == "restoration_l1"
    assert worse.value > floor.value


def test_the_gain_and_the_shift_of_colours_are_probed() -> None:
    batch = reduced()
    for added, gain, shift in ((0.0, 0.0, 0.0), (10 * STEP, -10.0, 10.0)):
        given = ProbeInput(Enlarger(added), batch, batch, Images(3, 32, 32), 0, 1)
        found = restoration(given)
        assert found["psnr_gain"].item() == pytest.approx(gain, abs=0 if gain == 0 else 8)
        assert found["colour_shift"].item() == pytest.approx(shift, abs=0.5)


class Tinting(Enlarger):
    """Makes each image lighter or darker at random, but not all of them together."""

    def restore(self, condition: Condition) -> Tensor:
        made = super().restore(condition)
        return made + 20 * STEP * torch.randn(len(made), 1, 1, 1, generator=torch.Generator().manual_seed(1))


def test_tints_that_differ_from_image_to_image_are_no_shift() -> None:
    batch = reduced()
    given = ProbeInput(Tinting(), batch, batch, Images(3, 32, 32), 0, 1)
    assert restoration(given)["colour_shift"].item() == 0


class Filler(nn.Module):
    """Fills holes with the truth, raised by a number."""

    def __init__(self, truth: Tensor, raised: float) -> None:
        super().__init__()
        self.truth, self.raised = truth, raised
        self.conditions: Mapping[str, Modality] = {"source": Images(3, 32, 32), "mask": Images(1, 32, 32)}

    def restore(self, condition: Condition) -> Tensor:
        return completed(self.truth + self.raised, condition)


def test_a_fill_as_sharp_as_the_truth_but_lighter_shows_a_seam() -> None:
    truth, mask = reduced().x, -torch.ones(12, 1, 32, 32)
    mask[:, :, 8:24, 8:24] = 1
    batch = Batch(truth, torch.arange(12), {"source": truth.masked_fill(mask > 0, 0), "mask": mask})
    exact, lighter = (
        filling(ProbeInput(Filler(truth, raised), batch, batch, Images(3, 32, 32), 0, 1)) for raised in (0.0, 0.5)
    )
    assert exact["seam"].item() == exact["fill_sharpness"].item() == 1
    assert lighter["fill_sharpness"].item() == pytest.approx(1, abs=1e-4)
    assert lighter["seam"].item() > 3
