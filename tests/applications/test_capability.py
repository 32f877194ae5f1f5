"""The presets that an error suggests are those that the command takes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from genlab.applications.augment import drawing_classes
from genlab.applications.augment_filter import filter_of
from genlab.applications.capability import need, spec_for
from genlab.applications.denoise import ByModel
from genlab.applications.sample import able
from genlab.applications.scores import chosen
from genlab.applications.spaces import find_space
from genlab.applications.stylize import stylizing
from genlab.core.column import Column
from genlab.core.contract import Reconstructs
from genlab.core.errors import GenlabError
from genlab.core.modality import Classes, DataSpec, Images
from genlab.core.table import Table
from genlab.recipes.presets import PRESETS, TABLES

PICTURES = Images(1, 32, 32)
LABELLED = {"conditional-vae", "cgan", "acgan", "projection-gan", "biggan", "conditional-diffusion"}
SPLIT: Any = SimpleNamespace(spec=DataSpec(PICTURES, {}))
SOURCE: Any = SimpleNamespace(train=SPLIT)
SEVEN = {"label": torch.tensor([7])}

ASKS: Mapping[str, tuple[Callable[[nn.Module], object], str]] = {
    "sample": (lambda model: able(model, {}), "autoencoder"),
    "sample --label": (lambda model: able(model, SEVEN), "dcgan"),
    "denoise": (lambda model: ByModel(model, (32, 32)), "dcgan"),
    "denoise --draw": (lambda model: ByModel(model, (32, 32), seed=0), "dncnn"),
    "score --by discriminator": (lambda model: chosen(model, PICTURES, ["discriminator"]), "vae"),
    "score --by likelihood": (lambda model: chosen(model, PICTURES, ["likelihood"]), "dcgan"),
    "map": (lambda model: find_space(model, PICTURES, "discriminator", "", "genlab map"), "vae"),
    "augment": (lambda model: drawing_classes(model, SPLIT), "autoencoder"),
    "augment by translation": (lambda model: drawing_classes(model, SPLIT), "pix2pix"),
    "augment without labels": (lambda model: drawing_classes(model, SPLIT), "dcgan"),
    "augment --filter": (lambda model: filter_of("discriminator", 0.5, model, SOURCE), "conditional-vae"),
    "stylize": (stylizing, "pix2pix"),
}


def model_of(preset: str) -> nn.Module:
    recipe = replace(PRESETS[preset], width=1)
    return recipe.model(spec_for(recipe, PICTURES, Classes(("0", "1")))).eval()


def suggested(ask: Callable[[], object]) -> list[str]:
    with pytest.raises(GenlabError) as caught:
        ask()
    found = re.search(r"Try: ([^.]+)\.", str(caught.value))
    assert found, caught.value
    return found[1].split(", ")


@pytest.mark.parametrize("name", ASKS)
def test_a_command_takes_every_preset_that_it_suggests_for_pictures(name: str) -> None:
    ask, preset = ASKS[name]
    found = suggested(lambda: ask(model_of(preset)))
    for other in found:
        ask(model_of(other))
        assert other not in TABLES
        assert PRESETS[other].reads == ("styles" if name == "stylize" else "examples")


def test_presets_with_labels_need_a_source_only_if_the_model_does() -> None:
    assert set(suggested(lambda: able(model_of("dcgan"), SEVEN))) == LABELLED
    assert suggested(lambda: able(model_of("pix2pix"), SEVEN)) == ["stargan"]
    assert set(suggested(lambda: drawing_classes(model_of("pix2pix"), SPLIT))) == LABELLED


def test_a_discriminator_that_compares_examples_is_not_suggested() -> None:
    by_score = suggested(lambda: chosen(model_of("vae"), PICTURES, ["discriminator"]))
    assert {"dcgan", "cgan"} <= set(by_score)
    assert not {"pacgan", "minibatch-gan"} & set(by_score)
    in_space = suggested(lambda: find_space(model_of("vae"), PICTURES, "discriminator", "", "genlab map"))
    assert "dcgan" in in_space
    assert not {"cgan", "pacgan"} & set(in_space)


def test_presets_for_tables_are_suggested_for_tables_only() -> None:
    model = nn.Module()
    model.modality = Table((Column("a"), Column("b")))  # type: ignore[assignment]
    assert suggested(lambda: need(model, Reconstructs, "this")) == ["table-autoencoder", "table-vae"]
    model.modality = PICTURES  # type: ignore[assignment]
    assert not set(suggested(lambda: need(model, Reconstructs, "this"))) & set(TABLES)
