"""Each rule on a run that has its symptom, and on runs that have not."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genlab
from genlab.diagnosis.doctor import RULES, Doctor, _examined_steps, examine, examine_all
from genlab.diagnosis.finding import Change, Evidence, Finding
from genlab.diagnosis.history import History
from genlab.diagnosis.rule import ADVERSARIAL, RESTORATION, TRANSLATION, Context
from genlab.objectives.adversarial import AdversarialLoss
from genlab.recipes.gan import GANRecipe
from genlab.recipes.presets import PRESETS
from genlab.recipes.recipe import Recipe
from genlab.recipes.resolve import resolve
from genlab.runs.diagnose import context_of
from genlab.training.live import event_line

STEPS = 1000
Signal = float | Callable[[int], float]

# What a run reports that goes well: a value, or a function of the step.
GAN: Mapping[str, Signal] = {
    "discriminator_loss": 1.1,
    "generator_loss": 1.2,
    "discriminator_gradient_norm": 5.0,
    "generator_gradient_norm": 3.0,
    "score_real": 1.0,
    "score_fake": -1.0,
    "D(x)": 0.7,
    "D(G(z))": 0.3,
    "accuracy_real": 0.8,
    "accuracy_fake": 0.8,
    "class_accuracy_real": 0.8,
    "discriminator_update_ratio": 2e-3,
    "generator_update_ratio": 3e-3,
    "generator_dead_units": 0.01,
    "diversity": lambda step: min(0.2 + step / 300, 0.95),
    "nearest_neighbour_distance": lambda step: min(0.28 + step / 300, 1.1),
    "saturated_pixels": -0.1,
    "sample_sharpness": 1.0,
    "score_train": 1.0,
    "score_held_out": 0.9,
    "score_sample": -1.0,
    "data_wait_fraction": 0.01,
    "criterion": lambda step: 150 * math.exp(-step / 200) + 10,
}
VAE: Mapping[str, Signal] = {
    "loss": lambda step: 100 + 80 * math.exp(-step / 100),
    "distortion": lambda step: 90 + 80 * math.exp(-step / 100),
    "rate": lambda step: min(step / 20, 10.0),
    "beta": 1.0,
    "posterior_std": 0.8,
    "aggregate_variance": 1.0,
    "gradient_norm": 30.0,
    "vae_update_ratio": 4e-3,
    "decoder_dead_units": 0.02,
    "r2_train": lambda step: min(step / 300, 0.8),
    "r2_held_out": lambda step: min(step / 300, 0.78),
    "reconstruction_sharpness": 0.7,
    "diversity": 0.6,
    "data_wait_fraction": 0.0,
}
AUTOENCODER: Mapping[str, Signal] = {
    "loss": lambda step: 105 + 80 * math.exp(-step / 100),
    "reconstruction_loss": lambda step: 100 + 80 * math.exp(-step / 100),
    "sparsity_loss": 0.2,
    "gradient_norm": 30.0,
    "autoencoder_update_ratio": 4e-3,
    "r2_train": lambda step: min(step / 300, 0.8),
    "r2_held_out": lambda step: min(step / 300, 0.78),
    "reconstruction_sharpness": 0.7,
    "inactive_latents": 0.1,
    "denoised_error": 0.4,
    "denoised_change": 1.0,
    "data_wait_fraction": 0.0,
}
DIFFUSION: Mapping[str, Signal] = {
    "loss": lambda step: 0.05 + 0.95 * math.exp(-step / 100),
    "loss_low_noise": lambda step: 0.1 + 0.9 * math.exp(-step / 100),
    "r2": lambda step: 0.95 - 0.95 * math.exp(-step / 100),
    "loss_high_noise": lambda step: 0.02 + 0.98 * math.exp(-step / 100),
    "loss_train": lambda step: 0.05 + 0.95 * math.exp(-step / 100),
    "loss_held_out": lambda step: 0.055 + 0.95 * math.exp(-step / 100),
    "gradient_norm": 0.3,
    "diffusion_update_ratio": 2e-3,
    "data_wait_fraction": 0.0,
    "criterion": lambda step: 5 * math.exp(-step / 200) + 3,
}
FLOW: Mapping[str, Signal] = {
    "loss": lambda step: 3 + 4 * math.exp(-step / 100),
    "loss_train": lambda step: 3 + 4 * math.exp(-step / 100),
    "loss_held_out": lambda step: 3.1 + 4 * math.exp(-step / 100),
    "latent_rms": 1.0,
    "inversion_error": 1e-5,
    "gradient_norm": 0.3,
    "flow_update_ratio": 2e-3,
    "diversity": 0.9,
    "data_wait_fraction": 0.0,
    "criterion": lambda step: 4 * math.exp(-step / 200) + 3,
}
CYCLEGAN: Mapping[str, Signal] = {
    **{name: signal for name, signal in GAN.items() if not name.startswith(("D(", "accuracy", "class"))},
    "cycle_loss": lambda step: 0.5 + 4 * math.exp(-step / 100),
    "translation_change": lambda step: min(0.2 + step / 1000, 0.6),
    "source_effect": lambda step: min(0.1 + step / 500, 0.9),
    "label_effect": 0.3,
    "source_match": lambda step: 1 + step / 200,
    "domain_gap": lambda step: max(1 - step / 500, 0.1),
    "colour_inversion": 0.5,
    "cycle_error": 0.1,
    "cycle_error_noisy": 0.13,
    "checkerboard": lambda step: 0.5 + 30 * math.exp(-step / 20),
}
RESTORER: Mapping[str, Signal] = {
    "loss": lambda step: 0.02 + 0.02 * math.exp(-step / 100),
    "gradient_norm": 0.1,
    "restorer_update_ratio": 1e-3,
    "sample_sharpness": 0.6,
    "psnr_gain": lambda step: 1.5 - 2 * math.exp(-step / 50),
    "colour_shift": lambda step: 0.5 + 8 * math.exp(-step / 50),
    "data_wait_fraction": 0.0,
    "criterion": lambda step: 0.05 + 0.03 * math.exp(-step / 200),
}
INPAINTER: Mapping[str, Signal] = {
    **{name: signal for name, signal in GAN.items() if not name.startswith(("diversity", "nearest"))},
    "pixel_loss": lambda step: 0.1 + 0.1 * math.exp(-step / 100),
    "fill_gain": lambda step: 1.5 - 3 * math.exp(-step / 40),
    "fill_sharpness": lambda step: 0.6 - 0.6 * math.exp(-step / 40),
    "seam": lambda step: 1.2 + 1.5 * math.exp(-step / 40),
    "missing_share": 0.25,
    "perceptual_loss": lambda step: 5e-3 + 5e-3 * math.exp(-step / 100),
    "psnr_lost": lambda step: min(step / 100, 2.5),
    "colour_shift": lambda step: 0.5 + 8 * math.exp(-step / 50),
}
HEALTHY = {
    "cyclegan": CYCLEGAN,
    "gan": GAN,
    "vae": VAE,
    "autoencoder": AUTOENCODER,
    "diffusion": DIFFUSION,
    "flow": FLOW,
    "restoration": RESTORER,
    "adversarial-restoration": INPAINTER,
}
FACTS = {
    "images": 6e4,
    "classes": 10.0,
    "constant": 0.0,
    "duplicates": 0.0,
    "low": -1.0,
    "high": 1.0,
    "rarest": 0.9,
    "pair_relation": 60.0,
}


def late(before: float, after: float, when: int = 500) -> Callable[[int], float]:
    return lambda step: before if step < when else after


# What is different in a run that has the symptom.
SICK: Mapping[str, tuple[str, Mapping[str, Signal], Mapping[str, float]]] = {
    "data-constant": ("gan", {}, {"constant": 0.5}),
    "data-duplicates": ("vae", {}, {"duplicates": 0.6}),
    "data-range": ("gan", {}, {"low": -1.0, "high": -0.9}),
    "data-imbalance": ("gan", {}, {"rarest": 0.01}),
    "data-tiny": ("vae", {}, {"images": 64}),
    "not-finite": ("vae", {"loss": late(1.0, math.nan)}, {}),
    "learning-rate-too-high": ("gan", {"generator_update_ratio": 0.1}, {}),
    "learning-rate-too-low": ("vae", {"vae_update_ratio": 1e-7}, {}),
    "exploding-gradients": ("autoencoder", {"gradient_norm": late(10, 1e5)}, {}),
    "dead-units": ("gan", {"generator_dead_units": late(0, 0.8)}, {}),
    "training-collapse": ("gan", {"criterion": late(10, 90, 700)}, {}),
    "slow-data-loading": ("gan", {"data_wait_fraction": 0.6}, {}),
    "discriminator-too-strong": ("gan", {"D(x)": lambda step: 0.9999, "D(G(z))": 1e-4, "diversity": 0.2}, {}),
    "vanishing-gradients": ("gan", {"generator_gradient_norm": lambda step: 5 * math.exp(-step / 20)}, {}),
    "mode-collapse": ("gan", {"nearest_neighbour_distance": late(1.0, 0.05, 300)}, {}),
    "mode-dropping": ("gan", {"diversity": 0.25}, {}),
    "discriminator-too-weak": ("gan", {"score_real": 0.01, "score_fake": 0.0, "diversity": 0.2}, {}),
    "divergence": ("gan", {"score_real": lambda step: 2.0 * step}, {}),
    "unbounded-slope": ("gan", {}, {"slope_bounds": 0.0}),
    "discriminator-overfitting": ("gan", {"score_train": 5.0, "score_held_out": -0.5}, {}),
    "saturated-samples": ("gan", {"saturated_pixels": 0.6}, {}),
    "generator-not-learning": ("gan", {"generator_update_ratio": 1e-9}, {}),
    "flat-losses": ("gan", {"discriminator_loss": lambda step: 1.386, "generator_loss": lambda step: 0.693}, {}),
    "oscillation": ("gan", {"criterion": lambda step: 60.0 + 30 * (-1) ** (step // 60)}, {}),
    "unbalanced-updates": ("gan", {"generator_update_ratio": 5e-3, "discriminator_update_ratio": 1e-4}, {}),
    "uninformative-labels": ("gan", {"class_accuracy_real": 0.1}, {}),
    "posterior-collapse": ("vae", {"rate": 0.001}, {}),
    "over-regularised": ("vae", {"reconstruction_sharpness": 0.2, "r2_held_out": 0.2, "rate": 2.0}, {}),
    "under-regularised": ("vae", {"posterior_std": 0.01}, {}),
    "overfitting": ("autoencoder", {"r2_train": 0.95, "r2_held_out": 0.3}, {}),
    "identity-mapping": ("autoencoder", {"denoised_error": 0.95, "denoised_change": 0.1}, {}),
    "inactive-latents": ("autoencoder", {"inactive_latents": 0.98}, {}),
    "anomalies-reconstruct-better": (
        "autoencoder",
        {"auroc[reconstruction]": 0.3, "auroc[latent]": 0.8, "auroc_chance_error": 0.03},
        {},
    ),
    "penalty-dominates": ("autoencoder", {"loss": lambda step: 100 + 150 * (step // 20 % 3)}, {}),
    "no-learning": ("autoencoder", {"r2_held_out": 0.0}, {}),
    "no-denoising": ("diffusion", {"r2": -0.4}, {}),
    "diverging-loss": ("diffusion", {"loss": late(0.1, 0.4)}, {}),
    "not-invertible": ("flow", {"inversion_error": 0.3}, {}),
    "diverging-likelihood": ("flow", {"loss": late(-1.0, 2.0)}, {}),
    "prior-mismatch": ("flow", {"latent_rms": 20.0}, {}),
    "pairs-do-not-match": ("cyclegan", {}, {"pair_relation": 0.7}),
    "does-nothing": ("cyclegan", {"translation_change": 0.03, "domain_gap": lambda step: 0.99}, {}),
    "colours-inverted": ("cyclegan", {"colour_inversion": 2.0}, {}),
    "source-ignored": ("cyclegan", {"source_effect": 0.02}, {}),
    "domain-ignored": ("cyclegan", {"label_effect": 0.01}, {}),
    "hidden-cycle": ("cyclegan", {"cycle_error_noisy": late(0.15, 0.5)}, {}),
    "adversary-dominates": ("adversarial-restoration", {"psnr_lost": lambda step: min(step / 50, 7.0)}, {}),
    "checkerboard": ("gan", {"checkerboard": 4.0}, {}),
    "worse-than-bicubic": ("restoration", {"psnr_gain": lambda step: -0.8}, {}),
    "colour-shift": ("restoration", {"colour_shift": 7.0}, {}),
    "mask-inverted": ("adversarial-restoration", {"missing_share": 0.8}, {}),
    "worse-than-harmonic": ("adversarial-restoration", {"fill_gain": lambda step: -2.5}, {}),
    "flat-filling": ("adversarial-restoration", {"fill_sharpness": lambda step: 0.05}, {}),
    "visible-seam": ("restoration", {"seam": lambda step: 2.6}, {}),
}


def run(
    family: str, changed: Mapping[str, Signal] | None = None, steps: int = STEPS, noise: float = 0.1
) -> History:
    """Return a run's signals, with noise on those that are one number."""
    random, signals = np.random.default_rng(0), {**HEALTHY[family], **(changed or {})}
    lines: list[dict[str, Any]] = []
    for step in range(20, steps + 1, 20):
        line: dict[str, Any] = {"step": step}
        for name, signal in signals.items():
            if name == "criterion" and step % 60:
                continue
            line[name] = signal(step) if callable(signal) else signal * (1 + 0.1 * random.uniform(-1, 1))
        lines.append(line)
    return History(lines)


def context(family: str, facts: Mapping[str, float] | None = None, **options: Any) -> Context:
    labels = {"discriminator_labels": "concat"} if family == "gan" else {}
    return Context(family, STEPS, {**labels, **options}, facts={**FACTS, **(facts or {})})


def names(history: History, about: Context) -> list[str]:
    return [finding.rule for finding in examine(history, about).findings]


def test_every_rule_has_a_sick_run() -> None:
    assert {rule.name for rule in RULES} == set(SICK)
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("family", HEALTHY)
def test_nothing_is_found_in_a_healthy_run_at_any_time(family: str) -> None:
    history = run(family)
    for step in range(20, STEPS + 1, 20):
        assert names(history.until(step), context(family)) == []


@pytest.mark.parametrize("rule", SICK)
def test_the_symptom_is_found(rule: str) -> None:
    family, changed, facts = SICK[rule]
    diagnosis = examine(run(family, changed), context(family, facts))
    (found,) = [finding for finding in diagnosis.findings if finding.rule == rule]
    assert rule not in diagnosis.unchecked
    assert found.evidence
    assert 0 <= found.since <= found.step == STEPS
    assert found.symptom in found.line()
    assert found.why.count(".") >= 1


@pytest.mark.parametrize(
    ("family", "train", "held_out", "sick"),
    [
        ("diffusion", 0.02, 0.03, True),
        ("diffusion", 0.02, 0.022, False),
        ("flow", 1.0, 1.5, True),
        ("flow", 1.0, 1.15, False),
        ("flow", -2.0, -1.5, True),  # of points: densities can be above 1
        ("flow", -2.0, -2.1, False),
    ],
)
def test_overfitting_in_what_reconstructs_nothing(
    family: str, train: float, held_out: float, *, sick: bool
) -> None:
    signals: Mapping[str, Signal] = {"loss_train": lambda step: train, "loss_held_out": lambda step: held_out}
    assert ("overfitting" in names(run(family, signals), context(family))) == sick


@pytest.mark.parametrize("rule", SICK)
def test_the_beginning_of_a_run_is_given_time(rule: str) -> None:
    """Two looks are never enough, but for what is wrong from the start."""
    family, changed, facts = SICK[rule]
    found = names(run(family, changed, steps=40), context(family, facts))
    assert rule not in found or rule.startswith(("data-", "pairs-", "anomalies-")) or rule == "unbounded-slope"


@pytest.mark.parametrize(("auroc", "error", "found"), [(0.3, 0.03, True), (0.3, 0.2, False), (0.9, 0.03, False)])
def test_a_backward_ranking_is_a_warning_if_it_is_no_chance(auroc: float, error: float, found: bool) -> None:
    scores = {"step": 500, "auroc[reconstruction]": auroc, "auroc[latent]": 0.8, "auroc_chance_error": error}
    diagnosis = examine(History([{"step": 500}, scores]), context("autoencoder", latent=16))
    warnings = [each for each in diagnosis.findings if each.rule == "anomalies-reconstruct-better"]
    assert bool(warnings) == found
    assert diagnosis.healthy
    assert not found or "auroc[latent] is 0.8" in warnings[0].line()


def test_half_of_the_detail_is_too_little_only_when_there_was_time_for_more() -> None:
    """Blurred reconstructions are those of a young run, or of a latent that may hold too little."""
    blurred = run("vae", {"reconstruction_sharpness": 0.42, "r2_held_out": 0.48, "r2_train": 0.5})
    found = [step for step in range(20, STEPS + 1, 20) if names(blurred.until(step), context("vae"))]
    assert min(found) >= 0.45 * STEPS
    assert names(blurred, context("vae")) == ["over-regularised"]
    much = run("vae", {"reconstruction_sharpness": 0.42, "r2_train": 0.7, "r2_held_out": 0.68})
    assert names(much, context("vae")) == []


def test_translations_that_depend_on_their_source_but_not_as_the_pairs_do_ignore_it() -> None:
    """Inverted ones and copies match no truth either; they have findings of their own."""
    unrelated: Mapping[str, Signal] = {"source_match": lambda step: 1.0}
    assert names(run("cyclegan", unrelated), context("cyclegan")) == ["source-ignored"]
    inverted = run("cyclegan", {**unrelated, "colour_inversion": 2.0})
    assert names(inverted, context("cyclegan")) == ["colours-inverted"]
    copies = run("cyclegan", {**unrelated, "translation_change": lambda step: 0.1, "domain_gap": lambda step: 1.0})
    assert names(copies, context("cyclegan")) == ["does-nothing"]


def test_copies_that_come_nearer_to_the_targets_are_no_failure() -> None:
    small: Mapping[str, Signal] = {"translation_change": lambda step: 0.1}
    assert names(run("cyclegan", small), context("cyclegan")) == []  # its domain gap closes


def test_domains_that_a_classifier_does_not_see_are_ignored_however_much_they_change() -> None:
    for effect in (0.12, 0.8):
        chance: Mapping[str, Signal] = {"class_accuracy_fake": 0.1, "label_effect": effect}
        assert names(run("cyclegan", chance), context("cyclegan")) == ["domain-ignored"]
    seen: Mapping[str, Signal] = {"class_accuracy_fake": 0.9, "label_effect": 0.12}
    assert names(run("cyclegan", seen), context("cyclegan")) == []


def test_a_cycle_that_fails_with_and_without_noise_hides_nothing() -> None:
    poor = run("cyclegan", {"cycle_error": 0.5, "cycle_error_noisy": 0.52})
    assert names(poor, context("cyclegan")) == []


def test_nothing_breaks_on_an_empty_or_a_foreign_history() -> None:
    for history in (History([]), History([{"step": 1}]), History([{"step": 1, "what": 2.0}])):
        for family in (*HEALTHY, None):
            diagnosis = examine(history, Context(family))
            assert not diagnosis.findings
            assert diagnosis.unchecked


def test_since_when_is_the_step_at_which_it_began() -> None:
    family, _, facts = SICK["dead-units"]
    history = run(family, {"generator_dead_units": late(0, 0.8, 600)})
    (found,) = examine(history, context(family, facts)).findings
    assert 600 <= found.since <= 660  # the running median is that late


def test_what_could_not_be_checked_is_said() -> None:
    history = History([{"step": s, "discriminator_loss": 1.0, "generator_loss": 1.0} for s in range(100)])
    unchecked = examine(history, Context("gan")).unchecked
    assert unchecked["mode-collapse"] == ["nearest_neighbour_distance"]
    assert "discriminator-too-strong" not in unchecked
    assert "posterior-collapse" not in unchecked  # of another family


def test_annealing_is_no_collapse_and_no_lack_of_regularisation() -> None:
    """While the weight of the rate rises, a rate says nothing, nor does the spread of the latents."""
    rising = {"beta": lambda step: min(step / 800, 1.0), "aggregate_variance": late(30.0, 1.0, 800)}
    assert names(run("vae", rising), context("vae", beta=1.0)) == []


def test_the_start_of_a_flow_by_its_first_batch_is_no_rate_that_is_too_high() -> None:
    for family, found in (("flow", []), ("vae", ["learning-rate-too-high"])):
        assert names(History([{"step": 1, f"{family}_update_ratio": 1.4}]), context(family)) == found


def test_the_start_of_a_flow_by_its_first_batch_does_not_hide_that_nothing_moves_afterwards() -> None:
    lines = [{"step": step, "flow_update_ratio": 1e-7 if step > 1 else 0.3} for step in (1, *range(20, 400, 20))]
    assert names(History(lines), context("flow")) == ["learning-rate-too-low"]
    assert names(History(lines[:1]), context("flow")) == []


def test_remedies_that_change_nothing_are_not_offered() -> None:
    family, changed, _ = SICK["vanishing-gradients"]
    for loss, offered in (("minimax", True), ("non-saturating", False)):
        about = context(family, loss=loss)
        (found,) = [f for f in examine(run(family, changed), about).findings if f.rule == "vanishing-gradients"]
        assert any("--loss non-saturating" in str(remedy) for remedy in found.remedies) == offered


def test_remedies_with_which_the_recipe_does_not_go_together_are_not_offered() -> None:
    lines = [{"step": s, "loss": 1 / s, "validation_loss": 1 / s + s / 1000} for s in range(1, 1001)]
    offered = {}
    for architecture in ("unet", "mlp"):
        about = context_of(resolve("flow-matching", {"architecture": architecture, "steps": 1000}), {})
        (found,) = [f for f in examine(History(lines), about).findings if f.rule == "overfitting"]
        offered[architecture] = [change.option for remedy in found.remedies for change in remedy.changes]
    assert "dropout" in offered["unet"]
    assert offered["mlp"] == [option for option in offered["unet"] if option != "dropout"] != []


@pytest.mark.parametrize(
    ("preset", "options", "told"),
    [
        ("dcgan", {"loss": "wasserstein"}, True),
        ("dcgan", {"loss": "wasserstein", "clip_norm": 1.0}, True),  # of gradients of the weights
        ("dcgan", {"loss": "wasserstein", "spectral_norm": "generator"}, True),
        ("wgan-gp", {"gradient_penalty": 0.0}, True),
        ("wgan", {"weight_clip": None}, True),
        ("dcgan", {"loss": "wasserstein", "spectral_norm": "both"}, False),
        ("dcgan", {"loss": "wasserstein", "r1": 1.0}, False),
        ("wgan", {}, False),
        ("wgan-gp", {}, False),
        ("dcgan", {"loss": "hinge"}, False),
        ("dcgan", {}, False),
    ],
)
def test_a_loss_that_needs_a_bound_on_the_slope_is_warned_of_from_the_first_step(
    preset: str, options: Mapping[str, Any], *, told: bool
) -> None:
    about = context_of(resolve(preset, options), {})
    found = Doctor(about).update(1, {"discriminator_loss": 0.1})
    assert [(f.rule, f.severity) for f in found] == [("unbounded-slope", "warning")] * told
    if told:
        assert "--gradient-penalty 10.0" in found[0].line()
        assert "--weight-clip 0.01" in found[0].text()


@pytest.mark.parametrize(
    ("preset", "options", "remedy"),
    [
        ("pix2pix", {"loss": "wasserstein"}, "--loss non-saturating"),
        ("stargan", {"gradient_penalty": 0.0}, "--gradient-penalty 10.0"),
        ("stargan", {}, None),
        ("cyclegan", {}, None),
    ],
)
def test_models_that_translate_are_warned_of_it_too(
    preset: str, options: Mapping[str, Any], remedy: str | None
) -> None:
    found = Doctor(context_of(resolve(preset, options), {})).update(1, {"discriminator_loss": 0.1})
    assert [finding.rule for finding in found] == ["unbounded-slope"] * bool(remedy)
    assert not remedy or remedy in found[0].text()


def test_own_losses_can_need_a_bound_and_own_regularizers_may_be_one() -> None:
    loss = AdversarialLoss(lambda real, fake: (fake - real).mean(), lambda fake: -fake.mean())
    genlab.part("gan-loss", "steep", unbounded=True)(loss)
    genlab.part("regularizer", "flat")(lambda score, real, fake, draws: score(real).mean())
    assert resolve("dcgan", {"loss": "steep"}).recipe.facts() == {"slope_bounds": 0.0}
    assert resolve("dcgan", {"loss": "steep", "flat": 0.1}).recipe.facts() == {"slope_bounds": 1.0}


def test_the_loss_of_a_run_whose_parts_are_missing_is_not_judged() -> None:
    assert GANRecipe(loss="elsewhere").facts() == {}


def test_a_factor_changes_a_number_as_a_person_would() -> None:
    assert Change("lr", times=0.1).value(0.1, None) == 0.01
    assert Change("lr", times=0.1).value(2e-4, None) == 2e-5
    assert [Change("latent", times=0.5).value(now, None) for now in (128, 1)] == [64, 1]


@pytest.mark.parametrize(
    ("rule", "now", "tried"),
    [
        ("diverging-loss", 2e-3, [2e-4, 2e-4]),
        ("diverging-loss", 1e-4, [1e-5]),  # the published rate would be a faster one
        ("learning-rate-too-low", 1e-7, [2e-4, 1e-6]),
        ("learning-rate-too-low", 2e-3, [2e-2]),
        ("no-denoising", 1e-1, [2e-4, 2e-5]),
        ("no-denoising", 1e-7, [2e-4, 2e-5]),  # never smaller still
        ("no-denoising", 2e-4, [2e-5]),
    ],
)
def test_a_rate_is_changed_in_the_direction_that_the_finding_asks_for(rule: str, now: float, tried: Any) -> None:
    remedies = next(one.remedies for one in RULES if one.name == rule)
    applied = [
        remedy.apply({"lr": now, "betas": (0.9, 0.999)}, {"lr": 2e-4, "betas": (0.9, 0.999)})
        for remedy in remedies
    ]
    assert [change["lr"] for change in applied if "lr" in change] == tried


def recipes(families: tuple[str, ...]) -> list[Recipe]:
    return [recipe for recipe in PRESETS.values() if not families or recipe.family in families]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_remedy_is_a_change_of_options_that_some_recipe_has(rule: Any) -> None:
    for remedy in rule.remedies:
        assert remedy.why.endswith(".")
        wanted = {change.option for change in remedy.changes}
        assert any(wanted <= vars(recipe).keys() for recipe in recipes(tuple(rule.families))), str(remedy)


def test_a_doctor_tells_each_finding_once_and_early() -> None:
    family, changed, _ = SICK["mode-collapse"]
    history, doctor, told = run(family, changed), Doctor(context(family)), []
    for step in range(20, STEPS + 1, 20):
        line = {name: float(history[name].at(np.array([step]))[0]) for name in history.names()}
        told += [
            (step, finding.rule) for finding in doctor.update(step, {n: v for n, v in line.items() if v == v})
        ]
    assert [rule for _, rule in told] == ["mode-collapse"]
    assert told[0][0] <= 440  # it began at 300, and four looks are asked for
    again = Doctor(context(family), reported=["mode-collapse"])
    assert not [
        f
        for s in range(20, 900, 20)
        for f in again.update(s, {"nearest_neighbour_distance": 0.01, "diversity": 0.9})
    ]


def test_a_doctor_remembers_long_runs_in_little_room() -> None:
    doctor = Doctor(context("gan"))
    for step in range(1, 30_000):
        doctor.update(step, {"discriminator_loss": 1.0, "kl[0]": 1.0})
    assert len(doctor.lines) <= 2000
    assert doctor.lines[0]["step"] < 100
    assert doctor.lines[-1] == {"step": 29_999, "discriminator_loss": 1.0}


@pytest.mark.parametrize(("sharpness", "found"), [(0.0, True), (0.3, True), (1.0, False), (9.0, False)])
def test_details_of_its_own_may_cost_a_fill_up_to_3_db(sharpness: float, *, found: bool) -> None:
    for gain, sick in ((-2.5, found), (-4.0, True)):
        signals: Mapping[str, Signal] = {
            "fill_gain": lambda step, gain=gain: gain,
            "fill_sharpness": lambda step: sharpness,
        }
        family = "adversarial-restoration"
        assert ("worse-than-harmonic" in names(run(family, signals), context(family))) == sick


RESTORATIONS = ("adversarial-restoration",)
ALL = (*ADVERSARIAL, "vae", "autoencoder", "denoiser", "diffusion", "flow", *RESTORATION)
HEADINGS = {
    ALL: "In any training",
    ADVERSARIAL: "In GANs",
    TRANSLATION: "In translations",
    RESTORATIONS: "In restorations against a discriminator",
    ("vae", "autoencoder"): "In autoencoders and VAEs",
    tuple(family for family in ALL if family not in ADVERSARIAL): "In all but GANs",
    ("diffusion",): "In diffusion models",
    ("flow",): "In flows",
    RESTORATION: "In restoration without a discriminator",
    ("restoration", "adversarial-restoration"): "In any restoration",
}


def test_the_page_has_every_rule_under_its_families_with_its_symptom_and_needs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text()
    parts = dict(part.split("\n", 1) for part in page.split("\n### ")[1:])
    for rule in RULES:
        of_images = rule.name.startswith(("data-", "pairs-"))
        families = next(some for some in sorted(HEADINGS, key=len) if set(some) >= set(rule.families or ALL))
        needs = [[need] if isinstance(need, str) else need for need in rule.needs]
        told = ", ".join(" or ".join(f"`{name}`" for name in names) for names in needs)
        source = "the recipe" if rule.name == "unbounded-slope" else "any signal"
        told = told or ("facts of `data.yaml`" if of_images else source)
        row = f"| `{rule.name}` | {rule.symptom} | {told} |"
        assert row in parts["In the training images" if of_images else HEADINGS[families]], row


@pytest.mark.parametrize(
    ("rule", "family", "signals"),
    [
        ("discriminator-too-strong", "gan", {"discriminator_loss": 0.001, "generator_loss": 9.0}),
        ("no-learning", "vae", {"loss": lambda step: 180.0, "rate": 4.0}),
        ("no-denoising", "diffusion", {"loss": lambda step: 1.0}),
        ("overfitting", "autoencoder", {"loss": 0.01, "validation_loss": 0.08}),
        ("overfitting", "diffusion", {"loss": 0.01, "validation_loss": 0.08}),
        (
            "overfitting",
            "autoencoder",
            {"loss": lambda s: 100 * math.exp(-s / 100) + 50, "validation_loss": lambda s: 60 + abs(s - 400) / 10},
        ),
        ("posterior-collapse", "vae", {"loss": 100.0, "rate": 1e-3}),
        ("training-collapse", "gan", {"discriminator_loss": 1.0, "criterion": late(10, 90, 700)}),
    ],
)
def test_what_logs_of_other_programs_tell(rule: str, family: str, signals: Mapping[str, Signal]) -> None:
    lines = [
        {"step": s, **{n: v(s) if callable(v) else v for n, v in signals.items()}} for s in range(0, 1000, 10)
    ]
    assert rule in names(History(lines), Context(family))


@pytest.mark.parametrize(
    ("family", "signals"),
    [
        (
            "gan",
            {
                "discriminator_loss": lambda s: 1 + 0.3 * math.sin(s),
                "generator_loss": lambda s: 1 + 0.3 * math.cos(s),
            },
        ),
        ("vae", {"loss": lambda s: 100 + 80 * math.exp(-s / 100), "rate": 9.0}),
        (
            "autoencoder",
            {"loss": lambda s: 0.1 + math.exp(-s / 100), "validation_loss": lambda s: 0.12 + math.exp(-s / 100)},
        ),
    ],
)
def test_good_logs_of_other_programs(family: str, signals: Mapping[str, Callable[[int], float]]) -> None:
    lines = [
        {"step": s, **{n: v(s) if callable(v) else v for n, v in signals.items()}} for s in range(0, 1000, 10)
    ]
    for step in range(0, 1000, 50):
        assert names(History(lines[: step // 10]), Context(family)) == []


def between(begin: int, end: int, sick: float, well: float = 1.0) -> Callable[[int], float]:
    return lambda step: sick if begin <= step < end else well


def test_what_was_wrong_and_is_over_is_said_with_its_steps() -> None:
    history = run("gan", {"nearest_neighbour_distance": between(300, 600, 0.05)})
    diagnosis = examine_all(history, context("gan"))
    assert diagnosis.healthy
    assert diagnosis.findings == []
    (past,) = diagnosis.past
    assert past.rule == "mode-collapse"
    assert 300 <= past.since <= 360  # the running median is that late
    assert past.since < past.step < 600 <= past.until <= 660
    for text in (str(diagnosis), past.line()):
        assert (
            f"Mode collapse: all samples look alike, from step {past.since} to step {past.until} (resolved)."
            in text
        )
    assert "Nothing is wrong now, according to" in str(diagnosis)
    assert diagnosis.values()["past"][0]["until"] == past.until
    assert Finding.of(past.values()).evidence == past.evidence


def test_what_comes_again_is_said_twice_and_what_is_there_is_no_past() -> None:
    again = run("gan", {"nearest_neighbour_distance": lambda step: 0.05 if step // 200 in (1, 3) else 1.0})
    steps = [(past.since // 200, past.until // 200) for past in examine_all(again, context("gan")).past]
    assert steps == [(1, 2), (3, 4)]
    family, changed, facts = SICK["mode-collapse"]
    there = examine_all(run(family, changed), context(family, facts))
    assert ([f.rule for f in there.findings], there.past) == (["mode-collapse"], [])
    assert "Resolved:" not in str(there)


def test_what_was_told_is_over_since_then_if_its_history_is_gone() -> None:
    """A treatment goes back to before the symptom."""
    told = Finding("flat-losses", "Flat losses", "failure", 40, 60, [Evidence("x", math.nan, "a number")], "", "")
    (past,) = examine_all(run("gan"), context("gan"), [told]).past
    assert (past.rule, past.since, past.until) == ("flat-losses", 40, 60)
    history = run("gan", {"nearest_neighbour_distance": between(300, 600, 0.05)})
    (found,) = examine_all(history, context("gan")).past
    assert examine_all(history, context("gan"), [replace(found, until=None)]).past == [found]  # it is found again


def test_a_doctor_knows_at_the_end_what_it_has_told() -> None:
    doctor, told = Doctor(context("gan")), []
    for step in range(20, STEPS + 1, 20):
        told += doctor.update(step, {"nearest_neighbour_distance": 0.05 if 300 <= step < 600 else 1.0})
    (past,) = doctor.now().past
    assert [(f.rule, f.since) for f in told] == [(past.rule, past.since)]
    details = {"findings": [], "past": [{"rule": past.rule, "since": past.since, "until": past.until}]}
    said = f"nothing wrong now in its signals; resolved: mode-collapse from step {past.since} to step {past.until}"
    assert event_line("diagnosis", details) == f"diagnosis: {said}; see `genlab doctor`"
    assert event_line("diagnosis", {"findings": []}) == "diagnosis: nothing wrong in its signals"


@pytest.mark.parametrize("best", [True, False])
def test_an_evaluation_says_whether_its_checkpoint_was_saved_as_best(best: bool) -> None:
    line = event_line("evaluation", {"loss": 1.0, "best": best, "protocol": {}})
    assert line == "evaluation: loss 1" + "  saved as best" * best


def test_a_long_history_is_examined_again_at_few_steps() -> None:
    looks = _examined_steps(run("gan", steps=40_000), [30, 50_000])
    assert looks[:3] == [20, 30, 40]
    assert looks[-1] == 40_000
    assert 100 < len(looks) < 300
