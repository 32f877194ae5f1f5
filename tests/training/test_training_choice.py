"""A run's checkpoint is chosen when it is used, by what was recorded of it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from genlab.core.errors import CheckpointError, UsageError
from genlab.training import checkpoint
from genlab.training.checkpoint import Checkpoint
from genlab.training.choice import best_evaluation, choose
from genlab.training.run_folder import RunFolder

PIXELS = {"criterion": "fd[pixels]", "images": 250, "protocol": {"extractor": "pixels", "fake": 250}}


def run(folder: Path, best: tuple[int, float] | None, last: int, *events: dict[str, Any]) -> RunFolder:
    """Return a run with the checkpoints best, as (step, value), and last."""
    made = RunFolder(folder)
    step, value = best or (None, None)
    for place, at in ((made.best, step), (made.last, last)):
        if at is not None:
            checkpoint.save(
                Checkpoint({"w": torch.zeros(1)}, {}, {"step": at, "best_step": step, "best_value": value}), place
            )
    for event in events:
        made.event(event["step"], "evaluation", {"best": False, **{n: v for n, v in event.items() if n != "step"}})
    return made


def evaluated(step: int, value: float, **more: Any) -> dict[str, Any]:
    return {"step": step, "fd[pixels]": value, **PIXELS, **more}


@pytest.mark.parametrize(
    ("at_end", "name", "line"),
    [
        (56.4, "last", "checkpoint last, step 320: fd[pixels] 56.4 (best, step 200: 119.9)"),
        (130.0, "best", "checkpoint best, step 200 of 320: fd[pixels] 119.9 (last, step 320: 130)"),
        (119.9, "best", "checkpoint best, step 200 of 320: fd[pixels] 119.9 (last, step 320: 119.9)"),
        (float("nan"), "best", "checkpoint best, step 200 of 320: fd[pixels] 119.9 (last, step 320: nan)"),
    ],
)
def test_the_better_of_best_and_last_is_used(tmp_path: Path, at_end: float, name: str, line: str) -> None:
    folder = run(tmp_path, (200, 119.9), 320, evaluated(200, 119.9, best=True), evaluated(320, at_end))
    choice = choose(folder)
    assert (choice.name, choice.step, str(choice)) == (name, {"best": 200, "last": 320}[name], line)
    event = best_evaluation(folder)
    assert event is not None
    assert event["step"] == choice.step
    for which in ("best", "last"):
        assert choose(folder, which).name == which


@pytest.mark.parametrize(
    ("last", "remark"),
    [
        ([], "last, step 320, was not evaluated"),
        ([evaluated(320, 1.0, images=500)], "last, step 320, was measured differently: images 500 instead of 250"),
        (
            [{"step": 320, "fd[x]": 1.0, "criterion": "fd[x]", "images": 250, "protocol": PIXELS["protocol"]}],
            "last, step 320, was measured differently: criterion fd[x] instead of fd[pixels]",
        ),
        (
            [evaluated(320, 1.0, protocol={"extractor": "pixels", "fake": 100})],
            "last, step 320, was measured differently: fake 100 instead of 250",
        ),
    ],
)
def test_best_stays_where_last_cannot_be_compared(tmp_path: Path, last: list[dict[str, Any]], remark: str) -> None:
    folder = run(tmp_path, (200, 119.9), 320, evaluated(200, 119.9, best=True), *last)
    assert str(choose(folder)) == f"checkpoint best, step 200 of 320: fd[pixels] 119.9 ({remark})"


def test_the_protocol_of_the_distance_does_not_matter_to_a_likelihood(tmp_path: Path) -> None:
    one, two = (
        {"step": step, "bits_per_dimension": bits, "criterion": "bits_per_dimension", "protocol": {"fake": fake}}
        for step, bits, fake in ((200, 3.0, 10), (320, 2.0, 20))
    )
    assert choose(run(tmp_path, (200, 3.0), 320, one, two)).name == "last"


def test_an_evaluation_of_a_step_that_was_lost_decides_nothing(tmp_path: Path) -> None:
    """The run ended at 320, was resumed, and killed after a checkpoint at 400."""
    folder = run(tmp_path, (200, 119.9), 400, evaluated(200, 119.9, best=True), evaluated(320, 56.4))
    assert choose(folder).name == "best"
    event = best_evaluation(folder)
    assert event is not None
    assert event["step"] == 200


def test_a_best_checkpoint_that_outlived_a_treatment_keeps_its_own_figure(tmp_path: Path) -> None:
    """The treated run has evaluated other weights at the same step."""
    folder = run(tmp_path, (200, 50.0), 320, evaluated(200, 90.0), evaluated(320, 60.0))
    assert str(choose(folder)) == "checkpoint best, step 200 of 320, not evaluated"


def test_a_run_without_evaluations_has_only_the_last(tmp_path: Path) -> None:
    folder = run(tmp_path, None, 320)
    assert str(choose(folder)) == "checkpoint last, step 320, not evaluated"
    assert best_evaluation(folder) is None
    with pytest.raises(CheckpointError, match="has no best checkpoint"):
        choose(folder, "best")
    with pytest.raises(UsageError, match=r'no checkpoint "worst"\. Choices: best, last'):
        choose(folder, "worst")  # type: ignore[arg-type]


def test_a_damaged_last_leaves_the_best_and_is_named(tmp_path: Path) -> None:
    folder = run(tmp_path, (200, 119.9), 320, evaluated(200, 119.9, best=True), evaluated(320, 1.0))
    (folder.last / "state.json").write_text("{}")
    assert str(choose(folder)) == "checkpoint best, step 200: fd[pixels] 119.9 (last is damaged)"
    (folder.best / "state.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"best.state\.json"):
        choose(folder)
