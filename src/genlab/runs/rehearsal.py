"""Tries a user's own parts before anything is written."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genlab.core.errors import GenlabError, NonFiniteError, UsageError
from genlab.core.parts import LATER
from genlab.core.random import Randomness, derive_seed, restart_stream
from genlab.data.loader import Loader
from genlab.runs.phases import RunSetup, build, resized
from genlab.training.inference import inference_mode
from genlab.training.preview import preview

PACKAGES = (Path(__file__).parents[1], Path(torch.__file__).parent)


def rehearse(run: RunSetup) -> Mapping[str, str]:
    """Take a step twice and draw a preview, before anything is written, if a recipe has parts of a user.

    A step is a function of the seed and its number, so that the run itself does not change.

    Returns:
        A note for the run if the two steps differ, so that a resumed run will not have the same bits.

    Raises:
        UsageError: a part does not do what it should; the message says which parts are used.
    """
    notes: dict[str, str] = {}
    parts = [part for part in run.plan.parts if part.kind not in LATER]
    own = ", ".join(f'{part.kind} "{part.name}"' for part in parts)
    for number in range(len(run.phases)) if parts else ():
        try:
            with torch.random.fork_rng():
                one, two = _first_step(run, number), _first_step(run, number)
            if not all(torch.equal(value, two[name]) for name, value in one.items()):
                notes["not reproducible"] = (
                    f"the first step with your {own} has other bits each time: a resumed run will differ from an "
                    "uninterrupted one. Draw random numbers with torch, which is seeded in each step"
                )
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
    return notes


def _first_step(run: RunSetup, number: int) -> Mapping[str, Tensor]:
    """Take the first step of a phase on real data and draw a preview; return the weights after it."""
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
    return training.model.state_dict()


def _line_of(error: BaseException) -> str:
    """Return where an error was raised, if that is outside of genlab and torch."""
    trace, place = error.__traceback__, ""
    while trace:
        file = Path(trace.tb_frame.f_code.co_filename)
        if not any(file.is_relative_to(package) for package in PACKAGES):
            place = f" (line {trace.tb_lineno} of {file.name})"
        trace = trace.tb_next
    return place
