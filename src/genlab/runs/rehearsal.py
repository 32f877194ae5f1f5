"""Tries a user's own parts before anything is written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from genlab.core.errors import GenlabError, NonFiniteError, UsageError
from genlab.core.random import Randomness, derive_seed, restart_stream
from genlab.data.loader import Loader
from genlab.runs.phases import RunSetup, build, resized
from genlab.training.inference import inference_mode
from genlab.training.preview import preview


def rehearse(run: RunSetup) -> None:
    """Take a step and draw a preview with a user's own parts, before anything is written.

    A step is a function of the seed and its number, so that the run itself does not change.

    Raises:
        UsageError: a part does not do what it should; the message says which parts are used.
    """
    own = ", ".join(f'{part.kind} "{part.name}"' for part in run.plan.parts)
    for number in range(len(run.phases)):
        try:
            with torch.random.fork_rng():
                _first_step(run, number)
        except NonFiniteError as error:
            raise UsageError(
                f"{error.value} in {error.tensor} in the first step with your {own}. Look for a "
                "logarithm or a division near 0, and compare with the built-in parts."
            ) from error
        except GenlabError:
            raise
        except Exception as error:
            raise UsageError(
                f"the first step with your {own} raised {type(error).__name__}: {error}{_line_of(error)}"
            ) from error


def _first_step(run: RunSetup, number: int) -> None:
    """Take the first step of a phase on real data and draw a preview, and forget both."""
    phase = run.phases[number]
    plan, source = replace(run.plan, recipe=phase.recipe), resized(run.source, phase.spec)
    randomness = Randomness(plan.settings.seed, run.shard, run.device)
    training = build(phase.recipe, phase.spec, randomness, plan.dtype(run.device), number)
    batches = Loader(
        source.train, phase.recipe.batch_size, seed=plan.settings.seed, shard=run.shard, device=run.device
    )
    with batches:
        restart_stream(derive_seed(plan.settings.seed, "dropout", 0), run.device)
        training.step(0, batches)
    held_out = source.held_out.batch(np.arange(min(2, len(source.held_out)))).to(run.device)
    with inference_mode(training.model):
        preview(training.model, held_out, phase.spec, plan.settings.seed)


def _line_of(error: BaseException) -> str:
    """Return where an error was raised, if that is outside of genlab and torch."""
    trace, place = error.__traceback__, ""
    while trace:
        file = Path(trace.tb_frame.f_code.co_filename)
        if not {"genlab", "torch"} & set(file.parts):
            place = f" (line {trace.tb_lineno} of {file.name})"
        trace = trace.tb_next
    return place
