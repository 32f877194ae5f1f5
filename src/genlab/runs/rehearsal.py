"""Tries a user's own parts before anything is written."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from genlab.architectures.own import OwnNetwork
from genlab.core.batch import Batch
from genlab.core.condition import required_conditions
from genlab.core.contract import Samples, Training
from genlab.core.errors import GenlabError, NonFiniteError, UsageError
from genlab.core.parts import LATER, Part, line_of
from genlab.core.random import Randomness, derive_seed, generator, restart_stream
from genlab.data.loader import Loader
from genlab.recipes.recipe import Recipe
from genlab.runs.phases import RunSetup, build, resized
from genlab.training.inference import inference_mode
from genlab.training.preview import preview

State = Mapping[str, Tensor]
FEW = 2  # steps of a user's own sampler, and examples


def rehearse(run: RunSetup) -> Mapping[str, str]:
    """Take a step twice, sample and draw a preview, before anything is written, if a recipe has parts of a user.

    A step is a function of the seed and its number, so that the run itself does not change.

    Returns:
        Notes for the run: what will not be reproducible, and which weights do not learn.

    Raises:
        UsageError: a part does not do what it should; the message says which parts are used.
    """
    parts = [part for part in run.plan.parts if part.kind not in LATER]
    notes: dict[str, str] = {}
    if not parts:
        return notes
    own = names_of(parts)
    for number in range(len(run.phases)):
        try:
            with torch.random.fork_rng():
                one, two = (_first_step(run, number, parts, notes) for _ in range(2))
        except NonFiniteError as error:
            raise UsageError(
                f"{error.value} in {error.tensor} in the first step with your {own}. Look for a logarithm or a "
                "division near 0, and compare with the built-in parts."
            ) from error
        except GenlabError:
            raise
        except Exception as error:
            raise UsageError(
                f"the first step with your {own} raised {type(error).__name__}: {error}{line_of(error)}"
            ) from error
        if not all(torch.equal(value, two[name]) for name, value in one.items()):
            notes["not reproducible"] = (
                f"the first step with your {own} has other bits each time: a resumed run will differ from an "
                "uninterrupted one. Draw random numbers with torch, which is seeded in each step"
            )
    return notes


def names_of(parts: Sequence[Part]) -> str:
    """Return kinds and names of parts for a message."""
    return ", ".join(f'{part.kind} "{part.name}"' for part in parts)


def _first_step(run: RunSetup, number: int, parts: Sequence[Part], notes: dict[str, str]) -> State:
    """Take the first step of a phase on real data, and use the model; return the weights after the step."""
    phase, settings = run.phases[number], run.plan.settings
    source, recipe = resized(run.source, phase.spec), _with_few_steps(phase.recipe, parts)
    for step in (0, phase.steps // 2, phase.steps - 1):
        recipe.rate()(step)
    randomness = Randomness(settings.seed, run.shard, run.device)
    dtype = replace(run.plan, recipe=recipe).dtype(run.device)
    training = build(recipe, phase.spec, randomness, dtype, number)
    names = training.model.state_dict().keys()
    batches = Loader(
        source.train,
        recipe.batch_size,
        seed=settings.seed,
        shard=run.shard,
        device=run.device,
        flip=settings.flip,
        shift=settings.shift,
        balance=settings.balance,
    )
    with batches:
        restart_stream(derive_seed(settings.seed, "layers", 0), run.device)
        training.step(0, batches)
    after = {name: value.clone() for name, value in training.model.state_dict().items()}
    _check_weights(names, training, parts, notes)
    held_out = source.held_out.batch(np.arange(min(FEW, len(source.held_out)))).to(run.device)
    with inference_mode(training.model):
        _check_samples(training.model, held_out, phase.spec.target.shape, parts)
        preview(training.model, held_out, phase.spec, settings.seed)
    changed = [name for name, value in training.model.state_dict().items() if not torch.equal(value, after[name])]
    if changed:
        notes["not reproducible"] = (
            f"{', '.join(changed[:3])} of your {names_of(parts)} change when the model is only used: a resumed "
            "run will differ from an uninterrupted one. Change them only if self.training"
        )
    return after


def _with_few_steps(recipe: Recipe, parts: Sequence[Part]) -> Recipe:
    """Return the recipe with few steps of a user's own sampler, which is tried, too."""
    if any(part.kind == "sampler" for part in parts):
        return replace(recipe, sampling_steps=FEW)  # type: ignore[call-arg]
    return recipe


def _check_weights(
    before: Collection[str], training: Training, parts: Sequence[Part], notes: dict[str, str]
) -> None:
    """Refuse layers that the step has made, and networks that get no gradient; note single weights without one."""
    model, own = training.model, names_of(parts)
    late = [name for name in model.state_dict() if name not in before]
    if late:
        raise UsageError(
            f"your {own} made {', '.join(late[:3])} in `forward`, too late for the optimizer and for checkpoints. "
            "Make all layers in __init__."
        )
    idle = {name for name, p in model.named_parameters() if p.requires_grad and p.grad is None}
    own_networks = [(name, module) for name, module in model.named_modules() if isinstance(module, OwnNetwork)]
    for name, network in (*own_networks, *model.named_children()):
        learning = {f"{name}.{each}" for each, p in network.named_parameters() if p.requires_grad}
        if learning and learning <= idle:
            raise UsageError(
                f"the {name} gets no gradient with your {own}, so that it cannot learn. Look for .detach(), "
                ".item(), .numpy() or torch.no_grad() in them."
            )
    if idle:
        listed = ", ".join(sorted(idle)[:3])
        notes["not trained"] = f"{listed}: these weights got no gradient in the first step with your {own}"


def _check_samples(model: nn.Module, held_out: Batch, shape: tuple[int, ...], parts: Sequence[Part]) -> None:
    """Refuse samples of another shape than the data's, and samples that are not finite."""
    if not isinstance(model, Samples) or not any(part.kind in ("sampler", "family") for part in parts):
        return
    count = len(held_out)
    given = held_out.condition_for(required_conditions(model.conditions))
    made = model.sample(count, given, generator(0, "rehearsal"))
    wanted = (count, *shape)
    if not isinstance(made, Tensor) or tuple(made.shape) != wanted or not made.isfinite().all():
        got = f"shape {tuple(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
        got = "NaN or infinite values" if got == f"shape {wanted}" else got
        raise UsageError(f"samples with your {names_of(parts)} must have the shape {wanted}, not {got}.")
