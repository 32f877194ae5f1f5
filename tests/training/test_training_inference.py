"""What is measured and drawn while a model trains: by its capabilities, with the labels where it takes them."""

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import NONE, Condition
from genlab.core.modality import Classes, DataSpec, Images, Modality
from genlab.core.pictures import image_grid
from genlab.training.curves import HEIGHT, WIDTH, draw, tiled
from genlab.training.evaluation import evaluate
from genlab.training.preview import preview

GREY = DataSpec(Images(1, 16, 16))
LABELLED = DataSpec(Images(1, 16, 16), {"label": Classes(("black", "grey", "white"))})


class Told(nn.Module):
    """Makes images of one grey for each class and remembers which classes it was asked for."""

    conditions = LABELLED.conditions

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Tensor] = []

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        labels = condition["label"]
        self.asked.append(labels)
        return (labels.float() - 1).view(-1, 1, 1, 1).expand(count, 1, 16, 16)


class Mender(nn.Module):
    """Spoils images by 1 and gives back what it is shown."""

    uses_sigma = False

    def denoise(self, x: Tensor, sigma: Tensor | None = None, condition: Condition = NONE) -> Tensor:
        return x

    def corrupt(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return x + 1

    def reconstruct(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        return x


def batch(count: int, labels: Tensor | None = None) -> Batch:
    images = torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(0)) - 1
    return Batch(images, torch.arange(count), {} if labels is None else {"label": labels})


def test_samples_are_compared_with_held_out_images_of_the_same_classes() -> None:
    labels = torch.arange(300) % 3
    model = Told()
    evaluate(model, batch(300, labels), seed=0)
    assert torch.equal(torch.cat(model.asked), labels)


class Slow(nn.Module):
    """Makes grey images in many passes, in fewer for previews; counts its images by the number of passes."""

    progress_callback = None
    conditions: Mapping[str, Modality] = {}

    def __init__(self) -> None:
        super().__init__()
        self.passes, self.made = 1000, Counter[int]()

    @contextmanager
    def preview_sampling(self) -> Iterator[Mapping[str, int]]:
        self.passes = 16
        yield {"passes": 16}
        self.passes = 1000

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        self.made[self.passes] += count
        return torch.zeros(count, 1, 16, 16)


@pytest.mark.parametrize(("held_out", "made"), [(20, 20), (300, 250)])
def test_a_model_that_samples_in_steps_is_measured_on_few_samples_of_few_steps(held_out: int, made: int) -> None:
    model = Slow()
    evaluation = evaluate(model, batch(held_out), seed=0)
    assert model.made == {16: made}
    assert (evaluation.protocol["real"], evaluation.protocol["fake"]) == (held_out, made)
    assert evaluation.protocol["model_passes"] == 16


def test_a_denoising_model_is_evaluated_on_corrupted_images() -> None:
    evaluation = evaluate(Mender(), batch(10), seed=0)
    assert evaluation.values["reconstruction_mse"] == 0
    assert evaluation.criterion == "denoising_mse"
    assert evaluation.value == evaluation.values["denoising_mse"] == 1


def test_a_preview_has_a_column_for_each_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Images, "shown", 8)
    model = Told()
    picture = preview(model, batch(4), LABELLED, seed=0)
    assert torch.equal(model.asked[0], torch.tensor([0, 1, 2, 0, 1, 2]))
    assert picture.shape == (2 * 34 - 2, 3 * 34 - 2, 1)
    assert [int(picture[0, 34 * column, 0]) for column in range(3)] == [0, 128, 255]


def test_a_preview_of_a_denoising_model_shows_the_corrupted_images() -> None:
    held_out = batch(4)
    picture = preview(Mender(), held_out, GREY, seed=0)
    spoilt = preview(Mender(), Batch(held_out.x + 1, held_out.index), GREY, seed=0)
    assert not np.array_equal(picture, spoilt)
    assert picture.max() == 255


class Both(Told):
    """Samples, and turns images to their negatives instead of reconstructing them."""

    def reconstruct(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        return -x


def test_what_samples_and_reconstructs_shows_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Images, "shown", 8)
    held_out = batch(4)
    picture = preview(Both(), held_out, LABELLED, seed=0)
    samples, pairs = (preview(model, held_out, LABELLED, seed=0) for model in (Told(), Mender()))
    assert np.array_equal(picture[: len(samples), : samples.shape[1]], samples)
    right = picture[:, samples.shape[1] + 16 :]
    assert right.shape == pairs.shape
    assert np.array_equal(right[:32, :32], image_grid(held_out.x[:1]))
    assert np.array_equal(right[34:66, :32], image_grid(-held_out.x[:1]))


def test_curves_take_signals_that_are_not_in_every_line_and_profiles() -> None:
    history = [
        {"step": s, "seconds": 1.0, "loss": 1.0, **{f"kl[{k}]": 0.1 * k for k in range(12)}} for s in (1, 2)
    ]
    lazy = [
        *history,
        {"step": 3, "seconds": 1.0, "loss": 1.0, "r1_penalty": 2.0, "discriminator_gradient_norm": 0.0},
    ]
    panels = draw(lazy, [{"step": 3, "fd[pixels]": 2.0}])
    kls = [f"kl[{k}]" for k in range(12)]
    assert [panel.names for panel in panels] == [
        ["loss"],
        kls,
        ["r1_penalty"],
        ["discriminator_gradient_norm"],
        ["fd[pixels]"],
    ]
    for few in (panels, panels[:2], []):
        picture = Image.open(io.BytesIO(tiled(few)))
        assert picture.size == (WIDTH * max(1, min(3, len(few))), HEIGHT * (2 if len(few) > 3 else 1))
