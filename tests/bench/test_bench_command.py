"""What genlab is timed against does learn, and the table of the command holds what it promises."""

import copy
import json
from typing import Any, get_args

import pytest
import torch

from genlab.bench import cases, memory, sampling, training
from genlab.bench.measure import Spread, interleaved, ratios
from genlab.bench.parts import PARTS
from genlab.bench.textbook import textbook
from genlab.cli.main import run
from genlab.core import device as devices
from genlab.core.batch import Batch
from genlab.core.modality import DataSpec, Images
from genlab.core.random import Randomness
from genlab.runs.phases import build
from genlab.verbs.bench import PartName

IMAGES = Images(1, 16, 16)
SPEC = DataSpec(IMAGES)
TINY = {"width": 4, "batch_size": 8}


@pytest.mark.parametrize("preset", ["gan", "dcgan", "wgan-gp", "sngan", "vae", "conv-vae", "glow", "ddpm"])
def test_a_textbook_loop_trains_both_players(preset: str) -> None:
    options = {**TINY, **({"flow_steps": 2} if preset == "glow" else {})}
    recipe = cases.Case(preset, *IMAGES.shape[:2], options).recipe
    torch.manual_seed(0)
    model = recipe.model(SPEC)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step = textbook(recipe, model, torch.rand(32, *IMAGES.shape) * 2 - 1)
    assert all(torch.isfinite(torch.tensor(list(step().values()))))
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    players = {"vae": ("encoder", "decoder"), "gan": ("generator", "discriminator")}.get(
        recipe.family, ("network",)
    )
    assert all(any(name.startswith(player) for name in moved) for player in players)


@pytest.mark.parametrize("preset", ["pix2pix", "cyclegan"])
def test_a_textbook_step_of_a_translation_has_the_losses_of_genlab(preset: str) -> None:
    options = {"width": 4, "batch_size": 8, "discriminator": "patch-16", "dropout": 0.0}
    recipe = cases.Case(preset, *IMAGES.shape[:2], options).recipe
    pairs = DataSpec(IMAGES, {"source": IMAGES})
    images, sources = torch.rand(2, 8, *IMAGES.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    training = build(recipe, pairs, Randomness(0))
    twin = copy.deepcopy(training.model)
    before = {name: value.clone() for name, value in twin.state_dict().items()}
    batch = Batch(images, torch.arange(8), {"source": sources})
    ours = {name: float(value) for name, value in training.step(0, iter([batch])).items()}
    theirs = textbook(recipe, twin, images, sources)()
    of_generator = sum(ours.get(f"{name}_loss", 0.0) for name in ("generator", "l1", "cycle", "identity"))
    assert theirs["discriminator"] == pytest.approx(ours["discriminator_loss"], rel=1e-3)
    assert theirs["generator"] == pytest.approx(of_generator, rel=1e-3)
    assert all(not torch.equal(value, before[name]) for name, value in twin.state_dict().items())


@pytest.mark.parametrize(("preset", "options"), [("glow", {"flow_steps": 2}), ("ddpm", {})])
def test_the_textbook_minimises_what_genlab_does(preset: str, options: dict[str, int]) -> None:
    recipe = cases.Case(preset, *IMAGES.shape[:2], {"width": 8, "batch_size": 256, **options}).recipe
    images = torch.rand(256, *IMAGES.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    training: Any = build(recipe, SPEC, Randomness(0))
    twin = copy.deepcopy(training.model)
    ours, _ = training.objective(0, Batch(images, torch.arange(256)), Randomness(0))
    assert textbook(recipe, twin, images)()["loss"] == pytest.approx(ours.item(), rel=0.05)


def test_the_vae_of_the_textbook_minimises_the_same_bound() -> None:
    """Its loss falls, on pictures that are all alike, to nearly nothing."""
    recipe = cases.Case("vae", *IMAGES.shape[:2], {"width": 32, "batch_size": 16, "lr": 1e-2}).recipe
    torch.manual_seed(0)
    image = torch.where(torch.rand(IMAGES.shape) > 0.5, 1.0, -1.0)
    step = textbook(recipe, recipe.model(SPEC), image.expand(32, *IMAGES.shape))
    first = step()["loss"]
    for _ in range(60):
        last = step()["loss"]
    assert last < 0.05 * first


def test_alternatives_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []
    found = interleaved({name: lambda name=name: order.append(name) or len(order) for name in "ab"}, 2)
    assert order == ["a", "b", "a", "b", "b", "a"]
    assert found == {"a": [3, 6], "b": [4, 5]}
    assert ratios([2.0, 9.0], [1.0, 3.0]) == Spread(2.5, 2.0, 3.0)


@pytest.fixture
def tiny_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command measure small networks for a moment."""
    small = [cases.Case("dcgan", 1, 16, TINY, {"float32": 1e9}), cases.Case("vae", 1, 16, TINY)]
    for module in (training, memory, sampling):
        monkeypatch.setattr(module, "CASES", small)
    monkeypatch.setattr(sampling, "PICTURES", 10)
    monkeypatch.setattr(training, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(training, "_peak", lambda dtype, where: 1e9)  # of large convolutions, seconds each


@pytest.mark.slow
def test_the_peak_is_that_of_a_machine() -> None:
    assert 1e8 < training._peak(torch.float32, torch.device("cpu")) < 1e15


@pytest.mark.usefixtures("tiny_cases")
def test_the_command_measures_what_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "training", "sampling", "--presets", "dcgan", "--repeats", "1", "--json"]) == 0
    parts = json.loads(capsys.readouterr().out)
    assert set(parts) == {"machine", "training", "sampling"}
    rows = parts["training"]["rows"]
    what = {row["what"] for row in rows}
    sampled = {row["what"] for row in parts["sampling"]["rows"]}
    for name in devices.precisions(torch.device("cpu")):
        assert {
            f"dcgan, 16 px: {name}",
            "dcgan, 16 px: textbook loop",
            f"dcgan, 16 px: {name} to textbook loop",
        } <= what
        assert f"dcgan, 16 px: {name} to textbook" in sampled
    for part in ("training", "sampling"):
        assert all(row["value"]["median"] > 0 for row in parts[part]["rows"] if isinstance(row["value"], dict))
        assert not any("vae" in row["what"] for row in parts[part]["rows"])
    assert run(["bench", "training", "--presets", "dcgan", "--repeats", "1"]) == 0
    assert "≥ 1,000,000,000: **missed**" in capsys.readouterr().out


def test_what_a_processor_has_no_units_for_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bf16 is emulated, a single convolution takes seconds."""
    where = torch.device("cpu")
    for units, names in (([], ["float32"]), (["amx_bf16"], ["bf16", "float32"])):
        monkeypatch.setattr(devices, "bf16_units", lambda device, units=units: units)
        assert list(devices.precisions(where)) == names


@pytest.mark.parametrize("name", ["float32", pytest.param(cases.TEXTBOOK, marks=pytest.mark.slow)])
def test_memory_is_that_of_the_training_alone(name: str) -> None:
    """A larger batch of wide networks takes more, whoever trains them."""
    small, large = (cases.Case("dcgan", 1, 32, {"width": 32, "batch_size": batch}) for batch in (8, 64))
    least, most = (memory.in_a_process(case, name, torch.device("cpu")) for case in (small, large))
    assert 1 < least < most < 1000


def test_every_part_of_the_command_has_a_name() -> None:
    assert tuple(PARTS) == get_args(PartName)


def test_what_cannot_be_measured_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--presets", "dcgam"]) == 2
    assert 'no measurement of preset "dcgam". Did you mean "dcgan"?' in " ".join(capsys.readouterr().err.split())
    assert run(["bench", "trainig"]) == 2
    assert run(["bench", "--repeats", "0"]) == 2
