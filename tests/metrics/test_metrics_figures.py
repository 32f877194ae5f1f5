"""Paths, bits, classes, and the names that figures have."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from genlab.core.errors import GenlabError
from genlab.metrics.extractors.extractor import Extractor, ExtractorOutput
from genlab.metrics.feature_statistics import FeatureStatistics
from genlab.metrics.figures import Figure, significantly_different
from genlab.metrics.frechet import moments
from genlab.metrics.likelihood import bits_per_dimension
from genlab.metrics.path_length import path_length
from genlab.metrics.sets import classes_reached, compare
from genlab.objectives.diffusion import pixel_cost

NEIGHBOURS = ("precision", "recall", "density", "coverage")


def statistics(rows: int, seed: int, classes: int | None = None) -> FeatureStatistics:
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, 4, generator=random)
    probabilities = torch.randn(rows, classes, generator=random).softmax(1) if classes else None
    return FeatureStatistics(moments(features), features, probabilities)


def extractor(name: str, precision: str = "float32") -> Extractor:
    return Extractor(name, lambda images: ExtractorOutput(images.flatten(1)), "abc", precision=precision)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "precision", "fd", "kd", "score"),
    [
        ("inception", "float32", "fid", "kid", "inception_score"),
        ("efficientnet-lite0", "float16", *(f"{n}[efficientnet-lite0]" for n in ("fd", "kd", "score"))),
        ("pixels", "float32", "fd[pixels]", "kd[pixels]", "score[pixels]"),
    ],
)
def test_only_the_defining_network_gives_published_names(
    name: str, precision: str, fd: str, kd: str, score: str
) -> None:
    figures = compare(statistics(60, 0, 3), statistics(50, 1, 3), extractor(name, precision), {"seed": 7})
    names = [figure.name for figure in figures]
    assert names[:3] == [fd, kd, score]
    assert names[3:] == [f"{n}[{name}]" for n in NEIGHBOURS]
    for figure in figures:
        assert figure.protocol["real"] == 60
        assert figure.protocol["fake"] == 50
        assert figure.protocol["seed"] == 7
        assert figure.protocol["weights"] == "abc"
        assert (figure.protocol.get("probabilities") == "softmax of the logits") is (figure.name == score)


def test_generated_images_that_were_resized_give_no_fid() -> None:
    figures = compare(statistics(60, 0, 3), statistics(50, 1, 3), extractor("inception"), {}, as_made=False)
    assert [figure.name for figure in figures[:3]] == ["fd[inception]", "kd[inception]", "score[inception]"]


def test_each_figure_says_how_many_images_count_in_it() -> None:
    real, fake = (replace(statistics(60, seed), whole=statistics(90, seed).whole) for seed in (0, 1))
    counts = {figure.name: figure.protocol["fake"] for figure in compare(real, fake, extractor("x"), {})}
    assert counts == {"fd[x]": 90, **dict.fromkeys((f"{n}[x]" for n in NEIGHBOURS), 60), "kd[x]": 60}


def test_what_cannot_be_said_of_few_images_is_left_out() -> None:
    names = [figure.name for figure in compare(statistics(4, 0, 3), statistics(5, 1, 3), extractor("x"), {})]
    assert names == ["fd[x]", "kd[x]"]


def test_the_path_length_of_a_linear_generator() -> None:
    """With orthogonal ends of equal norm r, z moves at the angle's speed: ‖dz/dt‖ = r π/2, and f(G(z)) = 3z."""
    starts, ends = torch.tensor([[2.0, 0.0]] * 5), torch.tensor([[0.0, 2.0]] * 5)
    places = torch.linspace(0, 1, 5)
    estimate = path_length(lambda z: 3 * z.double(), starts, ends, places)
    assert estimate.value == pytest.approx((3 * 2 * math.pi / 2) ** 2, rel=1e-2)
    assert estimate.error == pytest.approx(0, abs=1)


def test_a_constant_generator_has_no_path() -> None:
    def constant(latents: Tensor) -> Tensor:
        return torch.ones(len(latents), 3)

    assert path_length(constant, torch.randn(4, 2), torch.randn(4, 2), torch.rand(4)).value == 0
    with pytest.raises(GenlabError, match="2 paths or more, not 1"):
        path_length(constant, torch.randn(1, 2), torch.randn(1, 2), torch.rand(1))


def test_bits_of_uniform_pixels() -> None:
    """Uniform over 256 levels: 8 bits. As a density it is constant on 256 intervals of 2/255."""
    assert bits_per_dimension(10 * math.log(256), 10) == pytest.approx(8)
    assert bits_per_dimension(10 * math.log(256 * 2 / 255), 10, levels=256) == pytest.approx(8)


def test_a_density_of_one_gives_a_byte_the_distance_to_its_neighbour() -> None:
    assert bits_per_dimension(0.0, 1, levels=256) == pytest.approx(-math.log2(2 / 255))
    assert bits_per_dimension(0.0, 1, levels=256) == pytest.approx(6.99435, abs=1e-5)


def test_a_byte_costs_the_same_by_a_narrow_density_and_by_its_interval() -> None:
    """A Gaussian that is wide compared with a byte: its mass on each interval is its density times the length."""
    images, predicted = torch.tensor([[[[0.2]]]]), torch.tensor([[[[0.5]]]])
    interval = pixel_cost(0.5, images, predicted).item()
    density = -torch.distributions.Normal(predicted, 0.5).log_prob(images).item()
    assert bits_per_dimension(interval, 1) == pytest.approx(bits_per_dimension(density, 1, levels=256), abs=1e-5)


def test_classes_that_are_reached() -> None:
    real = torch.eye(4).repeat(5, 1)
    assert classes_reached(real, real) == pytest.approx((4, 0))
    assert classes_reached(real, torch.eye(4)[:1]) == pytest.approx((1, math.log(4)))
    uneven = torch.cat([torch.eye(2)[:1].repeat(3, 1), torch.eye(2)[1:]])
    assert classes_reached(uneven, uneven) == pytest.approx((2, 0))
    with pytest.raises(GenlabError, match="no real image"):
        classes_reached(torch.eye(4)[:2], real)


def test_figures_are_plain_values_without_nan() -> None:
    values = Figure("x", float("nan"), float("inf"), protocol={"real": 3}).values()
    assert (values["value"], values["error"]) == (None, None)
    assert values["protocol"] == {"real": 3}


@pytest.mark.parametrize(("other", "expected"), [(1.5, False), (1.7, False), (2.3, True)])
def test_a_difference_beyond_chance(other: float, expected: bool) -> None:
    assert significantly_different(Figure("x", 1.0, 0.3), Figure("x", other, 0.4)) is expected
    assert significantly_different(Figure("x", 1.0), Figure("x", other, 0.4)) is None
