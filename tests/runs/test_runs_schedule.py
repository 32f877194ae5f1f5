"""Resuming for another number of steps: schedules are stretched or kept as the user says, and that is recorded."""

from pathlib import Path
from typing import Any

import pytest
import torch

import genlab
from genlab.core.errors import UsageError
from genlab.runs import train
from genlab.runs.run import Run

TINY: dict[str, Any] = {"data": "ring8", "width": 4, "batch_size": 8, "quiet": True}
EASED: dict[str, Any] = {"lr_schedule": "linear", "instance_noise": 0.5}


@pytest.fixture(autouse=True)
def _no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "write_report", lambda folder: None)  # half a second each, tested elsewhere


def same(one: Run, two: Run) -> bool:
    """Whether two runs ended with the same bits."""
    first, second = (run.load(checkpoint="last").state_dict() for run in (one, two))
    return all(torch.equal(first[name], second[name]) for name in first)


def note(run: Run) -> str:
    """Return the newest note on schedules."""
    return next(str(e["schedule"]) for e in reversed(run._files.events("note")) if "schedule" in e)


def test_other_steps_under_a_schedule_are_asked_about_with_both_answers(tmp_path: Path) -> None:
    run = genlab.train("gan", steps=4, root=tmp_path, **TINY, **EASED)
    assert f"genlab resume {tmp_path / 'gan'} --steps 8 --stretch-schedule" in str(run)
    before = (run.folder / "recipe.yaml").read_text()
    with pytest.raises(UsageError) as caught:
        genlab.resume(run, steps=8, quiet=True)
    for words in (
        "planned for 4 steps",
        "--stretch-schedule to fit them to it, so that they jump at step 4 (--lr-schedule from 0 to 0.5, "
        "--instance-noise from 0 to 0.25)",
        "--keep-schedule to leave them as they were planned; after step 4 --lr-schedule stays at 0, "
        "--instance-noise stays at 0",
    ):
        assert words in str(caught.value)
    assert (run.folder / "recipe.yaml").read_text() == before
    assert genlab.resume(run, steps=4, quiet=True).step == 4
    with pytest.raises(UsageError, match="already at step 4, beyond --steps 2"):
        genlab.resume(run, steps=2, quiet=True)
    for wrong in ({"steps": 8, "stretch_schedule": True, "keep_schedule": True}, {"keep_schedule": True}):
        with pytest.raises(UsageError, match="--stretch-schedule and --keep-schedule"):
            genlab.resume(run, quiet=True, **wrong)


def test_a_burn_in_that_fewer_steps_cut_short_is_asked_about_and_a_whole_one_is_not(tmp_path: Path) -> None:
    cut, whole = (genlab.train("gan", steps=4, burn_in=steps, root=tmp_path, **TINY) for steps in (8, 2))
    with pytest.raises(UsageError, match=r"jump at step 4 \(--burn-in from 1 to 0\.5\)"):
        genlab.resume(cut, steps=8, quiet=True)
    for run, answer in ((cut, {"stretch_schedule": True}), (whole, {})):
        assert genlab.resume(run, steps=8, quiet=True, **answer).step == 8


def test_a_kept_schedule_gives_the_bits_of_the_course_as_planned(tmp_path: Path) -> None:
    """Within the planned steps, and beyond them at the last value."""
    cut = genlab.train("gan", steps=2, schedule_steps=4, root=tmp_path, **TINY, **EASED)
    for steps in (3, 4):
        cut = genlab.resume(cut, steps=steps, quiet=True)  # asks nothing: the length is part of the recipe
    assert same(cut, genlab.train("gan", steps=4, root=tmp_path, **TINY, **EASED))

    kept = genlab.train("gan", steps=3, root=tmp_path, **TINY, **EASED)
    kept = genlab.resume(kept, steps=5, keep_schedule=True, quiet=True)
    assert note(kept) == "kept as planned for 3 steps"
    assert kept.plan.recipe.schedule_steps == 3
    kept = genlab.resume(kept, steps=6, quiet=True)
    assert same(kept, genlab.train(str(kept.folder / "recipe.yaml"), root=tmp_path, quiet=True))


def test_a_stretched_schedule_ends_with_the_new_steps_and_is_asked_about_again(tmp_path: Path) -> None:
    run = genlab.train("gan", steps=2, root=tmp_path, **TINY, **EASED)
    run = genlab.resume(run, steps=4, stretch_schedule=True, quiet=True)
    jumps = "--lr-schedule from 0 to 0.5, --instance-noise from 0 to 0.25"
    assert note(run) == f"stretched from 2 to 4 steps at step 2: {jumps}"
    assert run.plan.recipe.schedule_steps is None
    with pytest.raises(UsageError, match="planned for 4 steps"):
        genlab.resume(run, steps=6, quiet=True)
    run = genlab.resume(run, steps=6, keep_schedule=True, quiet=True)
    run = genlab.resume(run, steps=8, stretch_schedule=True, quiet=True)
    assert run.plan.recipe.schedule_steps is None
    assert note(run).startswith("stretched from 4 to 8 steps at step 6: --lr-schedule from 0 to 0.25")


def test_the_cycles_of_a_kl_weight_are_a_schedule_and_its_warm_up_is_none(tmp_path: Path) -> None:
    cycles = genlab.train("vae", steps=2, kl_cycles=1, root=tmp_path, **TINY)
    with pytest.raises(UsageError, match=r"--kl-cycles from 1 to 0\.5"):
        genlab.resume(cycles, steps=8, quiet=True)
    warm = genlab.train("vae", steps=2, kl_warm_up=4, root=tmp_path, **TINY)
    warm = genlab.resume(warm, steps=5, quiet=True)
    assert same(warm, genlab.train("vae", steps=5, kl_warm_up=4, root=tmp_path, **TINY))


def test_a_rate_of_a_user_is_asked_about_only_if_the_steps_matter_to_it(tmp_path: Path) -> None:
    def halving(step: int, steps: int) -> float:
        return float(0.5**step)

    def falling(step: int, steps: int) -> float:
        return 1 - step / steps

    run = genlab.train("vae", steps=2, lr_schedule=halving, root=tmp_path, **TINY)
    assert genlab.resume(run, steps=3, quiet=True).step == 3
    run = genlab.train("vae", steps=2, lr_schedule=falling, root=tmp_path, **TINY)
    with pytest.raises(UsageError, match=r"--lr-schedule from 0 to 0\.3333"):
        genlab.resume(run, steps=3, quiet=True)
    assert genlab.resume(run, steps=3, keep_schedule=True, quiet=True).step == 3


def test_a_length_of_schedules_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--schedule-steps 3 has no effect"):
        genlab.train("gan", steps=2, schedule_steps=3, root=tmp_path, **TINY)
