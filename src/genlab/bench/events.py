"""The time of previews, evaluations, checkpoints and the doctor, relative to the steps between them."""

from functools import partial

from genlab.bench.example import ABOUT, SETTINGS, Example, example
from genlab.bench.measure import Scope, Spread, interleaved, seconds
from genlab.bench.page import Row, Section
from genlab.core.modality import Images
from genlab.diagnosis.doctor import Doctor
from genlab.diagnosis.rule import Context
from genlab.runs.data import SUBSET
from genlab.training import checkpoint
from genlab.training.evaluation import evaluate
from genlab.training.inference import inference_mode
from genlab.training.preview import preview
from genlab.training.probes import LEAST_STEPS, Probes, probed_step
from genlab.training.probes import PROBED as COUNT
from genlab.training.state import collect

STEPS = 8
PREVIEW, EVALUATION, CHECKPOINT, PROBED = "preview", "evaluation", "checkpoint", "probes and rules of the doctor"
LINES = 500  # of history before the measurement
EVERY = {
    PREVIEW: SETTINGS.preview_every,
    EVALUATION: SETTINGS.evaluate_every,
    CHECKPOINT: SETTINGS.checkpoint_every,
    PROBED: LEAST_STEPS,
}


def measure(scope: Scope) -> Section:
    """Time previews, evaluations, checkpoints and the doctor, relative to the steps between them."""
    with example(scope.device) as run:
        works = {
            "step": partial(run.advance, STEPS),
            PREVIEW: partial(_preview, run),
            EVALUATION: partial(_evaluate, run),
            CHECKPOINT: partial(_save, run),
            PROBED: partial(_probe, run, Probes(run.held_out, run.held_out, run.spec.target, 0), _doctor(run)),
        }
        found = interleaved({name: partial(seconds, work) for name, work in works.items()}, scope.repeats)
        size = sum(path.stat().st_size for path in run.folder.last.iterdir())
    steps = [value / STEPS for value in found["step"]]
    weights = sum(parameter.numel() for parameter in run.training.model.parameters())
    rows = [Row(name, Spread.of(found[name]), "s") for name in EVERY]
    shares = {
        name: [100 * value / (every * step) for value, step in zip(found[name], steps, strict=True)]
        for name, every in EVERY.items()
    }
    rows += [
        Row(f"{name} every {every} steps", Spread.of(shares[name]), "%", most=3 if name == PROBED else None)
        for name, every in EVERY.items()
    ]
    total = Spread.of(sum(values) for values in zip(*shares.values(), strict=True))
    rows += [Row("all four", total, "%"), Row("size of a checkpoint", size / 1e6, "MB")]
    method = (
        f"{ABOUT} A preview of {Images.shown} samples is drawn and written as PNG; an evaluation draws {SUBSET:,} "
        f"samples and compares them with as many held-out pictures; a checkpoint holds {weights:,} weights, their "
        "average and the state of both optimizers, is hashed and flushed to the disk; the doctor probes samples "
        f"and scores of {COUNT} images and the weights before and after a step, and checks its rules. Percentages "
        "are of the time of the steps between two of them, at the default intervals."
    )
    return Section("Between steps", method, rows)


def _preview(run: Example) -> None:
    model = run.average.model
    with inference_mode(model):
        run.folder.picture(run.progress.step, preview(model, run.held_out, run.spec, SETTINGS.seed))


def _evaluate(run: Example) -> None:
    model = run.average.model
    with inference_mode(model):
        evaluate(model, run.held_out, SETTINGS.seed)


def _probe(run: Example, probes: Probes, doctor: Doctor) -> None:
    with probed_step(probes, run.training, LEAST_STEPS, LEAST_STEPS) as signals:
        pass
    doctor.due = 0  # else it would not check its rules each time
    doctor.update(len(doctor.lines) * LEAST_STEPS, {name: value.item() for name, value in signals.items()})


def _doctor(run: Example) -> Doctor:
    """Return a doctor with `LINES` lines of history."""
    with probed_step(
        Probes(run.held_out, run.held_out, run.spec.target, 0), run.training, LEAST_STEPS, LEAST_STEPS
    ) as signals:
        pass
    values = {name: value.item() for name, value in signals.items()}
    return Doctor(Context("gan"), ({"step": LEAST_STEPS * line, **values} for line in range(LINES)))


def _save(run: Example) -> None:
    model, rest = collect(run.training, run.average)
    checkpoint.save(checkpoint.Checkpoint(model, rest, run.progress.state()), run.folder.last)
    checkpoint.link(run.folder.last, run.folder.best)
