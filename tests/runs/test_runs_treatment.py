"""A run that fails: told, stopped, or treated; and one that does not fail is left alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import genlab
from genlab.core.errors import NonFiniteError, RunFailureError
from genlab.diagnosis.finding import Change, Evidence, Finding, Remedy
from genlab.recipes.resolve import resolve
from genlab.runs import train
from genlab.runs.diagnose import diagnose_run
from genlab.runs.treatment import TREATMENTS, treat
from genlab.training import checkpoint, saving
from genlab.training.run_folder import RunFolder, find

# A discriminator that is sure of everything within a hundred steps.
UNFAIR: Mapping[str, Any] = {"discriminator_lr": 5e-3, "discriminator_steps": 5, "generator_lr": 1e-5}
TINY: Mapping[str, Any] = {
    "width": 32,
    "batch_size": 16,
    "size": 16,
    "steps": 240,
    "quiet": True,
    "preview_every": 999,
}


@pytest.fixture(autouse=True)
def _no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "write_report", lambda folder: None)


def events(folder: RunFolder, kind: str) -> list[dict[str, Any]]:
    return folder.events(kind)


def test_a_failure_is_reported_once_and_training_goes_on(tmp_path: Path) -> None:
    folder = RunFolder(genlab.train("gan", root=tmp_path, **TINY, **UNFAIR).folder)
    told = [event for event in events(folder, "finding") if event["rule"] == "discriminator-too-strong"]
    assert len(told) == 1
    assert told[0]["step"] <= 200
    assert told[0]["severity"] == "failure"
    assert told[0]["remedies"]
    assert folder.history()[-1]["step"] == 240
    there = [finding.rule for finding in diagnose_run(folder).findings]
    assert "discriminator-too-strong" in there
    assert [event["findings"] for event in events(folder, "diagnosis")] == [there]


def test_a_failure_stops_a_run_that_is_to_stop(tmp_path: Path) -> None:
    with pytest.raises(RunFailureError, match="Discriminator too strong") as caught:
        genlab.train("gan", root=tmp_path, on_failure="stop", **TINY, **UNFAIR)
    assert caught.value.exit_code == 3
    folder = find("gan", tmp_path)
    stopped = int(checkpoint.load(folder.last).state["step"])
    assert stopped - events(folder, "finding")[-1]["step"] in (0, 1)
    assert stopped < 240


def test_treatment_goes_back_and_on_with_a_remedy(tmp_path: Path) -> None:
    result = genlab.train("gan", root=tmp_path, on_failure="treat", **TINY, **UNFAIR)
    folder = RunFolder(result.folder)
    (remedy,) = events(folder, "remedy")
    assert remedy["rule"] == "discriminator-too-strong"
    assert remedy["back to step"] == 0  # nothing was healthy before
    recipe = folder.read_yaml("recipe.yaml")
    for option, value in remedy["changes"].items():
        assert recipe[option] == value
    assert result.progress.step == recipe["steps"] == 240 - remedy["step"]  # the budget is what it was
    steps = [line["step"] for line in folder.history()]
    assert steps == sorted(set(steps))
    assert "discriminator-too-strong" not in [finding.rule for finding in diagnose_run(folder).findings]


@pytest.mark.parametrize("preset", ["dcgan", "conv-vae"])
def test_a_healthy_run_ends_in_the_same_bits_with_treatment(preset: str, tmp_path: Path) -> None:
    weights = []
    for policy in ("warn", "treat"):
        result = genlab.train(
            preset, root=tmp_path, on_failure=policy, checkpoint_every=20, **{**TINY, "width": 4, "steps": 60}
        )
        assert not events(RunFolder(result.folder), "finding")
        weights.append(checkpoint.load(RunFolder(result.folder).last))
    assert weights[0].model.keys() == weights[1].model.keys()
    for name, tensor in weights[0].model.items():
        assert torch.equal(tensor, weights[1].model[name])
    for name, tensor in weights[0].training.items():
        assert torch.equal(tensor, weights[1].training[name])


def test_what_is_not_a_number_is_treated_too(tmp_path: Path) -> None:
    larger = {**TINY, "width": 128, "batch_size": 64}
    result = genlab.train("vae", root=tmp_path, on_failure="treat", lr=1e4, **larger)
    folder = RunFolder(result.folder)
    assert events(folder, "fault")
    assert {event["rule"] for event in events(folder, "remedy")} == {"not-finite"}
    assert folder.read_yaml("recipe.yaml")["lr"] == 1e-3
    assert result.progress.step > 200


def test_without_treatment_what_is_not_a_number_stops_as_ever(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError):
        genlab.train("vae", root=tmp_path, lr=1e4, **TINY)


def failure(since: int, *remedies: Remedy) -> RunFailureError:
    evidence = [Evidence("loss", 1.0, "less")]
    return RunFailureError(
        "failing", Finding("test", "Failing", "failure", since, 60, evidence, "Why.", "", remedies)
    )


SLOWER = Remedy([Change("lr", times=0.5)], "Slower.")
FASTER = Remedy([Change("discriminator_lr", times=2.0)], "Faster.")
LARGER = Remedy([Change("width", to=8)], "Larger.")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run with checkpoints at 20, 40 and 60, of which the one at 40 is the healthy one."""
    options = {**TINY, "width": 4, "steps": 60, "on_failure": "treat", "checkpoint_every": 20}
    return RunFolder(genlab.train("vae", root=tmp_path, **options).folder)


PLAN = resolve("vae", {"width": 4, "steps": 100})


def test_it_goes_back_to_what_was_healthy_before_it_began(folder: RunFolder) -> None:
    treated = treat(PLAN, folder, failure(50, SLOWER))
    assert treated is not None
    assert (treated.restart, treated.changes) == (40, {"lr": 5e-4})
    assert int(checkpoint.load(folder.last).state["step"]) == 40
    assert treated.plan.recipe.steps == 100 - 20


def test_a_remedy_that_the_networks_refuse_is_passed_over(folder: RunFolder) -> None:
    plan = resolve("gan", {"width": 4, "steps": 100})
    treated = treat(plan, folder, failure(50, Remedy([Change("attention", to=8)], "Mlps have none."), FASTER))
    assert treated is not None
    assert treated.changes == {"discriminator_lr": 4e-4}


def test_it_begins_anew_where_the_trouble_is_older(folder: RunFolder) -> None:
    treated = treat(PLAN, folder, failure(30, SLOWER))
    assert treated is not None
    assert treated.restart == 0
    assert not checkpoint.exists(folder.last)


def test_it_begins_anew_where_the_networks_are_others(folder: RunFolder) -> None:
    treated = treat(PLAN, folder, failure(50, LARGER))
    assert treated is not None
    assert treated.restart == 0


def test_the_best_is_kept_while_it_can_be_compared(folder: RunFolder) -> None:
    """The run that goes on from an older state must not take something worse for the best."""
    last = checkpoint.load(folder.last)
    state = {**last.state, "step": 60, "best_step": 60, "best_value": 0.5}
    checkpoint.save(checkpoint.Checkpoint(last.model, last.training, state), folder.best)
    assert treat(PLAN, folder, failure(50, SLOWER)) is not None
    saving.recover(folder)
    _, progress = saving.load_last(folder)
    assert (progress.step, progress.best_step, progress.best_value) == (40, 60, 0.5)
    assert checkpoint.load_state(folder.best)["step"] == 60


@pytest.mark.parametrize("remedy", [LARGER, Remedy([Change("reconstruction", to="l1")], "Sharper.")])
def test_a_best_that_fits_no_more_is_not_kept(folder: RunFolder, remedy: Remedy) -> None:
    checkpoint.link(folder.last, folder.best)
    assert treat(PLAN, folder, failure(50, remedy)) is not None
    assert not checkpoint.exists(folder.best)


def test_remedies_are_tried_in_their_order_and_once(folder: RunFolder) -> None:
    impossible = Remedy([Change("kl_cycles", to=4), Change("kl_warm_up", to=5)], "They exclude each other.")
    unknown = Remedy([Change("discriminator_lr", times=0.5)], "Of another family.")
    order = []
    for _ in range(TREATMENTS + 1):
        treated = treat(PLAN, folder, failure(50, unknown, impossible, SLOWER, LARGER))
        if treated:
            order.append(dict(treated.changes))
            folder.event(60, "remedy", treated.event())
    assert order == [{"lr": 5e-4}, {"width": 8}]


@pytest.mark.parametrize(("steps", "first"), [(200, {"width": 8}), (100, {"lr": 5e-4})])
def test_late_in_a_run_what_it_has_learned_is_kept_if_it_can_be(
    folder: RunFolder, steps: int, first: dict[str, float]
) -> None:
    """It stopped at step 60; to begin anew with the first remedy leaves 140 steps, or only 40."""
    treated = treat(resolve("vae", {"width": 4, "steps": steps}), folder, failure(50, LARGER, SLOWER))
    assert treated is not None
    assert treated.changes == first


def test_three_treatments_are_enough(folder: RunFolder) -> None:
    for number in range(TREATMENTS):
        assert treat(PLAN, folder, failure(50, Remedy([Change("latent", to=3 + number)], "x.")))
        folder.event(60, "remedy", {"rule": "test", "changes": {"latent": 3 + number}, "back to step": 0})
    assert treat(PLAN, folder, failure(50, SLOWER)) is None
