"""The command that trains a run again does so from any folder, and has only what differs from the preset."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genlab.cli.main import run as command
from genlab.plugins import plugin
from genlab.recipes.command import train_command
from genlab.recipes.resolve import Plan, resolve
from genlab.runs import train

PLUGIN = """
import genlab

@genlab.part("gan-loss", "cubic")
class Cubic:
    log_odds = False
    def discriminator(real, fake, *, margin: float = 1.0): return ((margin - real) ** 2 + fake ** 2).mean()
    def generator(fake): return (fake ** 2).mean()
"""


@pytest.fixture
def parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a command trains that is typed in another folder."""
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    plans: list[Plan] = []
    monkeypatch.setattr(train, "train", lambda plan, quiet: plans.append(plan))

    def parse(line: str) -> Plan:
        words = shlex.split(line)
        assert words.pop(0) == "genlab"
        assert command(words) == 0
        return plans.pop()

    return parse


@pytest.mark.parametrize(
    ("preset", "options", "line"),
    [
        ("vae", {}, "genlab train vae"),
        ("vae", {"seed": 3, "flip": True, "lr": 2e-5}, "genlab train vae --lr 2e-05 --flip --seed 3"),
        ("vae", {"betas": (0.5, 0.9), "latest": False}, "genlab train vae --betas 0.5 0.9 --no-latest"),
        ("dcgan", {"r1": 10.0, "loss": "hinge"}, "genlab train dcgan --loss hinge --r1 10"),
        ("vae", {"name": "it's a b"}, "genlab train vae --name 'it'\"'\"'s a b'"),
        ("vae", {"name": "-x"}, "genlab train vae --name=-x"),
        ("wgan", {"minutes": 2.5, "patience": 3}, "genlab train wgan --minutes 2.5 --patience 3"),
    ],
)
def test_the_command_has_what_differs_and_means_the_same(
    preset: str, options: Mapping[str, Any], line: str, tmp_path: Path, parsed: Any
) -> None:
    plan = resolve(preset, options)
    assert train_command(plan.values(), tmp_path / "runs" / "a") == line
    assert parsed(line) == plan


def test_folders_are_absolute(tmp_path: Path, parsed: Any) -> None:
    plan = resolve("vae", {"root": "my runs", "data": str(tmp_path)})
    line = train_command(plan.values(), tmp_path / "my runs" / "vae")
    assert parsed(line) == replace(plan, settings=replace(plan.settings, root=str(tmp_path / "my runs")))


def test_a_plugin_is_named_with_its_options(tmp_path: Path, parsed: Any) -> None:
    file = tmp_path / "my parts.py"
    file.write_text(PLUGIN)
    plugin(file)
    plan = resolve("dcgan", {"loss": "cubic", "cubic_margin": 2.0})
    line = train_command(plan.values(), tmp_path / "runs" / "a")
    assert line == f"genlab train dcgan --loss cubic --cubic-margin 2 --plugin '{file}'"
    assert parsed(line) == plan


@pytest.mark.parametrize("change", [{"clip_norm": None}, {"of_tomorrow": 3}, {"steps": "many"}])
def test_what_cannot_be_typed_is_read_from_the_file(change: Mapping[str, Any], tmp_path: Path) -> None:
    values = {**resolve("realnvp").values(), **change}
    assert train_command(values, tmp_path / "a b") == f"genlab train '{tmp_path}/a b/recipe.yaml'"
