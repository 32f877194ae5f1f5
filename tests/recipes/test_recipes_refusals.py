"""Parts that cannot go together are refused before anything is written, with the reason and a way out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import genlab
import reading
from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec, Images, Points
from genlab.recipes.diffusion import DiffusionRecipe
from genlab.recipes.presets import PRESETS
from genlab.recipes.resolve import resolve

CLASHES: list[tuple[str, dict[str, Any], str]] = [
    (
        "dcgan",
        {"spectral_norm": "discriminator", "weight_clip": 0.1},
        "undoes the other.*set --spectral-norm generator",
    ),
    ("wgan-gp", {"discriminator_norm": "batch"}, "--discriminator-norm layer, instance or none"),
    ("dcgan", {"gradient_penalty": 10}, "--discriminator-norm layer, instance or none"),
    ("colorization", {"degrade": ("noise=5",)}, "--degrade noise=5 leaves them in colour. Add grey=1"),
    (
        "dcgan",
        {"penalty_every": 4},
        "--penalty-every 4 needs a gradient penalty: set --gradient-penalty, --dragan, --r1 or --r2",
    ),
    (
        "wgan",
        {"real_label": 0.9},
        "wasserstein, which has no target labels.*minimax, non-saturating, least-squares",
    ),
    ("dcgan", {"wanted_label": 0.9}, "only for --loss least-squares, not non-saturating"),
    ("dcgan", {"fake_label": -0.5}, "choose 0 to 1, not -0.5"),
    ("unrolled-gan", {"optimizer": "rmsprop"}, "needs --optimizer adam, not rmsprop"),
    ("unrolled-gan", {"weight_clip": 0.1}, "--gradient-penalty or --spectral-norm discriminator"),
    ("dcgan", {"discriminator_labels": "projection"}, "both networks must use the class"),
    ("dcgan", {"generator_labels": "concat"}, "both networks must use the class"),
    ("projection-gan", {"pack": 2}, "--pack 2 gives the discriminator images of several classes"),
    ("pacgan", {"batch_size": 33}, "--pack 2 does not divide the 33 images.*Nearest: --batch-size 32"),
    ("conv-vae", {"kl_cycles": 4, "kl_warm_up": 100}, "warm-up"),
    ("iwae", {"beta": 4.0}, "--beta"),
    ("iwae", {"free_bits": 0.1}, "--free-bits"),
    (
        "ddpm",
        {"sampling_steps": 1001},
        "1001 exceeds the 1000 noise levels.*Choose 1 to 1000, or train with more --timesteps",
    ),
    ("ddpm", {"schedule": "straight"}, "ends in pure noise.*--prediction flow, velocity or image"),
    ("ddpm", {"guidance": 3.0}, "--guidance 3 needs a model that is conditioned on the class.*--labels embedding"),
    ("conditional-diffusion", {"label_dropout": 0.0}, "--label-dropout"),
    ("ddpm", {"label_dropout": 0.5}, "--label-dropout 0.5 has no effect.*--labels embedding"),
    ("flow-matching", {"architecture": "mlp", "dropout": 0.1}, "for --architecture unet. Set --dropout 0"),
    ("flow-matching", {"architecture": "mlp", "attention": 8}, "for --architecture unet.*leave --attention out"),
    ("ddpm", {"eta": 0.5}, "--eta 0.5 is only for --sampler ddim, not ancestral. Set --eta 0"),
    ("ddpm", {"sampler": "ddim", "eta": 1.5}, "--eta"),
    ("ddpm", {"sampling_steps": 0}, "--sampling-steps.*0"),
    ("conditional-diffusion", {"guidance": -1.0}, "--guidance.*-1"),
    ("conditional-diffusion", {"guidance_interval": (0.8, 0.2)}, "--guidance-interval 0.8 0.2 is empty"),
    ("conditional-diffusion", {"guidance_interval": (0.2, 1.2)}, "--guidance-interval.*1.2"),
    (
        "conditional-diffusion",
        {"guidance": 1.0, "guidance_interval": (0.2, 0.8)},
        "--guidance-interval 0.2 0.8 has no effect with --guidance 1",
    ),
    ("glow", {"temperature": 0.0}, "--temperature.*0"),
    ("glow", {"temperature": -0.5}, "--temperature.*-0.5"),
]


@pytest.mark.parametrize(("preset", "options", "words"), CLASHES, ids=lambda part: str(part))
def test_parts_that_cannot_go_together(preset: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        resolve(preset, options)


def test_an_option_of_another_family_is_explained() -> None:
    with pytest.raises(
        UsageError, match=r'dcgan has no option "kl_cycles"\. It is an option of vae presets, such as'
    ):
        resolve("dcgan", {"kl_cycles": 4})


@pytest.mark.parametrize(
    "preset", ["cgan", "projection-gan", "biggan", "acgan", "conditional-vae", "conditional-diffusion"]
)
def test_labels_asked_of_data_without_any(preset: str, tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "data.npz", images=np.zeros((20, 16, 16), np.uint8))
    with pytest.raises(UsageError, match="needs labelled data, but these have no labels"):
        genlab.train(preset, quiet=True, data=tmp_path / "data.npz", size=16, steps=1, root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("preset", "options", "words"),
    [
        ("dcgan", {"attention": 7}, "7"),
        ("gan", {"attention": 8}, "mlp"),
        ("gan", {"discriminator_norm": "instance"}, "mlp"),
        ("gan", {"generator_labels": "batch-norm", "discriminator_labels": "concat"}, "none, concat"),
        ("sngan", {"size": 24}, "16, 32, 48"),
        ("dcgan", {"size": 48}, "16, 32, 64"),
        ("dcgan", {"depth": 3}, "--depth is for --architecture mlp"),
        ("glow", {"size": 12, "levels": 3}, "2 times. Set --levels to at most 2, or --size to a multiple of 8"),
        ("glow", {"size": 15}, "15×15 cannot be halved. Set --size to a multiple of 8"),
        ("spline-flow", {"size": 64}, "of up to 1,024 numbers; these pictures have 4,096. Use glow or realnvp"),
        ("spline-flow", {"size": 16, "levels": 2}, "--levels is for --architecture glow or realnvp"),
        ("ddpm", {"depth": 3}, "--depth is for --architecture mlp"),
        ("ddpm", {"attention": 5}, "Choices: 4, 8, 16, 32"),
        ("ddpm", {"size": 27}, "27×27. Set --size to an even number"),
        ("ddpm", {"architecture": "mlp", "dropout": 0.5}, "--dropout are for --architecture unet"),
        ("ddpm", {"data": "ring8"}, "these data are points. Set --architecture mlp"),
        ("glow", {"data": "ring8"}, "these data are points. Set --architecture spline"),
        (
            "cosine-diffusion",
            {"data": "ring8", "architecture": "mlp"},
            "Set --prediction velocity, or --schedule linear",
        ),
    ],
)
def test_parts_that_a_network_does_not_have(
    preset: str, options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        genlab.train(preset, quiet=True, **{"data": "digits", **options}, steps=1, root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_pack_must_divide_what_each_process_has() -> None:
    spec = DataSpec(Images(1, 16, 16))
    PRESETS["pacgan"].refuse(spec, 2)
    with pytest.raises(UsageError, match="--pack 2 does not divide the 1 images that go through"):
        PRESETS["pacgan"].refuse(spec, 64)


@pytest.mark.parametrize("preset", PRESETS)
def test_no_preset_refuses_itself(preset: str) -> None:
    PRESETS[preset].refuse()
    PRESETS[preset].refuse(reading.opened(PRESETS[preset]).train.spec, processes=1)


@pytest.mark.parametrize(
    ("schedule", "timesteps", "words"), [("cosine", 1000, "at 20,"), ("linear", 10, "--timesteps 10 ends")]
)
def test_points_are_not_looked_for_where_noise_has_drowned_them(schedule: Any, timesteps: int, words: str) -> None:
    recipe = DiffusionRecipe(architecture="mlp", width=4, schedule=schedule, timesteps=timesteps)
    with pytest.raises(
        UsageError, match=f"{words}.*--prediction velocity, or --schedule linear, --timesteps 1000"
    ):
        recipe.model(DataSpec(Points(2)))
    replace(recipe, schedule="linear", timesteps=1000).model(DataSpec(Points(2)))
    recipe.model(DataSpec(Images(1, 4, 4)))
