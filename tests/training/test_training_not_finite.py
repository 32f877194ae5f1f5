"""NaN and Inf are found in the step that makes them, and named; nothing of them is kept."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import genlab
from genlab.cli import main as command_line
from genlab.core.batch import Batch
from genlab.core.contract import Training
from genlab.core.errors import NonFiniteError
from genlab.core.modality import DataSpec, Points
from genlab.core.player import Player
from genlab.core.random import Randomness
from genlab.data.dataset import Source, make_dataset
from genlab.data.loader import Loader
from genlab.families.gan import GAN
from genlab.objectives import adversarial, reconstruction
from genlab.recipes.resolve import resolve
from genlab.runs import data as run_data
from genlab.runs import phases
from genlab.training import checkpoint
from genlab.training.run_folder import RunFolder
from sabotage import TINY

SHORT = {**TINY, "steps": 40, "checkpoint_every": 5, "evaluate_every": 100, "preview_every": 100}
SMALL = {"architecture": "mlp", "width": 4, "latent": 3, "batch_size": 8}


def _faulty(run: RunFolder, fault: NonFiniteError) -> int:
    """Check what a fault leaves behind; return the number of steps taken before it."""
    events = run.events()
    assert events[-1]["event"] == "fault"
    assert [events[-1][name] for name in ("player", "tensor", "value")] == [
        fault.player,
        fault.tensor,
        fault.value,
    ]
    step: int = events[-1]["step"]
    saved = checkpoint.load(run.last)
    assert saved.state["step"] == step - step % 5
    for tensors in (saved.model, saved.training):
        assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    assert [line["step"] for line in run.history()] == list(range(1, step + 1))
    assert fault.value in (run.path / "report.html").read_text()
    return step


@pytest.mark.parametrize("preset", ["autoencoder", "vae", "gan"])
def test_a_point_that_is_nan_stops_the_run_in_the_step_that_sees_it(
    tmp_path: Path, preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (640, 2)).astype(np.float32)
    held_out = make_dataset("held-out", points[:50].copy(), None, ())
    points[123, 1] = np.nan
    source = Source("points", make_dataset("train", points, None, ()), held_out, 690)
    monkeypatch.setattr(run_data, "open_translation", lambda *_, **__: source)
    with Loader(source.train, 16, seed=TINY["seed"]) as batches:
        due = next(number for number, batch in enumerate(batches) if 123 in batch.index)
    assert due > 5
    with pytest.raises(NonFiniteError) as caught:
        genlab.train(preset, quiet=True, root=tmp_path, **SHORT)
    run = RunFolder(tmp_path / "run")
    assert _faulty(run, caught.value) == due
    player = {"gan": "discriminator"}.get(preset, preset)
    assert (caught.value.player, caught.value.tensor) == (player, f"the {player}'s loss")
    assert f"NaN in the {player}'s loss while updating the {player}" in str(caught.value)
    with pytest.raises(NonFiniteError):  # the same point again, and the old fault is still on record
        genlab.resume(run.path, quiet=True)
    assert [event["step"] for event in run.events("fault")] == [due, due]


@pytest.mark.parametrize(("value", "name"), [(float("nan"), "NaN"), (float("inf"), "Inf"), (-float("inf"), "Inf")])
@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_an_objective_that_fails_names_its_player(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, player: str, value: float, name: str
) -> None:
    calls = iter(range(1000))
    proper = adversarial.ADVERSARIAL["hinge"]

    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        loss = proper.discriminator(real, fake)
        return loss * value if player == "discriminator" and next(calls) == 17 else loss

    def generator(fake: Tensor) -> Tensor:
        loss = proper.generator(fake)
        return loss * value if player == "generator" and next(calls) == 17 else loss

    failing = adversarial.AdversarialLoss(discriminator, generator)
    monkeypatch.setitem(adversarial.ADVERSARIAL.rows, "hinge", failing)
    with pytest.raises(NonFiniteError) as caught:
        genlab.train("gan", quiet=True, root=tmp_path, loss="hinge", **SHORT)
    assert (caught.value.player, caught.value.tensor) == (player, f"the {player}'s loss")
    assert caught.value.value == name
    assert _faulty(RunFolder(tmp_path / "run"), caught.value) == 17


def _built(preset: str) -> Training:
    recipe = resolve(preset, SMALL).recipe
    return phases.build(recipe, DataSpec(Points(2)), Randomness(0))


def _batches() -> Iterator[Batch]:
    for number in range(100):
        points = torch.randn(8, 2, generator=torch.Generator().manual_seed(number)).clamp(-1, 1)
        yield Batch(points, torch.arange(8))


def _players(training: Training) -> Mapping[str, nn.Module]:
    if "discriminator" in training.optimizers:
        return {name: training.model.get_submodule(name) for name in training.optimizers}
    return dict.fromkeys(training.optimizers, training.model)


def _snapshot(training: Training, player: str) -> list[Tensor]:
    optimizer = training.optimizers[player]
    moments = [tensor for state in optimizer.state.values() for tensor in state.values()]
    return [tensor.detach().clone() for tensor in (*_players(training)[player].state_dict().values(), *moments)]


def _parameters(preset: str) -> list[tuple[str, str]]:
    players = _players(_built(preset))
    return [(player, name) for player, network in players.items() for name, _ in network.named_parameters()]


@pytest.mark.parametrize(
    ("preset", "player", "name"),
    [(preset, *where) for preset in ("gan", "vae", "autoencoder") for where in _parameters(preset)],
)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_one_bad_number_in_one_gradient_is_named_and_changes_no_weight(
    preset: str, player: str, name: str, value: float
) -> None:
    training, batches = _built(preset), _batches()
    network = _players(training)[player]
    for step in range(3):
        training.step(step, batches)

    def spoil(gradient: Tensor) -> Tensor:
        spoilt = gradient.clone()
        spoilt.view(-1)[-1] = value
        return spoilt

    network.get_parameter(name).register_hook(spoil)
    before = _snapshot(training, player)
    with pytest.raises(NonFiniteError) as caught:
        training.step(3, batches)
    assert caught.value.player == player
    assert caught.value.tensor == f"the gradient of {player}.{name}"
    assert caught.value.value == ("NaN" if value != value else "Inf")
    after = _snapshot(training, player)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(p.requires_grad for p in training.model.parameters())  # nobody stays frozen


def _update(layer: nn.Linear, loss: Tensor, clip: float | None = None) -> None:
    named = [(f"toy.{name}", parameter) for name, parameter in layer.named_parameters()]
    player = Player("toy", layer, torch.optim.SGD(named, lr=1.0), clip_norm=clip)
    with player.learning():
        player.backward(loss)
        player.update(0)


def test_a_norm_that_overflows_is_no_step_either() -> None:
    layer = nn.Linear(2, 1)
    before = layer.weight.detach().clone()
    loss = layer(torch.full((1, 2), 1e30)).sum() * 1e-3
    with pytest.raises(NonFiniteError, match="Inf in the norm of the toy's gradient"):
        _update(layer, loss)
    assert torch.isfinite(layer.weight.grad).all()
    assert torch.equal(layer.weight, before)


@pytest.mark.parametrize(("value", "name"), [(float("nan"), "NaN"), (float("inf"), "Inf")])
def test_a_loss_is_looked_at_even_where_its_gradient_is_finite(value: float, name: str) -> None:
    layer = nn.Linear(2, 1)
    before = layer.weight.detach().clone()
    with pytest.raises(NonFiniteError, match=f"{name} in the toy's loss"):
        _update(layer, layer(torch.ones(1, 2)).sum() + value)
    assert torch.equal(layer.weight, before)


@pytest.mark.parametrize("clip", [None, 1.0])
def test_clipping_hides_nothing(clip: float | None) -> None:
    layer = nn.Linear(2, 1)
    with pytest.raises(NonFiniteError, match=r"NaN in the gradient of toy\.weight"):
        _update(layer, _with_gradient(layer, float("nan")), clip)
    assert torch.isfinite(layer.weight).all()


def _with_gradient(layer: nn.Linear, value: float) -> Tensor:
    layer.weight.register_hook(lambda gradient: torch.full_like(gradient, value))
    return layer(torch.ones(1, 2)).sum()


def test_the_command_line_exits_with_4_and_says_what_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = iter(range(1000))
    proper = reconstruction.mse

    def failing(activations: Tensor, images: Tensor) -> Tensor:
        return proper(activations, images) * (float("nan") if next(calls) == 7 else 1.0)

    monkeypatch.setitem(reconstruction.RECONSTRUCTION.rows, "mse", lambda modality: failing)
    options: Mapping[str, Any] = {**SHORT, "root": tmp_path}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    assert command_line.run(["train", "autoencoder", *words]) == 4
    said = capsys.readouterr().err
    assert "genlab: NaN in the autoencoder's loss while updating the autoencoder" in said
    assert "Traceback" not in said
    assert RunFolder(tmp_path / "run").events("fault")[0]["step"] == 7


def test_weights_that_overflowed_are_not_saved(tmp_path: Path) -> None:
    """Loss and gradient are finite, the step is not: it is found before the checkpoint, not in the next step."""
    options = {**SHORT, "checkpoint_every": 1, "lr": 1e39}
    with pytest.raises(
        NonFiniteError, match=r"in the value of autoencoder\.\S+ while updating the autoencoder"
    ) as caught:
        genlab.train("autoencoder", quiet=True, root=tmp_path, **options)
    run = RunFolder(tmp_path / "run")
    assert [event["tensor"] for event in run.events("fault")] == [caught.value.tensor]
    assert not run.last.exists()


def test_samples_that_are_not_finite_are_evaluated_as_nan_and_end_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = GAN.sample
    monkeypatch.setattr(GAN, "sample", lambda *given, **others: sample(*given, **others) * float("nan"))
    options = {**SMALL, "data": "digits", "size": 16, "steps": 4, "evaluate_every": 2, "extractor": "pixels"}
    result = genlab.train("gan", quiet=True, root=tmp_path, **options)
    run = RunFolder(result.folder)
    assert np.isnan([event["fd[pixels]"] for event in run.events("evaluation")]).tolist() == [True, True]
    assert not checkpoint.exists(run.best)
    assert checkpoint.load(run.last).state["step"] == 4
