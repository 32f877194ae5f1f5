"""One option, three faces: Python, YAML and the command line."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import genlab
from genlab.cli.main import run as command_line
from genlab.core.errors import UsageError
from genlab.recipes.gan import GANRecipe
from genlab.recipes.presets import PRESETS
from genlab.recipes.resolve import Plan, from_values, resolve
from genlab.recipes.vae import VAERecipe
from genlab.runs import train
from genlab.runs.result import Result
from genlab.training.callbacks import Progress

Face = Callable[[str, Mapping[str, Any]], Plan]


@pytest.fixture(params=["python", "yaml", "yaml with dashes", "command line", "yaml and command line"])
def face(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Face:
    """Return what turns a preset and options into the plan that would be trained."""
    plans: list[Plan] = []

    def trained(plan: Plan, *, quiet: bool = False) -> Result:
        plans.append(plan)
        return Result(tmp_path, Progress(step=1), 0, 1)

    monkeypatch.setattr(train, "train", trained)

    def write(preset: str, options: Mapping[str, Any], dash: str) -> str:
        path = tmp_path / "my_model.yaml"
        path.write_text(
            yaml.safe_dump({"preset": preset, **{n.replace("_", dash): v for n, v in options.items()}})
        )
        return str(path)

    def flags(options: Mapping[str, Any]) -> list[str]:
        tokens = []
        for name, value in options.items():
            word = name.replace("_", "-")
            if isinstance(value, bool):
                tokens.append(f"--{word}" if value else f"--no-{word}")
            else:
                tokens += [f"--{word}", *map(str, value if isinstance(value, list) else [value])]
        return tokens

    def call(preset: str, options: Mapping[str, Any]) -> Plan:
        match request.param:
            case "python":
                genlab.train(preset, quiet=True, **options)
            case "yaml":
                genlab.train(write(preset, options, "_"), quiet=True)
            case "yaml with dashes":
                genlab.train(write(preset, options, "-"), quiet=True)
            case "command line":
                assert command_line(["train", preset, *flags(options)]) == 0
            case _:
                first = dict(list(options.items())[::2])
                second = dict(list(options.items())[1::2])
                assert command_line(["train", write(preset, first, "-"), *flags(second)]) == 0
        return plans.pop()

    return call


OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("dcgan", {}),
    ("dcgan", {"discriminator_steps": 3, "generator_lr": 0.001, "loss": "minimax", "batch_size": 32}),
    ("vae", {"lr": 1e-05, "betas": [0.5, 0.9], "beta": 0, "reconstruction": "mse"}),
    ("autoencoder", {"architecture": "dcgan", "latent": 7, "ema": 0.5, "steps": 1}),
    ("conv-vae", {"data": "photos/", "size": 64, "channels": 3, "flip": True, "max_rejected": 0.5}),
    ("gan", {"minutes": 2, "seed": 9, "device": "cpu", "root": "elsewhere", "name": "mine", "flip": False}),
    ("gan", {"log_every": 1, "preview_every": 2, "evaluate_every": 3, "checkpoint_every": 4, "logger": "wandb"}),
]


@pytest.mark.parametrize(("preset", "options"), OPTIONS)
def test_every_face_gives_the_same_plan(face: Face, preset: str, options: dict[str, Any]) -> None:
    expected = resolve(preset, options)
    plan = face(preset, options)
    assert plan == expected
    for name, value in options.items():
        owner = plan.recipe if hasattr(plan.recipe, name) else plan.settings
        now = getattr(owner, name)
        assert now == (tuple(value) if isinstance(value, list) else value), name


def test_an_option_changes_nothing_else() -> None:
    plan = resolve("dcgan", {"discriminator_steps": 3, "seed": 5})
    assert plan.recipe == GANRecipe(architecture="dcgan", width=64, batch_size=128, discriminator_steps=3)
    assert PRESETS["dcgan"] == GANRecipe(architecture="dcgan", width=64, batch_size=128)
    assert plan.settings.seed == 5


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("preset: vae\nsteps: 5\nlr: 0.1\n")
    plan = resolve(str(path), {"steps": 7})
    assert isinstance(plan.recipe, VAERecipe)
    assert (plan.recipe.steps, plan.recipe.lr) == (7, 0.1)


@pytest.mark.parametrize(("preset", "options"), OPTIONS)
def test_a_saved_recipe_is_the_same_plan(tmp_path: Path, preset: str, options: dict[str, Any]) -> None:
    plan = resolve(preset, options)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(plan.values(), sort_keys=False))
    assert resolve(str(path)) == plan
    assert from_values(yaml.safe_load(path.read_text()), "recipe.yaml") == plan
    assert list(plan.values())[:2] == ["preset", "genlab"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E-3", 0.001),
        ("5e-4", 0.0005),
        ("1.0e-3", 0.001),
        (".5e-1", 0.05),
        ("1", 1.0),
        ("0.25", 0.25),
    ],
)
def test_numbers_in_yaml_are_written_as_people_write_them(tmp_path: Path, text: str, value: float) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"preset: vae\nlr: {text}\n")
    recipe = resolve(str(path)).recipe
    assert isinstance(recipe, VAERecipe)
    assert recipe.lr == value
    assert isinstance(recipe.lr, float)


def test_paths_are_text(tmp_path: Path) -> None:
    assert resolve("vae", {"root": tmp_path, "data": tmp_path / "a"}).settings.root == str(tmp_path)


def test_the_former_name_of_root_is_read_from_files_only(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("preset: vae\nout: elsewhere\n")
    assert resolve(str(path)).settings.root == "elsewhere"
    assert "out" not in resolve(str(path)).values()
    with pytest.raises(UsageError, match=r'no option "out"\. Did you mean "root"'):
        resolve("vae", {"out": "elsewhere"})


# What the user gave, and what the answer must contain: the flag, the value, the choices or the range.
REFUSED: list[tuple[str, dict[str, Any], list[str]]] = [
    ("vea", {}, ['unknown preset "vea"', 'Did you mean "vae"?', "Choices: autoencoder, ", "dcgan"]),
    (
        "vae",
        {"stesp": 3},
        [
            'vae has no option "stesp"',
            'Did you mean "steps"?',
            "Choices: accumulate, architecture, balance, batch",
        ],
    ),
    ("vae", {"discriminator_steps": 3}, ['vae has no option "discriminator_steps"', "Choices:"]),
    (
        "dcgan",
        {"loss": "minmax"},
        ["--loss must be one of minimax, non-saturating", '"minmax"', 'mean "minimax"?'],
    ),
    ("dcgan", {"architecture": "vgg"}, ["--architecture must be one of mlp, dcgan, dcgan-upsample", '"vgg"']),
    ("vae", {"precision": "bf6"}, ["--precision must be one of auto, bf16, float32", '"bf6"', 'mean "bf16"?']),
    ("vae", {"steps": 0}, ["--steps must be at least 1, not 0."]),
    ("vae", {"batch_size": 1}, ["--batch-size must be at least 2, not 1."]),
    ("vae", {"ema": 1.0}, ["--ema must be at least 0 and at most 0.99999, not 1.0."]),
    ("vae", {"ema": -0.1}, ["--ema must be at least 0 and at most 0.99999, not -0.1."]),
    ("vae", {"lr": 0.0}, ["--lr must be above 0, not 0.0."]),
    ("vae", {"lr": -1}, ["--lr must be above 0, not -1.0."]),
    ("vae", {"minutes": 0}, ["--minutes must be above 0, not 0.0."]),
    ("vae", {"lr": math.nan}, ['--lr must be a finite number, not "nan".']),
    ("vae", {"lr": math.inf}, ['--lr must be a finite number, not "inf".']),
    ("vae", {"minutes": math.nan}, ['--minutes must be a finite number or none, not "nan".']),
    ("vae", {"betas": [0.5, math.nan]}, ["--betas must be 2 numbers", "nan"]),
    ("vae", {"betas": [0.5, 1.0]}, ["--betas must be at least 0 and at most 0.9999, not 1.0."]),
    ("vae", {"betas": [0.5]}, ['--betas must be 2 numbers, not "[0.5]".']),
    ("vae", {"betas": 0.5}, ['--betas must be 2 numbers, not "0.5".']),
    ("vae", {"steps": 2.5}, ['--steps must be a whole number, not "2.5".']),
    ("vae", {"steps": "many"}, ['--steps must be a whole number, not "many".']),
    ("vae", {"steps": True}, ['--steps must be a whole number, not "True".']),
    ("vae", {"steps": None}, ['--steps must be a whole number, not "None".']),
    ("vae", {"lr": "fast"}, ['--lr must be a finite number, not "fast".']),
    ("vae", {"lr": True}, ['--lr must be a finite number, not "True".']),
    ("vae", {"flip": "yes please"}, ['--flip must be true or false, not "yes please".']),
    ("vae", {"flip": 1}, ['--flip must be true or false, not "1".']),
    ("vae", {"size": "big"}, ['--size must be a whole number or none, not "big".']),
    ("vae", {"channels": 4}, ["--channels must be at least 1 and at most 3, not 4."]),
    ("vae", {"max_rejected": 1.5}, ["--max-rejected must be at least 0 and at most 1, not 1.5."]),
    ("dcgan", {"discriminator_steps": 0}, ["--discriminator-steps must be at least 1, not 0."]),
    ("vae", {"seed": -1}, ["--seed must be at least 0, not -1."]),
]


@pytest.mark.parametrize(("preset", "options", "words"), REFUSED)
def test_a_wrong_value_is_refused_by_name(preset: str, options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        genlab.train(preset, quiet=True, **options)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(("preset", "options", "words"), REFUSED)
def test_in_a_file_it_is_refused_in_the_same_words_with_the_file(
    tmp_path: Path, preset: str, options: dict[str, Any], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"preset": preset, **options}))
    assert command_line(["train", str(path), "--root", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"genlab: {path}: ")
    for word in words:
        assert word in printed.err


FILES: list[tuple[bytes, str]] = [
    (b"- vae\n- dcgan\n", "must hold keys and values, such as `preset: dcgan`"),
    (b"", "must hold keys and values"),
    (b"just text", "must hold keys and values"),
    (b"steps: 3\n", "has no key `preset`. Add for example `preset: dcgan`; see `genlab recipes`."),
    (b"preset:\n", "has no key `preset`"),
    (b"preset: [vae\n", "cannot read"),
    (b"preset: !!python/object/apply:os.system ['true']\n", "cannot read"),
    (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "cannot read"),
    (b"preset: vae\n1: 2\n", 'vae has no option "1"'),
    (b"preset: vae\ndata: 5\n", '--data must be text, not "5".'),
]


@pytest.mark.parametrize(("content", "words"), FILES)
def test_a_file_that_is_no_recipe_is_refused_by_name(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        resolve(str(path))
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_a_missing_file_is_answered_with_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "photos.yaml").write_text("preset: vae\n")
    with pytest.raises(UsageError, match=r'there is no file .*photo\.yaml\. Did you mean "photos\.yaml"\?'):
        resolve(str(tmp_path / "photo.yaml"))
    with pytest.raises(UsageError, match="there is no file"):
        resolve(str(tmp_path / "gone" / "photo.yaml"))
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(UsageError, match="cannot read"):
        resolve(str(tmp_path / "folder.yaml"))


def test_scalars_of_numpy_and_devices_of_torch_are_option_values() -> None:
    given = {"steps": np.int64(5), "lr": np.float32(0.1), "flip": np.bool_(True), "device": torch.device("cpu")}
    plan = resolve("vae", {**given, "name": np.str_("mine")})
    assert (plan.recipe.steps, plan.settings.flip) == (5, True)
    assert plan.values()["lr"] == float(np.float32(0.1))
    assert (plan.settings.device, plan.settings.name) == ("cpu", "mine")
    assert type(plan.recipe.steps) is int
    assert {type(value) for value in plan.values().values()} <= {int, float, bool, str, list, type(None)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": np.float64(5.5)}, 'must be a whole number, not "5.5"'),
        ({"steps": np.arange(3)}, r'not "ndarray of shape \(3,\)"'),
        ({"precision": torch.float32}, 'not "dtype"'),
        ({"precision": "x" * 100_000}, 'not "x{39}…"'),
    ],
)
def test_other_values_are_refused_without_their_content(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve("vae", options)


@pytest.mark.parametrize(("preset", "shown"), [(3, "3"), (np.zeros((2, 2)), "ndarray of shape"), (int, "int")])
def test_a_preset_is_a_name_or_a_recipe(preset: Any, shown: str) -> None:
    with pytest.raises(UsageError, match=f"preset must be a name, .* not .*{shown}"):
        genlab.train(preset)


@dataclass(frozen=True)
class MyVAE(VAERecipe):
    """A VAE of one's own."""


def test_a_recipe_class_or_a_recipe_is_trained(tmp_path: Path) -> None:
    tiny: dict[str, Any] = {"size": 16, "width": 8, "batch_size": 8, "steps": 1, "latent": 2, "quiet": True}
    assert genlab.train(MyVAE, root=tmp_path, **tiny).plan.preset == "my-vae"
    assert genlab.train(MyVAE(lr=0.01), root=tmp_path, **tiny).plan.values()["lr"] == 0.01


@pytest.mark.parametrize("name", ["x" * 100_000, "a/" * 50_000, "a\0b"])
def test_a_source_of_any_text_is_refused_in_short(name: str) -> None:
    with pytest.raises(UsageError, match="no source") as caught:
        genlab.train("vae", data=name)
    assert len(str(caught.value)) < 400
