"""The contract, for every preset: whatever is added to the table is held to it without a line here."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fast
import genlab
import reading
from genlab.core.batch import Batch
from genlab.core.condition import SOURCE_LABEL
from genlab.core.contract import (
    CAPABILITIES,
    BoundsLikelihood,
    Corrupts,
    Decodes,
    Denoises,
    Discriminates,
    DrawsDenoised,
    Encodes,
    HasPrior,
    HasStyles,
    Inpaints,
    Reconstructs,
    Repaints,
    Resamples,
    Restores,
    Samples,
    SamplesInSteps,
    SetsStatistics,
    SplitsBound,
    Stylizes,
    Training,
    TranslatesBack,
    capabilities,
    restores_whole,
)
from genlab.core.errors import UsageError
from genlab.core.known import Reduced
from genlab.core.modality import Images, Modality
from genlab.core.random import Randomness, derive_seed, restart_stream
from genlab.core.signals import signal as row_of
from genlab.data.dataset import Split
from genlab.data.loader import Loader
from genlab.data.source import open_source
from genlab.families.gan import GANTraining
from genlab.recipes.adversarial_restoration import AdversarialRestorationRecipe
from genlab.recipes.autoencoder import AutoencoderRecipe
from genlab.recipes.diffusion import DiffusionRecipe
from genlab.recipes.flow import FlowRecipe
from genlab.recipes.gan import GANRecipe
from genlab.recipes.presets import PRESETS
from genlab.recipes.recipe import LatentRecipe, Recipe
from genlab.recipes.translation import TranslationRecipe
from genlab.runs import callbacks, phases, train
from genlab.training.average import Average
from genlab.training.evaluation import evaluate, evaluate_on
from genlab.training.held_out import HeldOut
from genlab.training.inference import inference_mode
from genlab.training.run_folder import RunFolder

LATENT = 6
ANY_SIZE = ("mlp",)  # architectures that also take points
DRAWS_NOTHING = (
    "pix2pix",
    "cyclegan",
    "style-transfer",
    "restoration",
    "adversarial-restoration",
)  # families; a pool of images is empty at first
DIFFERENCES = (
    "wasserstein",
    "hinge",
    "relativistic",
    "relativistic-average",
)  # losses in which a constant of the scores cancels
LAST_BIASES = ("discriminator.head.bias", "discriminator.score.bias")
every_preset = pytest.mark.parametrize("preset", PRESETS)
LEARNERS = fast.presets(  # one for each mechanism
    {
        "denoising-autoencoder",
        "conv-vae",  # a bound on the likelihood
        "iwae",  # several draws of the latents
        "gan",  # on points
        "dcgan",
        "wgan-gp",  # a penalty, several steps of the discriminator
        "glow",  # an exact likelihood, couplings
        "spline-flow",  # splines
        "ddpm",  # predicts the noise
        "flow-matching",  # predicts the velocity of a straight path
        "pix2pix",  # translates
    }
)


def reduced(preset: str) -> dict[str, Any]:
    """Return the options by which a preset becomes small enough to be tried, on images of 16 pixels."""
    recipe = PRESETS[preset]
    changes: dict[str, Any] = {"width": 32 if recipe.architecture in ANY_SIZE else 8, "batch_size": 16}
    if isinstance(recipe, LatentRecipe):
        changes["latent"] = LATENT
    if isinstance(recipe, GANRecipe) and recipe.attention:
        changes["attention"] = 8
    if isinstance(recipe, DiffusionRecipe):
        changes |= {"timesteps": 20, "sampling_steps": 5}
        changes |= {"attention": 8} if recipe.architecture == "unet" else {}
    if isinstance(recipe, FlowRecipe):
        changes["flow_steps"] = 2
    if isinstance(recipe, TranslationRecipe):
        changes |= {"batch_size": 4, **reading.fitting(recipe)}
    if isinstance(recipe, AdversarialRestorationRecipe):
        changes |= {"discriminator_width": 8, **reading.fitting(recipe)}
    return changes


def small(preset: str, **changes: Any) -> Recipe:
    return replace(PRESETS[preset], **{**reduced(preset), **changes})


def noiseless(recipe: Recipe) -> bool:
    """Whether a step of this recipe draws nothing."""
    plain = isinstance(recipe, AutoencoderRecipe) and recipe.corruption == "none" and not recipe.rounding
    return plain or recipe.family in DRAWS_NOTHING


def digits(preset: str) -> Split:
    """Return what a preset is trained on."""
    return reading.opened(PRESETS[preset]).train


def colours(preset: str) -> Split:
    """Return digits whose channels differ, so that mixing them up shows."""
    return reading.as_read(PRESETS[preset], reading.coloured(range(200)))


def batches(dataset: Split, recipe: Recipe, seed: int = 0) -> Iterator[Batch]:
    position = 0
    while True:
        index = np.arange(position, position + recipe.batch_size) % len(dataset)
        yield dataset.batch(index)
        position += recipe.batch_size


def trained(preset: str, dataset: Split, steps: int, seed: int = 0) -> Training:
    recipe = small(preset)
    training = phases.build(recipe, dataset.spec, Randomness(seed))
    stream = batches(dataset, recipe)
    for step in range(steps):
        restart_stream(derive_seed(seed, "layers", step), torch.device("cpu"))  # as `fit` does
        training.step(step, stream)
    return training


@pytest.fixture(scope="module")
def three_steps() -> Callable[[str], Training]:
    """Return the training of a preset after three steps. Tests share it and do not change it."""
    return cache(lambda preset: trained(preset, digits(preset), 3))


class Spy:
    """Watches every optimizer step of a training: gradients before it, and the other players around it."""

    def __init__(self, training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
        self.named = dict(training.model.named_parameters())
        self.gradients: dict[str, Tensor] = {}
        self.order: list[str] = []
        self.left = self._state(self.named)
        self.start = {name: parameter.detach().clone() for name, parameter in self.named.items()}
        for name, optimizer in training.optimizers.items():
            monkeypatch.setattr(optimizer, "step", self._watched(name, optimizer))
        if isinstance(training, GANTraining):  # a player may be changed after its own step, by clipping
            for player in (training.discriminator, training.generator):
                player.after_step = [*player.after_step, self._look]

    def _look(self, *_: object) -> None:
        self.left = self._state(self.named)

    def _watched(self, player: str, optimizer: torch.optim.Optimizer) -> Callable[[], None]:
        mine = {id(p) for group in optimizer.param_groups for p in group["params"]}
        own = {name for name, p in self.named.items() if id(p) in mine}
        others = {name: p for name, p in self.named.items() if name not in own}
        real_step = optimizer.step

        def step() -> None:
            self.order.append(player)
            for name in own:
                gradient = self.named[name].grad
                assert gradient is not None, f"{name} gets no gradient"
                self.gradients[name] = gradient.clone()
            self._assert_as_left(others, f"the backward pass of the {player}")
            real_step()
            self._assert_as_left(others, f"the step of the {player}")
            self._look()

        return step

    def _assert_as_left(self, others: Mapping[str, nn.Parameter], when: str) -> None:
        for name, now in self._state(others).items():
            for kind, before, after in zip(("weights", "gradient"), self.left[name], now, strict=True):
                same = after is None if before is None else after is not None and torch.equal(before, after)
                assert same, f"{when} changed the {kind} of {name}"

    @staticmethod
    def _state(named: Mapping[str, nn.Parameter]) -> dict[str, tuple[Tensor, Tensor | None]]:
        return {n: (p.detach().clone(), None if p.grad is None else p.grad.clone()) for n, p in named.items()}


@every_preset
def test_one_step_gives_every_weight_a_finite_gradient_and_leaves_other_players_alone(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, data = small(preset), digits(preset)
    training = phases.build(recipe, data.spec, Randomness(0))
    spy = Spy(training, monkeypatch)
    stream = batches(data, recipe)
    for step in range(3):  # what ends a branch of a U-Net starts at 0, so that what is before it has to wait
        signals = training.step(step, stream)
    assert spy.gradients.keys() == {name for name, p in training.model.named_parameters() if p.requires_grad}
    for name, parameter in spy.named.items():
        assert torch.isfinite(spy.gradients[name]).all(), name
        if preset == "progressive-gan" and ".images.8." in name:
            continue  # the newest layers have faded in, so that those before them have no part
        if name in LAST_BIASES and getattr(recipe, "loss", None) in DIFFERENCES:
            continue
        assert spy.gradients[name].abs().max() > 0, name
        assert not torch.equal(parameter, spy.start[name]), f"{name} does not move"
    assert set(spy.order) == training.optimizers.keys()
    assert all(p.requires_grad for p in training.model.parameters()), "a player was left frozen"
    for name, signal in signals.items():
        assert row_of(f"{name}[0]" if signal.ndim else name).meaning, f"{name} is not explained"
        assert signal.ndim <= 1, name
        assert not signal.requires_grad, name
        assert torch.isfinite(signal).all(), name


@every_preset
def test_every_weight_belongs_to_one_optimizer_under_a_name_of_its_own(
    preset: str, three_steps: Callable[[str], Training]
) -> None:
    training = three_steps(preset)
    groups = [group for optimizer in training.optimizers.values() for group in optimizer.param_groups]
    owned = [p for group in groups for p in group["params"]]
    names = [name for group in groups for name in group["param_names"]]
    assert len(owned) == len({id(p) for p in owned}) == len(set(names))
    assert {id(p) for p in owned} == {id(p) for p in training.model.parameters()}
    for player, optimizer in training.optimizers.items():
        assert all(n.startswith(f"{player}.") for group in optimizer.param_groups for n in group["param_names"])


@every_preset
def test_a_seed_is_its_bits(preset: str, three_steps: Callable[[str], Training]) -> None:
    def bits(training: Training) -> list[Tensor]:
        moments = [t for o in training.optimizers.values() for s in o.state.values() for t in s.values()]
        return [*training.model.state_dict().values(), *moments]

    torch.manual_seed(1)
    once = bits(three_steps(preset))
    torch.manual_seed(2)  # whatever the global stream
    again, other = (bits(trained(preset, digits(preset), 3, seed)) for seed in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(once, other, strict=True))


@every_preset
def test_the_noise_of_a_step_depends_on_the_seed_and_the_step(preset: str) -> None:
    """From equal weights and images, only a family without noise moves equally whatever seed and step."""
    recipe, data = small(preset), digits(preset)
    start = phases.build(recipe, data.spec, Randomness(0)).model.state_dict()

    def moved(seed: int, step: int) -> list[Tensor]:
        training = phases.build(recipe, data.spec, Randomness(seed))
        training.model.load_state_dict(start)
        torch.manual_seed(0)  # of dropout; here it is the noise that counts
        training.step(step, batches(data, recipe))
        return list(training.model.parameters())

    def same(a: list[Tensor], b: list[Tensor]) -> bool:
        return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))

    noisy, first = not noiseless(recipe), moved(0, 0)
    assert same(first, moved(0, 0))
    assert same(first, moved(0, 1)) != noisy
    assert same(first, moved(1, 0)) != noisy


def is_image(images: Tensor, count: int, modality: Modality) -> None:
    assert images.shape == (count, *modality.shape)
    assert torch.isfinite(images).all()
    assert -1 <= images.min() <= images.max() <= 1


def _samples(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, Samples)
    given = reading.needed(model, batch[:5])
    once, again, other = (model.sample(5, given, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    is_image(once, 5, modality)
    assert torch.equal(once, again)
    translates = bool(given) and not isinstance(model, SamplesInSteps)  # and so draws nothing
    assert torch.equal(once, other) == translates
    assert not torch.equal(once[0], once[1])
    if isinstance(model, TranslatesBack):
        is_image(model.translate_back(once, batch[:5].condition_for([SOURCE_LABEL])), 5, modality)
    classes = model.conditions["label"].levels if "label" in model.conditions else None
    refused = f"the model knows 0 to {classes - 1}" if classes else 'takes no condition "label"'
    with pytest.raises(UsageError, match=refused):
        model.sample(2, {**reading.needed(model, batch[:2]), "label": torch.tensor([0, classes or 0])})
    if classes:
        sources = reading.needed(model, batch[:3])
        in_turn, chosen = (
            model.sample(3, {**sources, **labels}, torch.Generator().manual_seed(0))
            for labels in ({}, {"label": torch.arange(3)})
        )
        assert torch.equal(in_turn, chosen)


def _encodes(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, Encodes)
    latents = model.encode(batch.x)
    assert latents.shape == (len(batch), getattr(model, "latent", LATENT))
    torch.testing.assert_close(model.encode(batch.x[:1]), latents[:1])


def _decodes(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, Decodes)
    latents = torch.randn(4, getattr(model, "latent", LATENT), generator=torch.Generator().manual_seed(0))
    is_image(model.decode(latents), 4, modality)
    is_image(model.decode(1e6 * latents), 4, modality)  # the range is a law, not the modesty of a young network
    if isinstance(model, HasPrior):
        assert model.prior(3).shape == (3, latents.shape[1])
        assert isinstance(model, Samples)
        draw = model.prior(3, torch.Generator().manual_seed(7))
        assert torch.equal(model.decode(draw), model.sample(3, generator=torch.Generator().manual_seed(7)))


def _has_styles(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, HasStyles)
    assert isinstance(model, Decodes)
    latents = torch.randn(4, LATENT, generator=torch.Generator().manual_seed(0))
    styles = model.styles(latents)
    assert styles.shape[:2] == (4, model.style_layers)
    assert torch.equal(model.synthesize(styles), model.decode(latents))
    whole, model.truncation = model.truncation, 0.0
    assert torch.equal(model.styles(latents), model.styles(latents.flip(0))), "without spread there is one image"
    model.truncation = whole


def _reconstructs(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, Reconstructs)
    is_image(model.reconstruct(batch.x), len(batch), modality)
    assert isinstance(model, Encodes)
    assert isinstance(model, Decodes)
    if not getattr(
        model, "conditions", {}
    ):  # a conditional model takes the likeliest label here, and any in `decode`
        assert torch.equal(model.reconstruct(batch.x), model.decode(model.encode(batch.x)))


def _resamples(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, Resamples)
    once, again, other = (model.resample(batch.x, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    is_image(once, len(batch), modality)
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def _denoises(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, Denoises)
    condition = reading.needed(model, batch)
    clean = model.denoise(batch.x, torch.full((len(batch),), 0.2), condition)
    assert clean.shape == batch.x.shape
    assert clean.abs().max() <= 1
    assert model.uses_sigma or torch.equal(clean, model.denoise(batch.x))


def _draws_denoised(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, DrawsDenoised)
    condition = reading.needed(model, batch)
    drawn = model.draw_denoised(batch.x, torch.linspace(0.1, 2, len(batch)), condition)
    assert drawn.shape == batch.x.shape
    assert drawn.abs().max() <= 1


def _corrupts(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, Corrupts)
    once, again, other = (model.corrupt(batch.x, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert once.shape == batch.x.shape
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert not torch.equal(once, batch.x)


def _bounds(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, BoundsLikelihood)
    bound = model.evidence_bound(batch.x, reading.needed(model, batch), torch.Generator().manual_seed(0))
    assert bound.shape == (len(batch),)
    assert torch.isfinite(bound).all()


def _splits(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, SplitsBound)
    assert isinstance(model, BoundsLikelihood)
    draws = torch.Generator().manual_seed
    distortion, rate = model.distortion_and_rate(batch.x, generator=draws(0))
    assert distortion.shape == rate.shape == (len(batch),)
    assert (rate >= 0).all()
    # A conditional model's bound is of all classes together, that of an IWAE is tighter.
    if not getattr(model, "conditions", {}) and getattr(model, "importance_samples", 1) == 1:
        torch.testing.assert_close(model.evidence_bound(batch.x, generator=draws(0)), -distortion - rate)


def _discriminates(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, Discriminates)
    assert isinstance(model, Samples)
    few = batch[:6]  # for packs of 2
    condition = few.condition_for(model.conditions)
    once, again = (model.discriminate(few.x, condition).scores for _ in range(2))
    assert once.shape[0] in (6, 3)
    assert torch.isfinite(once).all()
    assert torch.equal(once, again)


def _restores(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, Restores)
    given = batch.condition_for(model.conditions)
    made = model.restore(given)
    assert made.shape == batch.x.shape
    assert made.abs().max() <= 1
    if restores_whole(model):
        height, width = made.shape[2:]
        part = model.restore({name: value[..., :3, :] for name, value in given.items()})
        assert part.shape[2:] == (3 * height // given["source"].shape[2], width)


def _stylizes(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, Stylizes)
    source, style = batch.condition["source"], batch.condition["style"]
    is_image(model.stylize(source, style), len(batch), modality)
    small = model.stylize(source[:1, :, 3:, 5:], style[:1, :, :-3])
    assert small.shape == (1, modality.shape[0], modality.shape[1] - 3, modality.shape[2] - 5)
    plain, other = (model.stylize(source, each, alpha=0.0) for each in (style, style.flip(0)))
    assert torch.equal(plain, other)
    assert all(len(each) == len(batch) and (each >= 0).all() for each in model.transfer_distances(source, style))


def _fills(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, Inpaints)
    if isinstance(model, Repaints):
        model.resampling = 2
    x, given = batch.x, reading.needed(model, batch)
    hole = torch.zeros_like(x[:1, :1] if x.ndim == 4 else x[:1], dtype=torch.bool)
    hole[..., x.shape[-1] // 2 :] = True
    filled, again, other = (
        model.inpaint(each, hole, given, torch.Generator().manual_seed(seed))
        for each, seed in ((x, 0), (x.masked_fill(hole, 0.5), 0), (x, 1))
    )
    assert torch.equal(torch.where(hole, x, filled), x), "what is known comes back to the bit"
    assert torch.equal(filled, again), "what is hidden has no influence"
    assert torch.equal(filled, other) != model.inpaints_at_random
    assert torch.isfinite(filled).all()
    assert not modality.bounded or filled.abs().max() <= 1


def _repaints(model: nn.Module, batch: Batch, modality: Modality) -> None:
    assert isinstance(model, Repaints)
    assert isinstance(model, Inpaints)
    assert isinstance(model, SamplesInSteps)
    steps = []
    model.progress_callback = lambda step, total: steps.append((step, total))
    for model.resampling in (1, 3):
        model.inpaint(
            batch.x[:1], torch.ones_like(batch.x[:1], dtype=torch.bool), reading.needed(model, batch[:1])
        )
    model.progress_callback = None
    assert len(steps) == steps[0][1] + steps[-1][1]
    assert steps[0][1] < steps[-1][1], "resampling takes more steps"
    if modality.spatial == 2:
        height, width = modality.shape[1:]
        known = Reduced(batch.x[:1, :, ::2, ::2] / 2, (height, width))
        made = model.repaint(known, reading.needed(model, batch[:1]), torch.Generator().manual_seed(0))
        is_image(made, 1, modality)
        assert (known.reduce(made) - known.images).abs().max() < 0.05, "reduced again, it is what was known"


TRIALS: Mapping[str, Callable[[nn.Module, Batch, Modality], None]] = {
    "sample": _samples,
    "encode": _encodes,
    "decode": _decodes,
    "draw from styles": _has_styles,
    "reconstruct": _reconstructs,
    "draw from the posterior": _resamples,
    "corrupt": _corrupts,
    "denoise": _denoises,
    "draw denoised examples": _draws_denoised,
    "bound the likelihood": _bounds,
    "split the bound": _splits,
    "restore": _restores,
    "tell real examples from generated ones": _discriminates,
    "stylize": _stylizes,
    "fill holes": _fills,
    "complete partly known examples": _repaints,
}


def test_every_capability_is_tried() -> None:
    assert TRIALS.keys() == CAPABILITIES.keys()


@every_preset
@pytest.mark.parametrize("channels", [1, 3])
def test_every_declared_capability_works(
    preset: str, channels: int, three_steps: Callable[[str], Training]
) -> None:
    dataset = digits(preset) if channels == 1 else colours(preset)
    model = (three_steps(preset) if channels == 1 else trained(preset, dataset, 2)).model
    able = capabilities(model)
    assert able
    batch = dataset.batch(np.arange(7))
    with inference_mode(model):
        for name in able:
            TRIALS[name](model, batch, dataset.spec.target)


@every_preset
def test_a_shown_model_keeps_no_graph_and_changes_nothing(
    preset: str, three_steps: Callable[[str], Training]
) -> None:
    model = three_steps(preset).model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with inference_mode(model):
        evaluate(model, digits(preset).batch(np.arange(8)), seed=0)
        assert not model.training
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@every_preset
@pytest.mark.parametrize("channels", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_it_builds_for_every_size(preset: str, channels: int) -> None:
    vector = PRESETS[preset].architecture == "spline"  # which takes small pictures alone
    for size in (16,) if vector else (32, 64):  # the other tests have 16
        recipe = small(preset)
        spec = reading.spec_of(PRESETS[preset], Images(channels, size, size))
        training = phases.build(recipe, spec, Randomness(0))
        stream = iter([reading.blank(spec, 2)] * 9)
        assert training.step(0, stream)
    for size in () if vector else (128, 256):
        with torch.device("meta"):
            model = PRESETS[preset].model(reading.spec_of(PRESETS[preset], Images(channels, size, size)))
            if isinstance(model, Decodes) and isinstance(recipe, LatentRecipe):
                latent = PRESETS[preset].latent  # type: ignore[attr-defined]
                assert model.decode(torch.empty(2, latent)).shape == (2, channels, size, size)


@every_preset
def test_what_is_loaded_is_what_was_trained(preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real run of four steps; the model that it evaluates at the end and the loaded one give the same bits."""
    batch = digits(preset).batch(np.arange(5))
    shown: list[list[Tensor]] = []

    def outputs(model: nn.Module) -> list[Tensor]:
        given, noise = reading.needed(model, batch), torch.Generator().manual_seed(3)
        with model.with_statistics() if isinstance(model, SetsStatistics) else nullcontext():
            drawn = [model.sample(5, given, noise)] if isinstance(model, Samples) else []
        return [*drawn, *([model.reconstruct(batch.x)] if isinstance(model, Reconstructs) else [])]

    def evaluated(held_out: HeldOut, model: nn.Module, **others: Any) -> Any:
        shown.append(outputs(model))
        return evaluate_on(held_out, model, **others)

    monkeypatch.setattr(callbacks, "evaluate_on", evaluated)
    monkeypatch.setattr(train, "write_report", lambda folder: None)  # half a second that says nothing here
    where = {**reading.data_of(PRESETS[preset]), "size": 16, "root": tmp_path}
    result = genlab.train(preset, quiet=True, steps=4, evaluate_every=4, **where, **reduced(preset))
    assert len(shown) == len(RunFolder(result.folder).events("phase")) + 1  # at the end of each phase
    for which in ("best", "last", None):
        model = genlab.load(result, checkpoint=which)
        again = outputs(model)
        assert all(torch.equal(a, b) for a, b in zip(shown[-1], again, strict=True))
        assert not model.training
        assert not any(p.requires_grad for p in model.parameters())
    torch.testing.assert_close(
        genlab.load("latest", root=tmp_path).state_dict(), model.state_dict(), rtol=0, atol=0
    )


@LEARNERS
def test_it_learns(preset: str) -> None:
    """In a few seconds the criterion falls: the bound or the error on held-out digits, the distance to a toy."""
    recipe = small(preset)
    points = isinstance(recipe, GANRecipe) and recipe.architecture in ANY_SIZE
    if isinstance(recipe, GANRecipe | TranslationRecipe):
        recipe = replace(recipe, generator_lr=1e-3, discriminator_lr=1e-3)
    if isinstance(recipe, DiffusionRecipe):
        recipe = replace(recipe, lr=5e-3, timesteps=100)
    if isinstance(recipe, FlowRecipe):
        recipe = replace(recipe, lr=5e-3)
    if points:
        recipe = replace(recipe, width=64, batch_size=64)
    steps = 400 if points else 60 if recipe.family == "diffusion" else 80
    source = open_source("ring8") if points else reading.opened(PRESETS[preset])
    training = phases.build(recipe, source.train.spec, Randomness(0))
    average = Average(training.model, 0.99) if recipe.family == "gan" else None
    model = average.model if average else training.model
    held_out = source.held_out.batch(np.arange(2000 if points else 120))
    values = []
    with Loader(source.train, recipe.batch_size, seed=0) as loader:
        for step in range(steps + 1):
            if step in (0, steps):
                with inference_mode(model):
                    values.append(evaluate(model, held_out, seed=0).value)
            training.step(step, loader)
            if average:
                average.update(step)
    assert values[1] < 0.75 * values[0]
