"""Progressive growing: fading, weights that survive a phase, and runs that are interrupted at its border."""

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate

import genlab
from genlab.architectures.growing import set_fade
from genlab.core.batch import Batch
from genlab.core.contract import Signals
from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec, Images
from genlab.core.random import Randomness
from genlab.families.gan import GAN
from genlab.families.growing import GrowingGANTraining
from genlab.recipes.growing import GrowingGANRecipe
from genlab.recipes.resolve import resolve
from genlab.runs.phases import build, phases_of
from genlab.training import checkpoint
from genlab.training.interruption import Interrupted
from genlab.training.run_folder import RunFolder

SMALL: Mapping[str, Any] = {"width": 2, "latent": 4, "batch_size": 4, "steps": 12}
SPEC = DataSpec(Images(1, 16, 16), {})
BORDER = 6  # the step at which images of 8 pixels become images of 16


def recipe(**options: Any) -> GrowingGANRecipe:
    made = resolve("progressive-gan", {**SMALL, **options}).recipe
    assert isinstance(made, GrowingGANRecipe)
    return made


def models() -> tuple[GAN, GAN]:
    """Return the networks of both phases, the second with the weights of the first."""
    torch.manual_seed(0)
    before, after = (phase.recipe.model(phase.spec) for phase in recipe().phases(SPEC))
    assert isinstance(before, GAN)
    assert isinstance(after, GAN)
    known, ours = before.state_dict(), after.state_dict()
    shared = {n: known[n] for n in known.keys() & ours.keys() if known[n].shape == ours[n].shape}
    after.load_state_dict(shared, strict=False)
    return before.eval(), after.eval()


def test_phases_double_the_side_and_halve_the_width() -> None:
    phases = recipe(steps=40, grow_from=4, phase_batches=(8, 4, 2), phase_rates=(1.0, 1.0, 0.5)).phases(SPEC)
    assert [phase.steps for phase in phases] == [13, 26, 40]
    assert [phase.spec.target.shape[-1] for phase in phases] == [4, 8, 16]
    plans = [phase.recipe for phase in phases]
    assert [plan.width for plan in plans] == [8, 4, 2]
    assert [plan.batch_size for plan in plans] == [8, 4, 2]
    assert [plan.generator_lr for plan in plans if isinstance(plan, GrowingGANRecipe)] == [1e-3, 1e-3, 5e-4]


def test_all_layers_but_the_newest_survive_a_phase() -> None:
    before, after = models()
    kept, now = before.state_dict(), after.state_dict()
    new = {name for name in now if name not in kept or kept[name].shape != now[name].shape}
    assert new
    assert all(".16." in name for name in new)  # blocks and images of the newest side
    gone = kept.keys() - now.keys()
    assert all(".images.4." in name for name in gone)


def test_without_the_newest_layers_both_networks_are_those_before() -> None:
    before, after = models()
    set_fade(after, 0.0)
    latents, large = torch.randn(5, 4), torch.randn(5, 1, 16, 16)
    enlarged = interpolate(before.generator(latents), scale_factor=2, mode="nearest")
    torch.testing.assert_close(after.generator(latents), enlarged)
    torch.testing.assert_close(after.discriminate(large).scores, before.discriminate(avg_pool2d(large, 2)).scores)


def test_with_the_newest_layers_nothing_of_the_small_image_is_left() -> None:
    _, after = models()
    latents, large = torch.randn(5, 4), torch.randn(5, 1, 16, 16)
    set_fade(after, 1.0)
    whole, scores = after.generator(latents), after.discriminate(large).scores
    for network in (after.generator, after.discriminator):
        for name, parameter in network.named_parameters():
            if ".images.8." in f".{name}":
                nn.init.normal_(parameter)
    assert torch.equal(after.generator(latents), whole)
    assert torch.equal(after.discriminate(large).scores, scores)


def test_images_are_mixed_in_between() -> None:
    _, after = models()
    made = []
    for alpha in (0.0, 0.25, 1.0):
        set_fade(after, alpha)
        made.append(after.generator(torch.ones(2, 4)))
    torch.testing.assert_close(made[1], 0.75 * made[0] + 0.25 * made[2])


def test_new_layers_fade_in_from_the_border_on() -> None:
    first, last = recipe(fade_steps=4).phases(SPEC)
    alphas = []
    for phase in (first, last):
        assert isinstance(phase.recipe, GrowingGANRecipe)
        alphas.append([phase.recipe.fading()(step) for step in (0, BORDER, BORDER + 1, BORDER + 4, 11)])
    assert alphas == [[1.0] * 5, [0.0, 0.0, 0.25, 1.0, 1.0]]


def test_a_training_sets_the_part_of_the_newest_layers() -> None:
    last = recipe().phases(SPEC)[-1]
    training = build(last.recipe, last.spec, Randomness(0))
    batch = Batch(torch.rand(4, 1, 16, 16), torch.arange(4), {})
    signals = training.step(BORDER, iter([batch]))
    assert signals["fade"] == 0
    assert {"drift_penalty", "wgan-gp_penalty"} <= signals.keys()
    fades = [value for name, value in training.model.state_dict().items() if name.endswith("fade")]
    assert [int(value) for value in fades] == [0, 0]


def test_a_run_resumes_to_the_same_bits_before_at_and_after_the_border(tmp_path: Path) -> None:
    options = {"data": "digits", "size": 16, "seed": 2, "ema": 0.9, "quiet": True, "device": "cpu", **SMALL}
    whole = genlab.train("progressive-gan", root=tmp_path, name="whole", **options)
    take = GrowingGANTraining.step
    for number, stop in enumerate((BORDER - 1, BORDER, BORDER + 1)):

        def stopped(training: Any, step: int, batches: Any, stop: int = stop) -> Signals:
            if step + 1 == stop:
                os.kill(os.getpid(), signal.SIGINT)
            return take(training, step, batches)

        begin = partial(genlab.train, "progressive-gan", name="part", **options)
        go_on = partial(genlab.resume, "part", quiet=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(GrowingGANTraining, "step", stopped)
            with pytest.raises(Interrupted):
                (go_on if number else begin)(root=tmp_path)
    again = genlab.resume("part", root=tmp_path, quiet=True)
    once, often = (checkpoint.load(RunFolder(result.folder).last) for result in (whole, again))
    for one, two in ((once.model, often.model), (once.training, often.training)):
        assert one.keys() == two.keys()
        assert [name for name in one if not torch.equal(one[name], two[name])] == []


def test_more_steps_leave_the_phases_that_are_over() -> None:
    planned = recipe(steps=40, grow_from=4)
    longer = replace(planned, steps=100, **planned.keeping_phases(100, 20, SPEC))
    assert [phase.steps for phase in phases_of(longer, SPEC)] == [13, 56, 100]
    assert planned.keeping_phases(100, 5, SPEC) == {}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"grow_from": 6}, "--grow-from 6 cannot be doubled to these"),
        ({"grow_at": (3, 6)}, "--grow-at has 2 steps, but the side doubles 1 times: 8, 16 pixels"),
        ({"phase_batches": (4, 4, 4)}, "--phase-batches has 3 values for 2 phases"),
        ({"grow_at": (12,)}, "do not divide into 2 phases"),
    ],
)
def test_phases_that_cannot_be_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        phases_of(recipe(**options), SPEC)


def test_images_of_the_full_side_from_the_start_are_one_phase() -> None:
    (phase,) = recipe(grow_from=16).phases(SPEC)
    assert (phase.steps, phase.spec) == (SMALL["steps"], SPEC)
