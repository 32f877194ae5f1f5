"""Probes of models that translate images: they compare translations with their sources and with real targets."""

from typing import Any

import torch
from torch import Tensor

from genlab.core.condition import SOURCE, SOURCE_LABEL, STYLE
from genlab.core.contract import Evaluator, Restores, Samples, SamplesInSteps, Signals, TranslatesBack
from genlab.core.random import generator
from genlab.data.pair_relation import coarse
from genlab.training.model_probes import ProbeInput

FEW = 16  # images: a translator works at full resolution
NOISE = 4 / 127.5  # deviation of the noise under which a cycle is measured: four grey levels
CHANCE = 0.04  # energy distance, relative to the distance of two targets, of few images of the same domain


def translations(given: ProbeInput) -> Signals:
    """Compare translations of held-out sources with the sources and with real targets.

    - `translation_change`: mean |translation − source| / mean |target − source|;
    - `source_effect`: mean difference of translations of two sources / that of two targets, with the same noise;
    - `label_effect`: the same for translations of one source into two domains;
    - `colour_inversion`: distance of the translations to the targets / that of the inverted translations;
    - `source_match`, for pairs: mean distance of translations to the truths of others / to their own truth;
    - `domain_gap`, without pairs, if sources and targets differ: energy distance of translations to the targets /
      that of the sources.
    """
    model, batch = given.model, given.unseen[:FEW]
    if not _translates(given):
        return {}
    condition = batch.condition_for(model.conditions)
    source, real = condition[SOURCE], batch.x
    made = _sample(given, condition)
    apart = _mean_distance(real, real.roll(1, 0))
    other = _sample(given, {**condition, SOURCE: source.roll(1, 0)})
    signals = {"source_effect": _mean_distance(made, other) / apart.clamp_min(1e-6)}
    if label := model.conditions.get("label"):
        moved = _sample(given, {**condition, "label": (condition["label"] + 1) % label.levels})
        signals["label_effect"] = _mean_distance(made, moved) / apart.clamp_min(1e-6)
    if source.shape != real.shape:
        return signals
    signals["translation_change"] = _mean_distance(made, source) / _mean_distance(real, source).clamp_min(1e-6)
    if given.aligned:
        own = _mean_distance(made, real).clamp_min(1e-6)
        signals["colour_inversion"] = own / _mean_distance(-made, real).clamp_min(1e-6)
        distances = (made[:, None] - real[None]).abs().flatten(2).mean(2)
        others = (distances.sum() - distances.diagonal().sum()) / (len(made) * (len(made) - 1))
        signals["source_match"] = others / own
        return signals
    targets = coarse(real)
    chance = CHANCE * torch.cdist(targets, targets).mean().clamp_min(1e-6)
    gap, now, inverted = (energy_distance(coarse(x), targets) for x in (source, made, -made))
    signals["colour_inversion"] = (now.clamp_min(0) + chance) / (inverted.clamp_min(0) + chance)
    return {**signals, "domain_gap": now / gap} if gap > chance else signals


def cycles(given: ProbeInput) -> Signals:
    """Return what is lost on the way to the target and back.

    - `cycle_error`: mean |source − source translated there and back| / mean |source − another source|;
    - `cycle_error_noisy`: the same if the translation is rounded to bytes and gets noise of four grey levels.
    """
    model, batch = given.model, given.unseen[:FEW]
    if not _translates(given):
        return {}
    source = batch.condition[SOURCE]
    made = _sample(given, batch.condition_for(model.conditions))
    noise = torch.randn(made.shape, generator=generator(given.seed, "probes: cycle", given.step)).to(made.device)
    noisy = ((made * 127.5).round() / 127.5 + NOISE * noise).clamp(-1, 1)
    scale = _mean_distance(source, source.roll(1, 0)).clamp_min(1e-6)
    given_back = batch.condition_for([SOURCE_LABEL])
    backs = {"cycle_error": made, "cycle_error_noisy": noisy}
    return {name: _mean_distance(model.translate_back(x, given_back), source) / scale for name, x in backs.items()}


TRANSLATION_PROBES = (
    Evaluator((Samples,), translations, without=(SamplesInSteps, Restores)),
    Evaluator((Samples, TranslatesBack), cycles, without=(SamplesInSteps,)),
)


def energy_distance(one: Tensor, two: Tensor) -> Tensor:
    """Return 2 E‖a − b‖ − E‖a − a'‖ − E‖b − b'‖ of two sets of points (n, D), without bias; it may be below 0.

    References:
        Székely and Rizzo, 2013. Energy statistics: A class of statistics based on distances. JSPI 143(8).
    """
    within = [torch.cdist(x, x).sum() / (len(x) * (len(x) - 1)) for x in (one, two)]
    return 2 * torch.cdist(one, two).mean() - within[0] - within[1]


def _translates(given: ProbeInput) -> bool:
    """Whether the model makes images from one source image, and there are several."""
    conditions, images = given.model.conditions, given.target.spatial == 2
    return images and SOURCE in conditions and STYLE not in conditions and len(given.unseen) > 2


def _sample(given: ProbeInput, condition: Any) -> Tensor:  # noqa: ANN401 (a condition)
    noise = generator(given.seed, "probes: translations", given.step)
    samples: Tensor = given.model.sample(len(condition[SOURCE]), condition, noise)
    return samples


def _mean_distance(one: Tensor, two: Tensor) -> Tensor:
    return (one - two).abs().mean()
