"""A condition other than a label, from end to end: points of the plane, each with the point a quarter turn before.

Nothing in the commands, the loop or the families knows this toy: what holds here holds for any source.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import genlab
from genlab.applications.sample import sample
from genlab.cli.main import run as command
from genlab.core.batch import Batch
from genlab.core.contract import Samples
from genlab.core.errors import UsageError
from genlab.core.modality import Points
from genlab.core.pictures import Picture, png, scatter_plot, stacked
from genlab.data.source import open_source
from genlab.runs.data import held_out_of
from genlab.runs.result import Result
from genlab.training.evaluation import evaluate
from genlab.training.run_folder import RunFolder

TOY = "rotated-ring8"
SHOWN = Points.shown // 2  # of a preview that shows sources too
OPTIONS: dict[str, dict[str, Any]] = {
    "gan": {"width": 16, "latent": 4, "batch": 16},
    "flow-matching": {"architecture": "mlp", "width": 16, "batch": 16, "timesteps": 20, "sampling_steps": 5},
}
each_preset = pytest.mark.parametrize("preset", OPTIONS)


def train(preset: str, steps: int, out: Path, **changes: Any) -> Result:
    options = {"data": TOY, "device": "cpu", "precision": "float32", "steps": steps, "root": out, "quiet": True}
    return genlab.train(preset, **{**options, **OPTIONS[preset], **changes})


def truth_of(sources: Tensor) -> Tensor:
    """Return the points that sources (B, 2) become: a quarter turn to the left."""
    return torch.stack([-sources[:, 1], sources[:, 0]], dim=1)


def held_out(count: int) -> Batch:
    return open_source(TOY).held_out.batch(np.arange(count))


def noise() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def shown_in(path: Path) -> Picture:
    return np.asarray(Image.open(path))[:, :, None]


def plots_in(path: Path, count: int) -> Sequence[Picture]:
    """Return the plots that lie below each other in a picture: squares, two pixels apart."""
    picture = shown_in(path)
    side = picture.shape[1]
    assert len(picture) == count * (side + 2) - 2
    return [picture[place * (side + 2) :][:side] for place in range(count)]


def lines(folder: Path) -> list[dict[str, Any]]:
    """Return the history of a run but for the clock."""
    read = RunFolder(folder).history()
    return [
        {name: value for name, value in line.items() if name not in ("seconds", "data_wait_fraction")}
        for line in read
    ]


@pytest.fixture(scope="module", params=OPTIONS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of a preset, whose name its folder has, that looks at itself every few steps."""
    often = {"log_every": 1, "preview_every": 3, "evaluate_every": 3}
    return train(request.param, 6, tmp_path_factory.mktemp("runs"), **often).folder


def test_a_source_is_its_target_turned_back() -> None:
    batch = held_out(100)
    assert batch.x.shape == batch.condition["source"].shape == (100, 2)
    torch.testing.assert_close(truth_of(batch.condition["source"]), batch.x)


def test_a_run_shows_sources_then_samples_then_the_truth(run: Path) -> None:
    previews = sorted((run / "previews").iterdir())
    assert [path.name for path in previews] == ["000003.png", "000006.png"]
    some = held_out_of(RunFolder(run))
    drawn = [plots_in(path, 3) for path in previews]
    for sources, samples, truth in drawn:
        assert np.array_equal(sources, scatter_plot(some.condition["source"][:SHOWN]))
        assert np.array_equal(truth, scatter_plot(some.x[:SHOWN]))
        assert 1 < (samples == 0).sum() <= SHOWN
    assert not np.array_equal(drawn[0][1], drawn[1][1]), "the model did not move"


def test_a_run_is_evaluated_while_it_trains_and_after(run: Path) -> None:
    folder = RunFolder(run)
    criterion = "fd[pixels]" if run.name == "gan" else "negative_bound"
    evaluations = folder.events("evaluation")
    assert [event["step"] for event in evaluations] == [3, 6]
    assert all(np.isfinite(event[criterion]) for event in evaluations)
    figures = {figure.name: figure for figure in genlab.evaluate(folder.path, samples=500).figures}
    expected = {"modes", "high_quality", "reverse_kl", "paired_mse"} | (
        {"negative_bound"} if run.name == "flow-matching" else set()
    )
    assert figures.keys() == expected
    assert 0 <= figures["high_quality"].value <= 1


def test_what_it_knows_of_its_data_is_written_down(run: Path) -> None:
    data = RunFolder(run).read_yaml("data.yaml")
    assert data["target"] == data["conditions"]["source"] == {"kind": "points", "dimensions": 2}
    assert data["conditions"].keys() == {"source"}


def test_a_loaded_model_samples_from_sources(run: Path) -> None:
    model = genlab.load(run)
    assert isinstance(model, Samples)
    assert model.conditions == {"source": Points(2)}
    sources = held_out(10).condition["source"]
    samples, again = (model.sample(5, {"source": sources[:5]}, noise()) for _ in range(2))
    assert samples.shape == (5, 2)
    assert torch.isfinite(samples).all()
    assert torch.equal(samples, again)
    assert not torch.equal(samples, model.sample(5, {"source": sources[5:]}, noise())), "it ignores the source"


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({}, 'needs the condition "source": points of shape (5, 2)'),
        ({"source": torch.zeros(4, 2)}, "a source of shape (4, 2) for 5 samples; the model takes (5, 2)"),
        ({"source": torch.zeros(5, 3)}, "a source of shape (5, 3) for 5 samples; the model takes (5, 2)"),
        (
            {"source": torch.zeros(5, 2), "label": torch.zeros(5, dtype=torch.int64)},
            'takes no condition "label". Choices: source.',
        ),
        ({"sorce": torch.zeros(5, 2)}, 'takes no condition "sorce". Did you mean "source"?'),
    ],
    ids=["nothing", "too few", "too long", "a label too", "misspelt"],
)
def test_sampling_without_a_source_that_fits_is_refused(
    condition: dict[str, Tensor], message: str, run: Path
) -> None:
    model = genlab.load(run)
    with pytest.raises(UsageError) as refused:
        model.sample(5, condition)  # type: ignore[operator]
    assert message in str(refused.value)


def test_the_command_draws_held_out_sources_over_their_samples(run: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn.png"
    flags = ["--number", "300", "--seed", "3", "--device", "cpu", "--out", str(drawn)]
    assert command(["sample", str(run), *flags]) == 0
    sources = held_out_of(RunFolder(run)).condition["source"][:300]
    samples = sample(genlab.load(run), 300, 3, {"source": sources})
    assert drawn.read_bytes() == png(stacked([scatter_plot(sources), scatter_plot(samples)]))


def test_the_command_refuses_a_label(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["sample", str(run), "--label", "0"]) == 2
    printed = capsys.readouterr().err
    assert "without labels" in printed
    assert "Traceback" not in printed


@each_preset
def test_a_resumed_run_has_the_bits_of_one_that_ran_through(preset: str, tmp_path: Path) -> None:
    through = train(preset, 6, tmp_path / "through", log_every=1).folder
    halves = train(preset, 3, tmp_path / "halves", log_every=1).folder
    genlab.resume(halves, steps=6, quiet=True)
    last = Path("checkpoints", "last")
    for name in ("model.safetensors", "training.safetensors"):
        assert (halves / last / name).read_bytes() == (through / last / name).read_bytes(), name
    assert lines(halves) == lines(through)
    assert [line["step"] for line in lines(halves)] == [1, 2, 3, 4, 5, 6]


def test_samples_learn_to_follow_their_sources(tmp_path: Path) -> None:
    """They come near the truth, and near another's truth with another's source: the noise decides little."""
    better = {"width": 128, "batch": 128, "lr": 2e-3, "ema": 0.98, "timesteps": 100, "sampling_steps": 20}
    run = train("flow-matching", 400, tmp_path, **better)
    model, batch = genlab.load(run), held_out(1000)
    sources = batch.condition["source"]
    shuffled = sources[torch.randperm(1000, generator=noise())]
    told, misled = (model.sample(1000, {"source": given}, noise()) for given in (sources, shuffled))  # type: ignore[operator]

    def distance(samples: Tensor, given: Tensor) -> float:
        return float((samples - truth_of(given)).norm(dim=1).median())

    assert distance(told, sources) < 0.1 < 0.5 < distance(misled, sources)
    assert distance(misled, shuffled) < 0.1

    bound, lost = (
        evaluate(model, replace(batch, condition={"source": given}), seed=0).values["negative_bound"]
        for given in (sources, shuffled)
    )
    assert bound < lost - 1, "a bound on the likelihood is one given the source"
    (measured,) = (f.value for f in genlab.evaluate(run, samples=1000).figures if f.name == "negative_bound")
    assert measured == pytest.approx(bound, abs=0.5)


@pytest.mark.parametrize("preset", ["vae", "autoencoder", "realnvp"])
def test_a_family_that_takes_no_source_refuses_the_data(preset: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="these data come with source for each example") as refused:
        genlab.train(preset, data=TOY, steps=2, root=tmp_path / "runs", quiet=True)
    assert "Use a preset that does, such as dcgan or velocity-diffusion." in str(refused.value)
    assert not (tmp_path / "runs").exists(), "before anything is written"
