"""Runs in several phases: between two, networks are built anew and weights are kept by name."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import genlab
from genlab.core.batch import Batch
from genlab.core.contract import Signals
from genlab.core.errors import DataError, RunFailureError, UsageError
from genlab.core.modality import DataSpec, Images
from genlab.core.random import Randomness
from genlab.diagnosis.finding import Change, Evidence, Finding, Remedy
from genlab.families.single import SingleObjectiveTraining
from genlab.recipes.autoencoder import AutoencoderRecipe
from genlab.recipes.presets import PRESETS
from genlab.recipes.recipe import Phase, Recipe
from genlab.recipes.vae import VAERecipe
from genlab.runs import callbacks, train
from genlab.runs.diagnose import records
from genlab.runs.phases import build
from genlab.runs.recorded import plan_of
from genlab.runs.treatment import treat
from genlab.training import checkpoint, saving
from genlab.training.average import Average
from genlab.training.checkpoint import Checkpoint
from genlab.training.evaluation import Evaluation
from genlab.training.interruption import Interrupted
from genlab.training.run_folder import RunFolder, find
from genlab.training.state import carry_over, collect

BORDER, STEPS = 10, 20
RHYTHM = {"log_every": 2, "preview_every": 7, "evaluate_every": 4, "checkpoint_every": 3}
OPTIONS: Mapping[str, Any] = {"data": "digits", "size": 16, "seed": 3, "ema": 0.9, "quiet": True, **RHYTHM}


def halved(spec: DataSpec) -> DataSpec:
    """Return the spec of images of half the side."""
    target = spec.target
    assert isinstance(target, Images)
    return replace(spec, target=replace(target, height=target.height // 2, width=target.width // 2))


@dataclass(frozen=True)
class GrowingVAE(VAERecipe):
    """8 px for half of the steps, then 16 px in larger batches."""

    def phases(self, spec: DataSpec) -> Sequence[Phase]:
        return [
            Phase(self.steps // 2, self, halved(spec)),
            Phase(self.steps, replace(self, batch_size=2 * self.batch_size), spec),
        ]


@dataclass(frozen=True)
class TwoStages(AutoencoderRecipe):
    """The same networks, from step `BORDER` on with another learning rate."""

    def phases(self, spec: DataSpec) -> Sequence[Phase]:
        return [Phase(BORDER, self, spec), Phase(self.steps, replace(self, lr=self.lr / 10), spec)]


ENDS = {"encoder.0.1.weight", "decoder.4.weight", "decoder.4.bias"}  # whose shapes depend on the side
SHAPE: Mapping[str, Any] = {"architecture": "mlp", "width": 12, "latent": 3, "batch_size": 8, "steps": STEPS}


@pytest.fixture(autouse=True)
def _presets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS.rows, "growing", GrowingVAE(**SHAPE))
    monkeypatch.setitem(PRESETS.rows, "stages", TwoStages(**SHAPE))
    monkeypatch.setattr(train, "write_report", lambda folder: None)


def run(preset: str, out: Path, **options: Any) -> RunFolder:
    return RunFolder(genlab.train(preset, root=out, **{**OPTIONS, **options}).folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, RunFolder]]:
    """Runs that nobody interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS.rows, "growing", GrowingVAE(**SHAPE))
        patch.setitem(PRESETS.rows, "stages", TwoStages(**SHAPE))
        yield {preset: run(preset, tmp_path_factory.mktemp(preset)) for preset in ("growing", "stages")}


def outcome(folder: RunFolder) -> dict[str, Any]:
    """Return all that must be the same however often a run was interrupted."""
    saved = checkpoint.load(folder.last)
    events = [event for event in folder.events() if event["event"] in ("evaluation", "phase")]
    lines = [*folder.history(), *events, saved.state, saving.best_state(folder)]
    return {
        **{f"model {name}": tensor.numpy().tobytes() for name, tensor in saved.model.items()},
        **{f"training {name}": tensor.numpy().tobytes() for name, tensor in saved.training.items()},
        **{path.name: path.read_bytes() for path in folder.previews()},
        "lines": [
            {n: v for n, v in line.items() if n not in ("seconds", "time", "data_wait_fraction")} for line in lines
        ],
    }


class Crash(Exception):  # noqa: N818
    """The process ends here."""


def stop_at(patch: pytest.MonkeyPatch, step: int, number: int | None) -> None:
    """Let a process get a signal in a step, or die after it."""
    take = SingleObjectiveTraining.step

    def stopped(training: Any, index: int, batches: Iterator[Batch]) -> Signals:
        if index == step and number is None:
            raise Crash
        if index + 1 == step and number is not None:
            os.kill(os.getpid(), number)
        return take(training, index, batches)

    patch.setattr(SingleObjectiveTraining, "step", stopped)


def stopped(out: Path, preset: str, step: int, number: int | None = signal.SIGINT, **options: Any) -> RunFolder:
    """Begin the run called "run", or go on with it, until it is stopped in a step."""
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, step, number)
        begun = (out / "run").exists()
        with pytest.raises((Interrupted, Crash)):
            genlab.resume("run", root=out, quiet=True) if begun else run(preset, out, name="run", **options)
    return find("run", out)


@pytest.mark.parametrize("preset", ["growing", "stages"])
@pytest.mark.parametrize("number", [signal.SIGINT, None], ids=["interrupted", "killed"])
@pytest.mark.parametrize(
    "steps",
    [
        (BORDER,),
        (5, BORDER, BORDER + 1, 17),  # also each alone, slowly
        *(pytest.param((step,), marks=pytest.mark.slow) for step in (5, BORDER + 1, 17)),
    ],
)
def test_a_run_resumes_to_the_same_bits_in_each_phase_and_between_two(
    preset: str, number: int | None, steps: Sequence[int], tmp_path: Path, whole: Mapping[str, RunFolder]
) -> None:
    for step in steps:
        folder = stopped(tmp_path, preset, step, number)
        if number is not None:
            assert checkpoint.load_state(folder.last)["step"] == step
            assert folder.events("interrupted")[-1]["step"] == step
    result = genlab.resume(folder.path, quiet=True)
    assert (result.start_step <= steps[-1], result.progress.step) == (True, STEPS)
    once, often = outcome(whole[preset]), outcome(folder)
    assert [name for name in once if once[name] != often.get(name)] == []
    assert once.keys() == often.keys()


def test_each_phase_trains_and_shows_its_own_images(tmp_path: Path) -> None:
    sides: list[tuple[str, int]] = []

    def noted(kind: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def note(*given: Any, **others: Any) -> Any:
            batch = others["held_out"] if kind == "preview" else given[0].batch
            sides.append((kind, batch.x.shape[-1]))
            return work(*given, **others)

        return note

    with pytest.MonkeyPatch.context() as patch:
        for name in ("preview", "evaluate_on"):
            patch.setattr(callbacks, name, noted(name, getattr(callbacks, name)))
        folder = run("growing", tmp_path)
    expected = {"evaluate_on": [4, 8, BORDER, 12, 16, STEPS], "preview": [7, BORDER, 14, STEPS]}
    for name, steps in expected.items():
        assert [side for kind, side in sides if kind == name] == [8 if step <= BORDER else 16 for step in steps]
    assert [event["step"] for event in folder.events("evaluation")] == expected["evaluate_on"]
    assert [int(path.stem) for path in folder.previews()] == expected["preview"]
    assert [event["step"] for event in folder.events("diagnosis")] == [STEPS]
    assert checkpoint.load_state(folder.last)["batches"] == STEPS  # of 8 images, then of 16


def test_weights_of_the_same_name_and_shape_are_carried_over_and_counted(
    whole: Mapping[str, RunFolder],
) -> None:
    (event,) = whole["growing"].events("phase")
    model = genlab.load(whole["growing"].path, checkpoint="last")
    assert (event["step"], event["phase"]) == (BORDER, 2)
    assert (event["carried"], event["new"]) == (len(model.state_dict()) - len(ENDS), len(ENDS))
    assert model.state_dict().keys() >= ENDS
    (event,) = whole["stages"].events("phase")
    assert event["new"] == 0


def test_the_checkpoint_that_is_loaded_has_the_networks_of_its_phase(
    tmp_path: Path, whole: Mapping[str, RunFolder]
) -> None:
    folder = stopped(tmp_path, "growing", BORDER, signal.SIGTERM)
    for which in ("last", "best"):
        assert genlab.load(folder.path, checkpoint=which).sample(3).shape == (3, 1, 8, 8)  # type: ignore[operator]
        assert genlab.load(whole["growing"].path, checkpoint=which).sample(3).shape == (3, 1, 16, 16)  # type: ignore[operator]
    for at in (folder, whole["growing"]):
        figures = genlab.evaluate(at.path, samples=50, extractor="pixels").figures
        assert "fd[pixels]" in {figure.name for figure in figures}


@pytest.mark.parametrize(("preset", "best"), [("growing", 12), ("stages", 8)])
def test_the_best_checkpoint_is_one_that_later_evaluations_can_be_compared_with(
    preset: str, best: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values of 8 px say nothing about 16 px; the two stages of the same networks are measured alike."""
    values = iter((9.0, 1.0, 5.0, 5.0, 6.0, 7.0))  # at the steps 4, 8, 10, 12, 16, 20
    monkeypatch.setattr(
        callbacks,
        "evaluate_on",
        lambda *_, **__: Evaluation({"fd[pixels]": next(values)}, "fd[pixels]", 1),
    )
    folder = run(preset, tmp_path)
    assert saving.best_state(folder)["step"] == best
    assert checkpoint.load_state(folder.last)["best_step"] == best


def test_a_one_phase_run_has_no_phase_event(tmp_path: Path) -> None:
    folder = run("vae", tmp_path, **{**SHAPE, "steps": 4})
    assert folder.events("phase") == []


def test_the_first_networks_depend_on_the_seed_alone_and_each_phase_has_its_own() -> None:
    recipe, spec = PRESETS["growing"], DataSpec(Images(1, 8, 8))
    first, again, second = (
        build(recipe, spec, Randomness(3), phase=phase).model.state_dict() for phase in (0, 0, 1)
    )
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert not any(torch.equal(tensor, second[name]) for name, tensor in first.items())


def trained(recipe: Recipe, side: int, seed: int, steps: int = 3) -> tuple[Any, Average]:
    training = build(recipe, DataSpec(Images(1, side, side)), Randomness(seed))
    average = Average(training.model, 0.5)
    for step in range(steps):
        x = torch.rand(4, 1, side, side, generator=torch.Generator().manual_seed(step)) * 2 - 1
        training.step(step, iter([Batch(x, torch.arange(4))]))
        average.update(step)
    return training, average


def test_a_parameter_takes_its_optimizer_state_and_its_average_along() -> None:
    recipe = replace(PRESETS["growing"], accumulate=1)
    (before, average), (after, later) = trained(recipe, 8, 0), trained(recipe, 16, 1, steps=0)
    fresh = {name: tensor.clone() for name, tensor in after.model.state_dict().items()}
    saved = Checkpoint(*collect(before, average), {})
    names = set(carry_over(saved, after, later))

    def states(training: Any) -> dict[str, Mapping[str, Tensor]]:
        return {
            name: optimizer.state[parameter]
            for optimizer in training.optimizers.values()
            for name, parameter in training.model.named_parameters()
            if parameter in optimizer.state
        }

    assert fresh.keys() - names == ENDS
    for name, tensor in after.model.state_dict().items():
        carried = name in names
        assert torch.equal(tensor, before.model.state_dict()[name] if carried else fresh[name])
        expected = average.model.state_dict()[name] if carried else fresh[name]
        assert torch.equal(later.model.state_dict()[name], expected)
        assert (name in states(after)) == carried
        for key, value in states(after).get(name, {}).items():
            assert torch.equal(value, states(before)[name][key])
    after.step(3, iter([Batch(torch.zeros(4, 1, 16, 16), torch.arange(4))]))  # the optimizer can go on
    assert states(after).keys() == dict(after.model.named_parameters()).keys()


@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True)])
def test_an_average_may_begin_or_end_with_a_phase(before: bool, after: bool) -> None:
    (one, average), (two, later) = trained(PRESETS["stages"], 8, 0), trained(PRESETS["stages"], 8, 1, steps=0)
    saved = Checkpoint(*collect(one, average if before else None), {})
    carry_over(saved, two, later if after else None)
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(two.model.state_dict()[name], tensor)
        if after:
            assert torch.equal(later.model.state_dict()[name], tensor)


def test_the_doctor_judges_a_phase_by_its_own_history(whole: Mapping[str, RunFolder]) -> None:
    lines, _ = records(whole["growing"])
    assert min(line["step"] for line in lines) > BORDER


@pytest.mark.parametrize(("preset", "step", "border"), [("growing", 5, 12), ("stages", 17, BORDER)])
def test_a_run_may_get_more_steps(preset: str, step: int, border: int, tmp_path: Path) -> None:
    folder = stopped(tmp_path, preset, step)
    assert genlab.resume(folder.path, quiet=True, steps=24).progress.step == 24
    assert [event["step"] for event in folder.events("phase")] == [border]


def test_more_steps_may_not_move_the_end_of_a_phase_that_is_over(tmp_path: Path) -> None:
    folder = stopped(tmp_path, "growing", 17)
    with pytest.raises(UsageError, match="--steps 24 would move the end of a finished phase"):
        genlab.resume(folder.path, quiet=True, steps=24)


def test_minutes_and_patience_end_the_run_and_not_the_phase(tmp_path: Path) -> None:
    result = genlab.train("growing", root=tmp_path, **{**OPTIONS, "minutes": 1e-9})
    assert result.progress.step < BORDER
    assert RunFolder(result.folder).events("phase") == []


def test_phases_that_cannot_be_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="--steps 1 do not divide into 2 phases, which would end at steps 0, 1"):
        run("growing", tmp_path / "runs", steps=1)
    odd = DataSpec(Images(1, 7, 7))
    monkeypatch.setattr(GrowingVAE, "phases", lambda self, spec: [Phase(self.steps, self, odd)])
    with pytest.raises(DataError, match="cannot be resized"):
        run("growing", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def failure(since: int, *changes: Change) -> RunFailureError:
    evidence = [Evidence("loss", 1.0, "less")]
    remedy = Remedy(list(changes), "Better.")
    return RunFailureError("", Finding("test", "Failing", "failure", since, 18, evidence, "Why.", "", [remedy]))


@pytest.mark.parametrize(
    ("preset", "steps", "changes", "healthy", "since", "restart"),
    [
        ("stages", 60, {"lr": 1e-4}, 9, 17, 9),
        ("stages", 60, {"lr": 1e-4}, 15, 17, 15),
        ("stages", 60, {"lr": 1e-4}, 9, 5, 0),  # the failure is older than the healthy checkpoint
        ("stages", 60, {"width": 8}, 9, 17, 0),  # the networks differ
        ("growing", 60, {"lr": 1e-4}, 15, 17, 15),
        ("growing", 20, {"lr": 1e-4}, 15, 17, 0),  # with fewer steps the first phase would have ended before
        ("stages", 20, {"width": 8}, 9, 17, None),  # too few steps are left for two phases
    ],
)
def test_a_treatment_goes_back_to_a_phase_that_it_can_continue(
    preset: str,
    steps: int,
    changes: Mapping[str, float],
    healthy: int,
    since: int,
    restart: int | None,
    tmp_path: Path,
) -> None:
    folder = stopped(tmp_path, preset, healthy, steps=steps, on_failure="treat")
    checkpoint.link(folder.last, folder.healthy)
    found = failure(since, *(Change(name, to=value) for name, value in changes.items()))
    treated = treat(plan_of(folder), folder, found)
    assert (treated and treated.restart) == restart
    if not treated:
        return
    assert checkpoint.exists(folder.last) == (treated.restart > 0)
    assert treated.plan.recipe.steps == (left := steps - 18 + treated.restart)
    folder.write_yaml("recipe.yaml", treated.plan.changed({"on_failure": "warn"}).values())
    assert genlab.resume(folder.path, quiet=True).progress.step == left
