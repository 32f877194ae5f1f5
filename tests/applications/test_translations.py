"""What `genlab evaluate` measures of models that translate pictures, each figure beside that of the sources."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import genlab
from genlab.applications import translations
from genlab.applications.measures import evaluate_model
from genlab.applications.subject import Subject
from genlab.core.condition import NONE, Condition
from genlab.core.modality import Modality
from genlab.data.dataset import Dataset, Source, Split, make_dataset
from genlab.data.wrappers import Paired, Unpaired
from genlab.metrics.extractors.efficientnet import efficientnet_lite0
from genlab.metrics.extractors.extractor import Extractor, ExtractorOutput
from genlab.metrics.extractors.pixels import pixels
from genlab.metrics.figures import Figure
from genlab.training.run_folder import RunFolder

CPU = torch.device("cpu")
COUNT = 60


class Translator(nn.Module):
    """Multiplies sources by a factor; with 1 it does nothing."""

    def __init__(self, conditions: Mapping[str, Modality], factor: float = 1) -> None:
        super().__init__()
        self.conditions, self.factor = conditions, nn.Parameter(torch.tensor(float(factor)))

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        return condition["source"] * self.factor


class TwoWay(Translator):
    """Translates back by dividing by the factor."""

    def translate_back(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        return x / self.factor


class Domains(Translator):
    """Makes images as dark or light as their domain."""

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        return condition["source"].abs() * (2 * condition["label"].view(-1, 1, 1, 1) - 1)

    def translate_back(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        return x.abs() * (2 * condition["source_label"].view(-1, 1, 1, 1) - 1)


def images(seed: int) -> Dataset:
    values = np.random.default_rng(seed).integers(0, 256, (COUNT, 1, 16, 16)).astype(np.uint8)
    return make_dataset(f"images {seed}", values, None, ())


def negative(split: Dataset) -> Dataset:
    return make_dataset("negatives", 255 - split.values[np.arange(len(split))], None, ())


def pairs(seed: int) -> Split:
    return Paired(images(seed), negative(images(seed)))


def shades(seed: int) -> Split:
    """Return dark images and light ones, each with a source of one of both."""
    labels = np.arange(COUNT) % 2
    values = np.random.default_rng(seed).integers(0, 128, (COUNT, 1, 16, 16))
    light = labels[:, None, None, None] == 1
    both = make_dataset(
        "shades", np.where(light, 255 - values, values).astype(np.uint8), labels, ("dark", "light")
    )
    return Unpaired(both, both, 0)


SIDES = images(0), negative(images(0))
PAIRED = Source("pairs", pairs(0), pairs(1), 2 * COUNT)
UNPAIRED = Source("sides", *(Unpaired(images(seed), negative(images(seed)), 0) for seed in (0, 1)), 2 * COUNT)
SHADES = Source("shades", shades(0), shades(1), 2 * COUNT)
GIVEN = {name: modality for name, modality in PAIRED.train.spec.conditions.items() if name == "source"}
LABELLED = {name: modality for name, modality in SHADES.train.spec.conditions.items() if name != "source_label"}


def measured(
    model: nn.Module, source: Source, extractor: Extractor | None = None, samples: int = 100
) -> dict[str, Figure]:
    subject = Subject(model, source, samples, extractor or pixels(CPU), "held-out", 0, {})
    return {figure.name: figure for figure in evaluate_model(subject)}


def by_tone(images: Tensor) -> ExtractorOutput:
    """Classify images as dark or light."""
    tone = images.flatten(1).mean(1)
    return ExtractorOutput(tone[:, None], torch.stack([-tone, tone], 1))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path))


def test_a_perfect_translator_is_measured_as_one() -> None:
    figures = measured(Translator(GIVEN, -1), PAIRED)
    assert figures["translation_l1"].value == pytest.approx(0, abs=1e-6)
    assert figures["translation_psnr"].value == pytest.approx(58.92, abs=0.01)
    assert figures["translation_ssim"].value == pytest.approx(1)
    assert figures["retrieval@1"].value == 1
    assert figures["fd[pixels]"].value == pytest.approx(0, abs=1e-6)
    assert figures["retrieval@1"].protocol["pairs"] == COUNT


def test_one_that_does_nothing_reaches_exactly_the_floors() -> None:
    figures = measured(Translator(GIVEN), PAIRED, efficientnet_lite0(CPU, side=32), 20)
    distances = {f"{name}[efficientnet-lite0@32]" for name in ("fd", "kd", "perceptual")}
    with_floors = {name for name, figure in figures.items() if figure.floor is not None}
    assert with_floors == distances | {"translation_l1", "translation_psnr", "translation_ssim", "retrieval@1"}
    for name in with_floors:
        assert figures[name].value == figures[name].floor, name
        assert "untranslated" in figures[name].note
    assert figures["translation_l1"].value > 0.5
    assert figures["perceptual[efficientnet-lite0@32]"].protocol["precision"] == "float32"
    assert Figure.of(figures["translation_l1"].values()) == figures["translation_l1"]
    assert "paired_mse" not in figures


def test_nothing_is_compared_with_a_truth_that_is_unknown() -> None:
    figures = measured(Translator(GIVEN, -1), UNPAIRED)
    assert not [name for name in figures if name.startswith(("translation", "retrieval", "paired", "perceptual"))]
    assert figures["fd[pixels]"].floor is not None
    assert figures["fd[pixels]"].value < figures["fd[pixels]"].floor / 100


def test_the_way_back_is_measured_with_and_without_rounding_to_bytes() -> None:
    honest, hiding = (measured(TwoWay(GIVEN, factor), UNPAIRED) for factor in (-1, 1 / 1000))
    for name in ("cycle_l1", "cycle_l1_unrounded"):
        assert honest[name].value == pytest.approx(0, abs=1e-5)
    assert hiding["cycle_l1_unrounded"].value == pytest.approx(0, abs=1e-5)
    assert hiding["cycle_l1"].value > 0.4


def test_domains_are_judged_by_a_classifier_and_measured_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Extractor("classifier", by_tone, "0123")
    monkeypatch.setattr(translations, "find_extractor", lambda name, *rest, **options: seen)
    good, nothing = (measured(kind(LABELLED), SHADES) for kind in (Domains, Translator))
    label, of_source = (SHADES.held_out.batch(np.arange(COUNT)).condition[n] for n in ("label", "source_label"))
    same = float((label == of_source).double().mean())
    assert good["domain_accuracy"].value == 1
    assert nothing["domain_accuracy"].value == good["domain_accuracy"].floor == pytest.approx(same)
    assert "1 of real images" in good["domain_accuracy"].note
    assert nothing["fd[pixels]"].value == nothing["fd[pixels]"].floor
    assert good["fd[pixels]"].value < nothing["fd[pixels]"].value / 4
    assert good["kd[pixels]"].value < nothing["kd[pixels]"].value / 4
    assert good["fd[pixels]"].protocol["domains"] == 2
    assert good["cycle_l1"].value == pytest.approx(0, abs=1e-5)


def test_domains_with_too_few_images_have_no_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translations, "LEAST", 10**6)
    monkeypatch.setattr(translations, "find_extractor", lambda *_, **__: Extractor("classifier", by_tone, "0123"))
    assert measured(Translator(LABELLED), SHADES)["fd[pixels]"].floor is None


def test_each_source_is_translated_once_if_there_are_fewer_than_samples() -> None:
    assert measured(Translator(GIVEN), PAIRED)["fd[pixels]"].protocol["fake"] == COUNT


def test_runs_that_translate_are_compared_by_their_truth(tmp_path: Path) -> None:
    sides = (make_dataset("larger", s.values[np.arange(20)].repeat(2, 2).repeat(2, 3), None, ()) for s in SIDES)
    target, source = sides
    data = replace(PAIRED, train=Paired(target, source), held_out=Paired(source, target))
    options: dict[str, Any] = {"data": data, "root": tmp_path, "quiet": True, "device": "cpu"}
    options |= {"architecture": "resnet", "blocks": 1, "dropout": 0.0, "width": 2, "batch": 2, "steps": 1}
    one = genlab.train("pix2pix", **options).folder
    two = Path(shutil.copytree(one, tmp_path / "two"))
    page = tmp_path / "compared.html"
    compared = genlab.compare(one, two, extractor="pixels", samples=20, device="cpu", html=str(page))
    assert compared.ranked_by == "translation_l1"
    assert page.read_text().count("data:image/png") == 2
    (event,) = RunFolder(one).events("evaluation")
    assert event["criterion"] == "translation_l1"
