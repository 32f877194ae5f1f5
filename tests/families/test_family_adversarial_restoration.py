"""Restoration against a discriminator, after pretraining by distance alone."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import genlab
from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec, Images
from genlab.core.player import Player
from genlab.data.source import open_source
from genlab.families.adversarial_restoration import AdversarialRestorer
from genlab.recipes.adversarial_restoration import AdversarialRestorationRecipe
from genlab.recipes.presets import PRESETS
from genlab.recipes.recipe import Recipe
from genlab.recipes.resolve import override
from genlab.runs import train
from genlab.training import checkpoint
from genlab.training.model_probes import ProbeInput, fidelity
from genlab.training.run_folder import RunFolder
from reading import opened

BORDER, STEPS = 3, 6
OPTIONS: Mapping[str, Any] = {
    "data": "digits",
    "size": 32,
    "width": 4,
    "blocks": 1,
    "discriminator": "patch-16",
    "discriminator_width": 4,
    "batch": 4,
    "steps": STEPS,
    "ema": 0.5,
    "log_every": 1,
    "preview_every": 100,
    "evaluate_every": 100,
    "checkpoint_every": 1,
    "extractor": "pixels",
    "quiet": True,
}
SPEC = DataSpec(Images(1, 32, 32), {"source": Images(1, 8, 8)})


@pytest.fixture(autouse=True)
def _briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "write_report", lambda folder: None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nobody interrupted."""
    return RunFolder(genlab.train("srgan", root=tmp_path_factory.mktemp("whole"), **OPTIONS).folder)


@pytest.fixture(scope="module")
def sources() -> Tensor:
    return open_source("digits", size=8).held_out.batch(range(4)).x


def small(preset: str = "srgan", **changes: Any) -> Recipe:
    few = {"width": 4, "blocks": 1, "discriminator": "patch-16", "discriminator_width": 4, "steps": STEPS}
    return replace(PRESETS[preset], **few, **changes)


@pytest.fixture(scope="module", params=[BORDER, BORDER + 1], ids=["between", "adversarial"])
def dead(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that died after a step, in the next update of a generator."""
    update, left = Player.update, request.param

    def dying(player: Player, index: int) -> Any:
        nonlocal left
        if player.name != "discriminator":
            left -= 1
        if left < 0:
            raise RuntimeError
        return update(player, index)

    out = tmp_path_factory.mktemp("dead")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Player, "update", dying)
        with pytest.raises(RuntimeError):
            genlab.train("srgan", root=out, name="run", **OPTIONS)
    folder = RunFolder(out / "run")
    assert checkpoint.load_state(folder.last)["step"] == request.param
    return folder


def test_a_run_that_dies_goes_on_to_the_same_bits_with_the_averaged_weights_of_pretraining(
    dead: RunFolder, tmp_path: Path, whole: RunFolder
) -> None:
    folder = RunFolder(shutil.copytree(dead.path, tmp_path / "run"))
    before = checkpoint.load(folder.last).model
    assert genlab.resume(folder.path, quiet=True).progress.step == STEPS
    once, often = checkpoint.load(whole.last), checkpoint.load(folder.last)
    for first, second in ((once.model, often.model), (once.training, often.training)):
        assert first.keys() == second.keys()
        assert [name for name in first if not torch.equal(first[name], second[name])] == []
    kept = {name: its for name, its in often.model.items() if name.startswith("pretrained.")}
    had = "network" if "discriminator.score.bias" not in before else "pretrained"
    for name, its in kept.items():
        assert torch.equal(its, before[name.replace("pretrained", had, 1)])
    assert len(kept) == len([name for name in before if name.startswith("network.")])
    assert not torch.equal(kept["pretrained.last.weight"], often.model["network.last.weight"])


def test_alpha_mixes_the_weights_of_both_phases(whole: RunFolder, sources: Tensor) -> None:
    given = {"source": sources}
    zero, half, one = (genlab.load(whole.path, checkpoint="last", alpha=alpha) for alpha in (0.0, 0.5, 1.0))
    assert isinstance(one, AdversarialRestorer)
    assert one.pretrained is not None
    torch.testing.assert_close(zero.sample(4, given), one.pretrained(sources).clamp(-1, 1))  # type: ignore[operator]
    assert torch.equal(one.sample(4, given), one.network(sources).clamp(-1, 1))
    weights = one.network.state_dict()
    mixed = {name: (its + one.pretrained.state_dict()[name]) / 2 for name, its in weights.items()}
    expected = half.sample(4, given)  # type: ignore[operator]
    one.network.load_state_dict(mixed)
    torch.testing.assert_close(expected, one.network(sources).clamp(-1, 1))


def test_the_doctor_gets_the_psnr_that_the_adversary_has_cost(whole: RunFolder) -> None:
    model, batch = genlab.load(whole.path, checkpoint="last"), opened(small(), 32).held_out.batch(range(8))
    assert isinstance(model, AdversarialRestorer)
    model.network.load_state_dict({name: 1.5 * its for name, its in model.network.state_dict().items()})
    made = {alpha: model.interpolated(batch.condition, alpha) for alpha in (0.0, 1.0)}
    before, now = (
        (10 * (4 / (images - batch.x).square().mean((1, 2, 3))).log10()).mean() for images in made.values()
    )
    given = ProbeInput(model, batch, batch, SPEC.target, seed=0, step=1)
    torch.testing.assert_close(fidelity(given)["psnr_lost"], before - now)
    assert before != now
    alone = small(pretraining=0.0).model(SPEC)
    assert fidelity(replace(given, model=alone)) == {}


def test_pretraining_has_no_other_loss_than_the_distance(whole: RunFolder) -> None:
    first, *_, last = whole.history()
    assert {"perceptual_loss", "pixel_loss", "generator_loss"} <= last.keys()
    assert not {"perceptual_loss", "generator_loss"} & first.keys()


def test_the_features_are_no_part_of_the_model(whole: RunFolder) -> None:
    parts = {name.partition(".")[0] for name in checkpoint.load(whole.last).model}
    assert parts == {"network", "pretrained", "discriminator"}


def test_a_run_gets_more_steps_without_more_pretraining() -> None:
    recipe = small()
    assert isinstance(recipe, AdversarialRestorationRecipe)
    for steps in (7, 11, 999):
        longer = replace(recipe, steps=steps, **recipe.keeping_phases(steps, BORDER, SPEC))
        assert longer.pretraining_steps == BORDER
    assert recipe.keeping_phases(100, BORDER - 1, SPEC) == {}  # pretraining goes on, and becomes longer


def test_each_phase_has_a_schedule_and_a_learning_rate_of_its_own() -> None:
    recipe = small(lr=1e-4, pretraining_lr=5e-4)
    first, last = recipe.phases(SPEC)
    assert (first.steps, last.steps) == (BORDER, STEPS)
    assert [round(first.recipe.rate()(step), 2) for step in (0, BORDER)] == [1.0, 0.0]
    assert [round(last.recipe.rate()(step), 2) for step in (BORDER, STEPS)] == [1.0, 0.0]
    assert first.recipe.lr == 5e-4  # type: ignore[attr-defined]


def test_the_most_faithful_checkpoint_is_not_the_best_of_adversarial_training() -> None:
    first, last = small().phases(SPEC)
    assert (first.recipe.decided_by_truth, last.recipe.decided_by_truth) == (True, False)


def test_alpha_without_pretraining_is_refused() -> None:
    recipe = override(small(), {"alpha": 0.5, "pretraining": 0.0})
    with pytest.raises(UsageError, match=r"--alpha 0.5 has no effect.*set --pretraining 0.5"):
        recipe.refuse(SPEC)
