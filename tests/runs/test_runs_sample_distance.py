"""Who says which checkpoint is the best."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import genlab
from genlab.data.source import open_source
from genlab.recipes.resolve import resolve
from genlab.runs import statistics
from genlab.runs.statistics import sample_distance
from genlab.training.evaluation import evaluate
from genlab.training.held_out import SampleDistance, by_pixels
from genlab.training.live import Course
from genlab.training.run_folder import RunFolder
from genlab.training.terminal import Terminal

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
        ("dcgan", {"steps": 100}),  # over before an evaluation by features would be
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


def test_a_run_that_is_shorter_than_an_evaluation_is_evaluated_in_pixels_and_says_so(tmp_path: Path) -> None:
    small = {"size": 16, "width": 4, "steps": 1, "root": tmp_path, "quiet": True}
    run = RunFolder(genlab.train("dcgan", **small).folder)
    (note,) = (event["evaluation"] for event in run.events("note"))
    assert note.startswith("in pixels only, because features take longer than this training")
    assert note.endswith(f"genlab evaluate {run.path}")
    (evaluation,) = run.events("evaluation")
    assert "fd[pixels]" in evaluation
    assert not evaluation["best"]


def test_it_is_told_how_far_an_evaluation_is(capsys: pytest.CaptureFixture[str]) -> None:
    source, plan = open_source("digits", size=16), resolve("dcgan", {"width": 4})
    model = plan.recipe.model(source.train.spec).eval()
    told: list[str] = []
    distance = by_pixels(source.held_out.batch(np.arange(30)))
    distance = replace(distance, extractor=replace(distance.extractor, piece=10), samples=20)
    with torch.no_grad():
        evaluate(model, source.held_out.batch(np.arange(30)), 0, distance, told.append)
    assert told == ["evaluating", *(f"evaluating: {done} of 20 samples by pixels" for done in (10, 20))]
    terminal = Terminal(Course(2, None, 1))
    terminal.status(told[-1])
    terminal.status("evaluating further")  # within ten seconds: no other line
    assert capsys.readouterr().err == f"{told[-1]}\n"


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
