"""Scores depend on the example alone, and on the normal ones it is compared with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import genlab
from genlab.applications.normals import Calibrated, _calibrated, _combined
from genlab.applications.scores import BASELINES, Tools, chosen, components, embedded, neighbours
from genlab.core.contract import DiscriminatorOutput
from genlab.core.errors import GenlabError, UsageError
from genlab.core.modality import Classes, Images, Points
from genlab.metrics.extractors.pixels import pixels

DRAWS = np.random.default_rng(0)
NORMAL = DRAWS.normal(size=(200, 4)).astype(np.float32)
CPU = torch.device("cpu")


@pytest.mark.parametrize("fit", [neighbours, components])
def test_what_lies_far_away_is_farther_from_normal_examples(fit: object) -> None:
    distance = fit(NORMAL)  # type: ignore[operator]
    near, far = distance(NORMAL[:50] + 0.01), distance(NORMAL[:50] + np.float32([8, -8, 8, -8]))
    assert near.shape == (50,)
    assert near.max() < far.min()


def test_the_combined_score_grows_with_each_part_whatever_its_unit() -> None:
    none = np.zeros((0, 1), np.float32)
    errors = np.exp(DRAWS.normal(size=(200, 1))).astype(np.float32)
    vectors = {"reconstruction": errors, "latent": NORMAL, "features": NORMAL * 7}
    whole = _combined({name: _calibrated(name, x, none) for name, x in vectors.items()})
    other = _combined({name: _calibrated(name, 50 * x, none) for name, x in vectors.items()})
    usual = whole.score(vectors)
    assert whole.normal.mean() == pytest.approx(0, abs=1e-3)
    assert np.allclose(other.score({name: 50 * x for name, x in vectors.items()}), usual, atol=1e-2)
    for name, x in vectors.items():
        assert (whole.score({**vectors, name: 30 + 30 * x}) > usual).mean() > 0.9
    single = _combined({name: _calibrated(name, x[:1], none) for name, x in vectors.items()})
    assert np.isfinite(single.score(vectors)).all()


def test_thresholds_leave_the_rest_of_normal_examples_above() -> None:
    found = Calibrated(lambda vectors: vectors["pca"][:, 0], np.arange(1000, dtype=np.float32))
    limit = found.threshold(0.99)
    assert (found.normal > limit).mean() == pytest.approx(0.01, abs=0.001)


def test_normal_examples_are_scored_without_themselves() -> None:
    found = _calibrated("features", NORMAL, np.zeros((0, 1), np.float32))
    alone = np.sort(np.linalg.norm(NORMAL[:, None] - NORMAL, axis=2), 1)[:, 5]  # the first is the example itself
    assert np.corrcoef(found.normal, alone)[0, 1] > 0.9
    assert (found.normal >= alone - 1e-3).all()
    single = _calibrated("features", NORMAL[:1], np.zeros((0, 1), np.float32))
    assert single.threshold(0.99) is None
    assert single.score({"features": NORMAL[1:2]}) == pytest.approx(
        np.linalg.norm(NORMAL[1] - NORMAL[0]), rel=1e-5
    )


@pytest.mark.parametrize("preset", ["conditional-vae", "realnvp", "ddpm"])
def test_a_score_depends_on_the_example_alone(preset: str, tmp_path: Path) -> None:
    points = {"data": "ring8", "architecture": "mlp", "dropout": 0.0, "attention": None}
    data: dict[str, Any] = points if preset == "ddpm" else {"data": "digits", "size": 16}
    run = genlab.train(preset, **data, width=4, steps=1, quiet=True, root=tmp_path)
    split = genlab.data(data["data"], size=data.get("size")).source.train
    model, x = genlab.load(run), split.batch(np.arange(6)).x
    names = chosen(model, split.spec.target, None)
    tools = Tools(model, pixels(CPU))
    together = embedded(names, tools, x)
    assert "combined" not in together
    for name, vectors in embedded(names, tools, x[3:4]).items():
        assert np.allclose(together[name][3], vectors[0], rtol=1e-3, atol=1e-3), name


class Packed(torch.nn.Module):
    """Discriminates pairs of examples."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def discriminate(self, x: torch.Tensor, condition: dict[str, torch.Tensor]) -> DiscriminatorOutput:
        pairs = x.reshape(-1, 2 * x[0].numel())
        return DiscriminatorOutput(pairs.mean(1), pairs)


class Beside(Packed):
    """Compares each example with the rest of the batch."""

    def discriminate(self, x: torch.Tensor, condition: dict[str, torch.Tensor]) -> DiscriminatorOutput:
        return DiscriminatorOutput((x - x.mean(0)).flatten(1).abs().mean(1), x.flatten(1))


@pytest.mark.parametrize("model", [Packed(), Beside()])
def test_a_discriminator_of_several_examples_gives_no_score(model: torch.nn.Module) -> None:
    assert chosen(model, Images(1, 4, 4), None) == ["features"]
    with pytest.raises(GenlabError, match="judges examples one by one"):
        chosen(model, Images(1, 4, 4), ["discriminator"])


class Conditional(torch.nn.Module):
    """Discriminates two classes: the first are bright, the second dark."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.conditions = {"label": Classes(("bright", "dark"))}

    def discriminate(self, x: torch.Tensor, condition: dict[str, torch.Tensor]) -> DiscriminatorOutput:
        means = x.flatten(1).mean(1)
        return DiscriminatorOutput(torch.where(condition["label"] == 0, means, -means), x.flatten(1))


def test_a_discriminator_of_classes_is_asked_for_the_one_that_suits_best() -> None:
    x = torch.tensor([0.9, -0.8, 0.0]).view(3, 1, 1, 1).expand(3, 1, 4, 4)
    made = embedded(["discriminator"], Tools(Conditional(), pixels(CPU)), x)["discriminator"]
    assert np.allclose(made[:, 0], [-0.9, -0.8, 0])


def test_baselines_are_always_beside_the_scores_of_the_model() -> None:
    model = Conditional()
    assert chosen(model, Images(1, 4, 4), None) == ["discriminator", "features"]
    assert chosen(model, Points(2), ["pca"]) == ["pca", "features", "isolation-forest"]
    assert set(BASELINES) == {"features", "pca", "isolation-forest"}


def test_a_score_that_the_model_lacks_names_presets_and_an_unknown_one_the_choices() -> None:
    with pytest.raises(GenlabError, match=r"--by reconstruction needs a model that can reconstruct.*autoencoder"):
        chosen(Conditional(), Images(1, 4, 4), ["reconstruction"])
    with pytest.raises(UsageError, match='Did you mean "latent"'):
        chosen(Conditional(), Images(1, 4, 4), ["latents"])
