"""What happens between steps: previews, evaluations, checkpoints."""

from functools import partial

from example import ABOUT, SETTINGS, Example, example
from genlab.recipes.data import SOME
from genlab.training import checkpoint
from genlab.training.evaluation import evaluate
from genlab.training.preview import PICTURES, preview
from genlab.training.shown import showing
from genlab.training.state import collect
from measure import Spread, in_turns, seconds
from page import Row, Section

STEPS = 8
PREVIEW, EVALUATION, CHECKPOINT = "preview", "evaluation", "checkpoint"
EVERY = {
    PREVIEW: SETTINGS.preview_every,
    EVALUATION: SETTINGS.evaluate_every,
    CHECKPOINT: SETTINGS.checkpoint_every,
}


def measure(repeats: int) -> Section:
    """Time previews, evaluations and checkpoints against the steps between them."""
    with example() as run:
        works = {
            "step": partial(run.advance, STEPS),
            PREVIEW: partial(_preview, run),
            EVALUATION: partial(_evaluate, run),
            CHECKPOINT: partial(_save, run),
        }
        found = in_turns({name: partial(seconds, work) for name, work in works.items()}, repeats)
        size = sum(path.stat().st_size for path in run.folder.last.iterdir())
    steps = [value / STEPS for value in found["step"]]
    weights = sum(parameter.numel() for parameter in run.training.model.parameters())
    rows = [Row(name, Spread.of(found[name]), "s") for name in EVERY]
    shares = {
        name: [100 * value / (every * step) for value, step in zip(found[name], steps, strict=True)]
        for name, every in EVERY.items()
    }
    rows += [Row(f"{name} every {every} steps", Spread.of(shares[name]), "%") for name, every in EVERY.items()]
    together = Spread.of(sum(values) for values in zip(*shares.values(), strict=True))
    rows += [Row("all three", together, "%"), Row("size of a checkpoint", size / 1e6, "MB")]
    method = (
        f"{ABOUT} A preview of {PICTURES} samples is drawn and written as PNG; an evaluation draws {SOME:,} "
        f"samples and compares them with as many held-out pictures; a checkpoint holds {weights:,} weights, their "
        "average and the state of both optimizers, is hashed and waits for the disk. Shares are of the time of "
        "the steps between two of them, at the default rhythm."
    )
    return Section("Between steps", method, rows)


def _preview(run: Example) -> None:
    model = run.average.model
    with showing(model):
        run.folder.picture(run.progress.step, preview(model, run.held_out, SETTINGS.seed))


def _evaluate(run: Example) -> None:
    model = run.average.model
    with showing(model):
        evaluate(model, run.held_out, SETTINGS.seed)


def _save(run: Example) -> None:
    model, rest = collect(run.training, run.average)
    checkpoint.save(checkpoint.Checkpoint(model, rest, run.progress.state()), run.folder.last)
    checkpoint.link(run.folder.last, run.folder.best)
