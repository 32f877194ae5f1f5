"""A user's parts of all kinds, trained, measured and diagnosed by the command line."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from package import MY_PARTS, Said

import genlab
from genlab.cli.main import run
from genlab.core.modality import DataSpec, Images
from genlab.core.parts import everything
from genlab.data.objects import as_source
from genlab.recipes.resolve import resolve
from genlab.registration import KINDS
from genlab.runs.recorded import plan_of
from genlab.training import checkpoint
from genlab.training.run_folder import RunFolder
from test_distributed import assert_same_way, launched

Command = Callable[..., Said]
PLUGIN = ("--plugin", MY_PARTS)
TINY = {"size": 16, "width": 8, "batch_size": 16, "steps": 4, "log_every": 1, "precision": "float32"}


def flags(**options: object) -> list[str]:
    """Return options as they are typed."""
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def train(preset: str, out: Path, **options: object) -> RunFolder:
    tokens = ["train", preset, *map(str, PLUGIN), *flags(**{**TINY, "root": out, **options})]
    assert run(tokens) == 0
    return RunFolder(out / str(options.get("name", preset)))


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A GAN that has a part of every kind that it can have."""
    return train(
        "dcgan",
        tmp_path_factory.mktemp("runs"),
        architecture="small-convs",
        small_convs_kernel=5,
        loss="squared-hinge",
        squared_hinge_margin=100,
        lasso=1e-4,
        zero_centred=0.5,
        zero_centred_power=1,
        lr_schedule="warm-up",
        warm_up_share=0.5,
        data="stripes",
        stripes_period=6,
        extractor="thumbnails",
        evaluate_every=2,
        callbacks="weight-log",
        weight_log_every=2,
    )


@pytest.fixture(scope="module")
def diffusion(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    options: dict[str, Any] = {"timesteps": 20, "sampling_steps": 5, "power_exponent": 3, "renoise_fresh": 0.0}
    return train("my-diffusion", tmp_path_factory.mktemp("runs"), **options)


def test_the_package_has_a_part_of_every_kind() -> None:
    assert {kind for kind, _ in everything()} == set(KINDS)


def test_a_package_can_be_loaded_again() -> None:
    before = everything()
    genlab.plugin(MY_PARTS)
    assert everything().keys() == before.keys()
    assert everything()["gan-loss", "squared-hinge"].value is not before["gan-loss", "squared-hinge"].value


def test_an_architecture_makes_the_networks(gan: RunFolder) -> None:
    model = genlab.load(gan.path)
    sides = {m.kernel_size for m in model.modules() if isinstance(m, torch.nn.Conv2d)}
    assert sides == {(5, 5)}


def test_a_loss_is_minimised_with_its_option(gan: RunFolder) -> None:
    assert gan.history()[0]["discriminator_loss"] == pytest.approx(2 * 100**2, rel=0.05)


def test_regularizers_are_added_with_their_weights(gan: RunFolder) -> None:
    first = gan.history()[0]
    assert first["discriminator_weight_regularizer"] > 0
    assert first["generator_weight_regularizer"] > 0
    assert first["zero-centred_penalty"] > 0


def test_a_reconstruction_loss_is_minimised_with_its_option(tmp_path: Path) -> None:
    """Errors beyond δ cost δ|x|, and with a small δ nearly all are beyond."""
    runs = [train("my-vae", tmp_path, name=f"vae-{delta}", huber_delta=delta, steps=1) for delta in (1e-3, 2e-3)]
    one, two = (folder.history()[0]["distortion"] for folder in runs)
    assert two == pytest.approx(2 * one, rel=0.01)


def test_a_schedule_sets_the_learning_rates(gan: RunFolder) -> None:
    rate = plan_of(gan).recipe.rate()
    assert [rate(step) for step in range(4)] == [0.5, 1.0, 1.0, 1.0]


def test_a_noise_schedule_is_that_of_the_model(diffusion: RunFolder) -> None:
    schedule: Any = genlab.load(diffusion.path).schedule
    torch.testing.assert_close(schedule.sigmas, torch.linspace(0, 1, 21, dtype=torch.float64) ** 3)


def test_noise_is_not_predicted_where_nothing_else_is_left(command: Command, tmp_path: Path) -> None:
    said = command("train", "my-diffusion", *PLUGIN, "--prediction", "noise", "--size", 16, "--root", tmp_path)
    assert "--schedule power ends in pure noise" in said.err
    assert said.code == 2


def test_a_sampler_draws_the_samples_and_its_option_can_change_after_training(diffusion: RunFolder) -> None:
    """Without new noise it is DDIM."""
    plan = plan_of(diffusion)

    def sampled(**options: Any) -> torch.Tensor:
        model: Any = plan.sampled(options).recipe.model(DataSpec(Images(1, 16, 16)))
        model.load_state_dict(genlab.load(diffusion.path).state_dict())
        return model.eval().sample(2, generator=torch.Generator().manual_seed(0))  # type: ignore[no-any-return]

    with torch.no_grad():
        torch.testing.assert_close(sampled(), sampled(sampler="ddim"), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(sampled(), sampled(renoise_fresh=0.5), atol=1e-2)


def test_a_family_is_trained_by_its_own_loss(tmp_path: Path) -> None:
    history = train("energy", tmp_path, steps=30, data="stripes").history()
    losses = [line["loss"] for line in history]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_data_are_opened_by_name(gan: RunFolder) -> None:
    data = gan.read_yaml("data.yaml")
    assert data["source"] == "stripes"
    assert data["conditions"]["label"]["names"] == ["across", "down"]
    fingerprints = [as_source("stripes", size=16, own={"stripes_period": p}).train.fingerprint for p in (4, 6)]
    assert data["fingerprints"]["train"] == fingerprints[1] != fingerprints[0]


def test_an_extractor_evaluates_the_samples_under_the_hash_of_its_file(gan: RunFolder) -> None:
    (event, *_) = gan.events("evaluation")
    assert event["criterion"] == "fd[thumbnails]"
    assert event["protocol"]["weights"] == everything()["extractor", "thumbnails"].origin.sha256[:12]


def test_a_metric_is_a_figure_of_evaluate(gan: RunFolder, command: Command) -> None:
    said = command("evaluate", gan.path, *PLUGIN, "--extractor", "thumbnails", "-n", 60, "--json")
    (figure,) = [f for f in json.loads(said.out)["figures"] if f["name"] == "brightness-gap"]
    assert 0 < figure["value"] < 2
    assert 0 < figure["error"] < 0.1
    assert figure["better"] == "lower"


def test_a_rule_is_a_finding_of_the_doctor(command: Command, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    rows = [f"{step},{0.5 if step < 100 else 0.0},1.0" for step in range(0, 400, 20)]
    log.write_text("\n".join(["step,discriminator_loss,generator_loss", *rows]))
    said = command("doctor", log, *PLUGIN, "--family", "gan")
    assert "discriminator beyond its margin, it no longer learns, since step 100." in said.out
    assert said.code == 3


def test_a_callback_is_told_what_happens(gan: RunFolder) -> None:
    lines = (gan.path / "weights.csv").read_text().split()
    assert [int(line.split(",")[0]) for line in lines] == [2, 4]


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        (
            "my-gan",
            ["small-convs", "--small-convs-kernel", "odd number of", "squared-hinge", "--squared-hinge-margin"],
        ),
        ("my-gan", ["warm-up", "--warm-up-share", "--lasso", "--zero-centred", "--zero-centred-power"]),
        ("my-gan", ["--stripes-period", "--weight-log-every"]),
        ("my-vae", ["huber", "--huber-delta"]),
        ("my-diffusion", ["power", "--power-exponent", "renoise", "--renoise-fresh", "--lasso"]),
        ("energy", ["Székely and Rizzo", "--lr", "small-convs", "--lasso"]),
    ],
)
def test_help_shows_names_and_options(preset: str, words: list[str], command: Command) -> None:
    said = command("train", preset, *PLUGIN, "--help")
    assert [word for word in words if word not in said.out] == []


def test_presets_of_a_family_are_listed(command: Command) -> None:
    assert "Generator trained by the energy distance" in command("recipes", "energy", *PLUGIN).out


@pytest.mark.parametrize(
    ("words", "suggested"),
    [
        ("energi", "energy"),
        ("dcgan --architecture small-conv", "small-convs"),
        ("dcgan --loss squared-hing", "squared-hinge"),
        ("my-gan --squared-hinge-margn 2", "--squared-hinge-margin"),
        ("vae --reconstruction hubber", "huber"),
        ("vae --laso 1", "--lasso"),
        ("vae --lr-schedule warmup", "warm-up"),
        ("my-diffusion --schedule powr", "power"),
        ("ddpm --sampler renoize", "renoise"),
        ("vae --data stripe", "stripes"),
        ("dcgan --extractor thumbnail", "thumbnails"),
        ("vae --callbacks weight-lag", "weight-log"),
    ],
)
def test_a_misspelt_name_gets_a_suggestion(words: str, suggested: str, command: Command, tmp_path: Path) -> None:
    said = command("train", *words.split(), *PLUGIN, "--root", tmp_path / "runs")
    assert f"Did you mean {suggested}" in said.err.replace('"', "")
    assert said.code == 2
    assert not (tmp_path / "runs").exists()


def test_an_option_of_a_part_that_is_not_used_is_refused(command: Command) -> None:
    said = command("train", "dcgan", *PLUGIN, "--huber-delta", 2)
    assert said.code == 2


def test_a_run_records_the_options_of_the_parts_that_it_uses_and_no_others(
    gan: RunFolder, tmp_path: Path, without_parts: Callable[[], None], command: Command
) -> None:
    """A run that uses none needs no plugin, though one was loaded when it was trained."""
    recipe = gan.read_yaml("recipe.yaml")
    assert recipe["squared_hinge_margin"] == 100
    assert "huber_delta" not in recipe
    plain = train("vae", tmp_path)
    without_parts()
    assert command("sample", plain.path).code == 0
    said = command("sample", gan.path)
    assert said.code == 2
    assert f'needs the architecture "small-convs" from {MY_PARTS}' in said.err
    assert "--plugin my_parts" in said.err
    assert command("sample", gan.path, *PLUGIN).code == 0


def test_a_model_is_used_without_the_data_and_callbacks_that_it_was_trained_with(
    tmp_path: Path, without_parts: Callable[[], None], command: Command
) -> None:
    own = {"data": "stripes", "stripes_period": 6, "callbacks": "weight-log", "weight_log_every": 2}
    folder = train("vae", tmp_path, **own)
    without_parts()
    assert command("sample", folder.path).code == 0
    assert 'needs the data "stripes"' in command("resume", folder.path, "--steps", 6).err
    assert 'no callback "weight-log"' in command("train", "vae", "--callbacks", "weight-log").err


def test_a_run_is_read_without_any_of_its_parts(
    gan: RunFolder, diffusion: RunFolder, tmp_path: Path, without_parts: Callable[[], None], command: Command
) -> None:
    """Also without its family: what needs no model works, and what needs one says which part is missing."""
    family = train("energy", tmp_path)
    without_parts()
    for folder, needed in (
        (gan, 'architecture "small-convs"'),
        (diffusion, "family"),
        (family, 'family "energy"'),
    ):
        listed = command("runs", "--root", folder.path.parent)
        assert "4/4" in listed.out
        assert "needs" not in listed.out + listed.err
        for verb in ("report", "doctor", "info"):
            assert command(verb, folder.path).code in (0, 3), verb
        assert (
            f"the model cannot be loaded: {folder.path}/recipe.yaml needs the {needed}"
            in command("info", folder.path).out
        )
        for verb in ("sample", "evaluate", "resume"):
            assert f"needs the {needed}" in command(verb, folder.path).err


def tensors(folder: RunFolder) -> dict[str, torch.Tensor]:
    saved = checkpoint.load(folder.last)
    return {**saved.model, **saved.training}


slow = pytest.mark.slow


@pytest.mark.parametrize(
    "preset", ["my-gan", "energy", *(pytest.param(f"my-{p}", marks=slow) for p in ("vae", "diffusion"))]
)
def test_stopped_and_resumed_is_the_same_as_never_stopped(preset: str, tmp_path: Path, command: Command) -> None:
    whole = train(preset, tmp_path / "whole", steps=6, callbacks="weight-log", weight_log_every=1)
    part = train(preset, tmp_path / "part", steps=6, callbacks="weight-log", weight_log_every=1, minutes=1e-6)
    stopped = checkpoint.load(part.last).state["step"]
    assert stopped < 6
    assert command("resume", part.path, "--steps", 6, *PLUGIN).code == 0
    one, other = tensors(whole), tensors(part)
    assert one.keys() == other.keys()
    assert all(one[name].equal(other[name]) for name in one)
    assert (whole.path / "weights.csv").read_bytes() == (part.path / "weights.csv").read_bytes()


SHARED: dict[str, Any] = {"steps": 10, "latent": 4, "evaluate_every": 100}


def train_both(out: Path) -> None:
    for preset in ("my-gan", "energy"):
        train(preset, out, **SHARED)


def test_two_processes_train_the_weights_of_one(tmp_path: Path) -> None:
    """With torch's batch normalisation in the user's network, and a loss of the whole batch."""
    train_both(tmp_path / "one")
    launched(partial(train_both, tmp_path / "two"), tmp_path)
    for preset in ("my-gan", "energy"):
        recipe = resolve(preset, {**TINY, **SHARED}).recipe
        one, two = (tmp_path / processes / preset for processes in ("one", "two"))
        assert_same_way(recipe, DataSpec(Images(1, 16, 16)), one, two)
