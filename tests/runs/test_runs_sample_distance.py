"""Who says which checkpoint is the best."""

from pathlib import Path

import pytest
import torch

import genlab
from genlab.data.source import open_source
from genlab.recipes.resolve import resolve
from genlab.runs import statistics
from genlab.runs.statistics import sample_distance
from genlab.training.evaluation import SampleDistance
from genlab.training.run_folder import RunFolder

CPU = torch.device("cpu")


def distance_of(preset: str, data: str = "digits", **options: object) -> SampleDistance | None:
    plan = resolve(preset, {"width": 4, **options})
    source = open_source(data, **({"size": 16} if data == "digits" else {}))
    with torch.device("meta"):
        model = plan.recipe.model(source.train.spec)
    return sample_distance(plan, source, CPU, model, quiet=True)


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("dcgan", {"batch_size": 16}),  # few images between evaluations
        ("dcgan", {"extractor": "pixels"}),
        ("gan", {}),  # quick steps
        ("conv-vae", {}),  # has a bound
        ("autoencoder", {"extractor": "efficientnet-lite0"}),  # samples nothing
        ("gan", {"data": "ring8", "extractor": "efficientnet-lite0"}),  # points
    ],
)
def test_pixels_do_where_features_cost_too_much_or_say_nothing(preset: str, options: dict[str, object]) -> None:
    assert distance_of(preset, **options) is None


def test_features_judge_a_convolutional_gan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "REAL_IMAGES", 20)
    found = distance_of("dcgan")
    assert found is not None
    assert found.extractor.name == "efficientnet-lite0@96"
    assert (found.images, found.samples) == (20, 500)


def test_a_run_names_its_extractor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "REAL_IMAGES", 20)
    monkeypatch.setattr(statistics, "SAMPLES", 12)
    options = {"size": 16, "width": 4, "batch_size": 16, "steps": 4, "evaluate_every": 2, "root": tmp_path}
    options |= {"generator_lr": 0.05}  # else all pictures are still the same grey
    run = genlab.train("dcgan", quiet=True, extractor="efficientnet-lite0@32", **options)
    first, second = RunFolder(run.folder).events("evaluation")
    assert first["fd[efficientnet-lite0@32]"] != second["fd[efficientnet-lite0@32]"]
    assert first["protocol"]["extractor"] == "efficientnet-lite0@32"
    assert (first["protocol"]["real"], first["protocol"]["fake"]) == (20, 12)
    assert "weights 579344248a93" in (run.folder / "report.html").read_text()
    assert "protocol" not in (run.folder / "results.csv").read_text()
