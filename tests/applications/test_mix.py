from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

import genlab
from genlab.applications.interpolate import ends_of, interpolate
from genlab.applications.mix import GROUPS, groups_of, mix
from genlab.applications.sample import sample
from genlab.core.errors import UsageError
from genlab.core.modality import Classes, DataSpec, Images
from genlab.families.style_gan import StyleGAN
from genlab.recipes.presets import PRESETS
from genlab.verbs.mixing import grid_of

CLOSE = {"atol": 1e-5, "rtol": 0.0}


@cache
def model() -> StyleGAN:
    recipe = replace(
        PRESETS["stylegan2"],
        width=4,
        latent=6,
        mapping_layers=1,
        generator_labels="concat",
        discriminator_labels="projection",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = recipe.model(DataSpec(Images(1, 16, 16), {"label": Classes(("a", "b"))})).eval()
    assert isinstance(made, StyleGAN)
    return made.requires_grad_(False)


@pytest.mark.parametrize("layers", [4, 6, 10, 18])
def test_every_layer_is_in_one_group(layers: int) -> None:
    groups = groups_of(layers)
    assert tuple(groups) == GROUPS
    assert [layer for its in groups.values() for layer in its] == list(range(layers))


def test_the_sources_are_the_first_samples_and_a_mixture_has_some_layers_of_the_row() -> None:
    made = model()
    grid = mix(made, 2, 3, seed=5)
    first = sample(made, 5, 5)
    torch.testing.assert_close(torch.cat([grid.columns, grid.rows]), first, **CLOSE)
    assert {name: images.shape for name, images in grid.mixed.items()} == dict.fromkeys(GROUPS, (2, 3, 1, 16, 16))
    latents = made.prior(1, torch.Generator().manual_seed(0)).expand(2, -1)
    assert made.styles(latents).shape == (2, 6, 6)
    for images in grid.mixed.values():
        assert (images - grid.columns).abs().amax((2, 3, 4)).min() > 1e-4
        assert (images - grid.rows[:, None]).abs().amax((2, 3, 4)).min() > 1e-4
    height, width = grid.picture.shape[:2]
    assert height > 7 * 32
    assert width == 4 * 34 - 2


def test_with_one_label_for_all_only_styles_differ() -> None:
    labels = {"label": torch.tensor([1, 0, 1, 0])}
    by_label = mix(model(), 1, 3, 0, labels)
    torch.testing.assert_close(
        torch.cat([by_label.columns, by_label.rows]), sample(model(), 4, 0, labels), **CLOSE
    )


@pytest.mark.parametrize("words", ["3", "0x2", "3x", "axb", "-1x2"])
def test_a_grid_is_rows_and_columns(words: str) -> None:
    assert grid_of(" 3 x 5") == (3, 5)
    with pytest.raises(UsageError, match="ROWSxCOLUMNS"):
        grid_of(words)


def test_models_with_styles_interpolate_between_styles() -> None:
    made = model()
    ends = ends_of(made, 2, 0)
    (path,) = interpolate(made, ends, 3)
    styles = made.styles(ends.latents, ends.condition)
    torch.testing.assert_close(path[[0, 2]], made.synthesize(styles), **CLOSE)
    torch.testing.assert_close(path[1:2], made.synthesize(styles.mean(0, keepdim=True)), **CLOSE)


def test_a_run_is_sampled_with_truncation_noise_and_mixed_styles(tmp_path: Path) -> None:
    options = {"width": 4, "latent": 6, "mapping_layers": 1, "size": 16, "batch_size": 8, "steps": 2}
    run = genlab.train("stylegan2", data="digits", quiet=True, root=tmp_path, extractor="pixels", **options)
    assert "pixels / 8 images = 0.0064" in (run.folder / "events.jsonl").read_text("utf-8")
    mean = genlab.sample(run, number=2, truncation=0.0).samples  # type: ignore[union-attr]
    assert mean is not None
    torch.testing.assert_close(mean[0], mean[1])
    drawn = genlab.sample(run, mix="1x2", truncation=0.5, noise="off")
    assert drawn.path.name.startswith("000002-1x2-seed-0")
    assert drawn.path.is_file()
    with pytest.raises(UsageError, match=r"must be a \.png"):
        genlab.sample(run, mix="1x2", out=tmp_path / "folder")
    with pytest.raises(UsageError, match="one of fixed, fresh, off"):
        genlab.sample(run, noise="loud")
    found = genlab.directions(run, number=1, seed=1)
    assert found.path.is_file()
    assert found.picture_path.is_file()
    pictures = torch.rand(1, 1, 16, 16) * 2 - 1
    towards = f"{found.path}:ganspace-1"
    edited = genlab.edit(run, pictures, towards=towards, space="w+", steps=2, starts=1)
    assert edited.frames.shape[:2] == (1, 4)
    with pytest.raises(UsageError, match="Add --space w"):
        genlab.edit(run, pictures, towards=towards, steps=2, starts=1)
    projected = genlab.project(run, pictures, space="w", steps=2, starts=1)
    assert projected.table.columns[0] == "w0"
    assert genlab.decode(run, projected.path).examples is not None
