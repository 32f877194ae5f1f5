"""What genlab is timed against does learn, and the table of the command holds what it promises."""

import json

import pytest
import torch

from genlab.bench import training
from genlab.bench.measure import Spread, in_turns, ratios
from genlab.bench.textbook import textbook
from genlab.cli.main import run
from genlab.core.batch import ImageShape
from genlab.recipes.vae import VAERecipe

SHAPE = ImageShape(1, 16, 16)
TINY = {"width": 4, "batch": 8}


@pytest.mark.parametrize("preset", ["gan", "dcgan", "wgan-gp", "sngan", "vae", "conv-vae"])
def test_a_textbook_loop_trains_both_players(preset: str) -> None:
    recipe = training.Case(preset, *SHAPE[:2], TINY).recipe
    torch.manual_seed(0)
    model = recipe.model(SHAPE)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step = textbook(recipe, model, torch.rand(32, *SHAPE) * 2 - 1)
    assert all(torch.isfinite(torch.tensor(list(step().values()))))
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    players = ("encoder", "decoder") if isinstance(recipe, VAERecipe) else ("generator", "critic")
    assert all(any(name.startswith(player) for name in moved) for player in players)


def test_the_vae_of_the_textbook_minimises_the_same_bound() -> None:
    """Its loss falls, on pictures that are all alike, to nearly nothing."""
    recipe = training.Case("vae", *SHAPE[:2], {"width": 32, "batch": 16, "lr": 1e-2}).recipe
    torch.manual_seed(0)
    image = torch.where(torch.rand(SHAPE) > 0.5, 1.0, -1.0)
    step = textbook(recipe, recipe.model(SHAPE), image.expand(32, *SHAPE))
    first = step()["loss"]
    for _ in range(60):
        last = step()["loss"]
    assert last < 0.05 * first


def test_alternatives_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []
    found = in_turns({name: lambda name=name: order.append(name) or len(order) for name in "ab"}, 2)
    assert order == ["a", "b", "a", "b", "b", "a"]
    assert found == {"a": [3, 6], "b": [4, 5]}
    assert ratios([2.0, 9.0], [1.0, 3.0]) == Spread(2.5, 2.0, 3.0)


def test_the_command_measures_what_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [training.Case("dcgan", 1, 16, TINY, {"bf16": 1e9}), training.Case("vae", 1, 16, TINY)]
    monkeypatch.setattr(training, "CASES", cases)
    monkeypatch.setattr(training, "LEAST_SECONDS", 0.0)
    assert run(["bench", "--only", "dcgan", "--repeats", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["training"]["rows"]
    what = {row["what"] for row in rows}
    assert {"dcgan, 16 px: bf16", "dcgan, 16 px: textbook loop", "dcgan, 16 px: bf16 to textbook loop"} <= what
    assert all(row["value"]["median"] > 0 for row in rows if isinstance(row["value"], dict))
    assert not any("vae" in name for name in what)
    assert run(["bench", "--only", "dcgan", "--repeats", "1"]) == 0
    assert "≥ 1,000,000,000: **missed**" in capsys.readouterr().out


def test_what_cannot_be_measured_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--only", "dcgam"]) == 2
    assert 'no measurement of "dcgam". Choices: gan, dcgan' in " ".join(capsys.readouterr().err.split())
    assert run(["bench", "--repeats", "0"]) == 2
