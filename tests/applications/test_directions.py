from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from genlab.applications.directions import closed_form, directions, principal, read_direction, strips
from genlab.applications.rows import rows
from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec, Images
from genlab.families.style_gan import StyleGAN
from genlab.recipes.presets import PRESETS

STYLE = 6


@cache
def model() -> StyleGAN:
    recipe = replace(PRESETS["stylegan2"], width=4, latent=STYLE, mapping_layers=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = recipe.model(DataSpec(Images(1, 8, 8), {})).eval()
    assert isinstance(made, StyleGAN)
    return made.requires_grad_(False)


def test_principal_directions_are_those_of_most_variance() -> None:
    axes = torch.linalg.qr(torch.randn(STYLE, STYLE, generator=torch.Generator().manual_seed(0))).Q
    deviations = torch.tensor([5.0, 3.0, 1.0, 0.5, 0.2, 0.1])
    styles = torch.randn(20_000, STYLE, generator=torch.Generator().manual_seed(1)) * deviations @ axes.T
    found = principal(model(), styles)
    assert ((found * axes.T).sum(1).abs() > 0.99).all()


def test_the_closed_form_directions_change_the_layers_most_first() -> None:
    weights = torch.nn.functional.normalize(model().style_weights())
    found = closed_form(model(), torch.zeros(2, STYLE))
    effects = (weights @ found.T).norm(dim=0)
    torch.testing.assert_close(found @ found.T, torch.eye(STYLE), atol=1e-4, rtol=0)
    assert (effects.diff() <= 1e-5).all()
    others = torch.nn.functional.normalize(torch.randn(50, STYLE, generator=torch.Generator().manual_seed(0)))
    assert (weights @ others.T).norm(dim=0).max() <= effects[0] + 1e-5


def test_directions_are_as_long_as_the_deviation_along_them_and_principal_ones_hold_most_of_it() -> None:
    found = directions(model(), 2)
    assert [name for name in found.names if name.endswith("1")] == ["ganspace-1", "sefa-1", "random-1"]
    lengths = found.vectors.norm(dim=1).square()
    torch.testing.assert_close(torch.tensor(found.shares), lengths / (lengths[0] / found.shares[0]))
    assert found.shares[0] >= max(found.shares[1:])
    moved = strips(model(), found, 0, (-1.0, 0.0, 1.0))
    assert moved.shape == (6, 3, 1, 8, 8)
    assert torch.equal(moved[0, 1], moved[5, 1])
    assert (moved[:, 0] - moved[:, 2]).abs().amax((1, 2, 3)).min() > 1e-3


def test_a_direction_of_a_file_is_read_by_its_name(tmp_path: Path) -> None:
    table = tmp_path / "found.npz"
    with rows(table, ["w0", "w1"], {}) as written:
        written.add(["ganspace-1", "sefa-1"], [None, None], np.array([[1, 2], [3, 4]], np.float32))
        written.finish()
    found = read_direction(f"{table}:sefa-1")
    assert found is not None
    assert found.tolist() == [3, 4]
    assert read_direction("smiling/") is None
    assert read_direction("7") is None
    with pytest.raises(UsageError, match=r'no direction "sefa-2".*sefa-1'):
        read_direction(f"{table}:sefa-2")
