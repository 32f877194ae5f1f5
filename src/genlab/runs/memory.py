"""Refuses what cannot fit into memory, by an estimate, before networks are built.

The estimate is a lower bound: a run that would fit is never refused.
"""

import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from genlab.core.errors import CheckpointError, GenlabError, UsageError
from genlab.core.memory import memory_of, written_bytes
from genlab.recipes.fields import flag
from genlab.recipes.recipe import Phase, Recipe

SIZES = ("width", "depth", "latent", "levels", "flow_steps", "pack", "blocks")  # options that networks grow with
PER_BATCH = ("batch_size", "importance_samples")
SLACK = 3  # times what is saved: a parametrised weight is registered twice
FLOAT, INDEX = 4, 16  # bytes of a number, and of a position in the data set with its epoch


def outline(phase: Phase) -> nn.Module:
    """Return the networks of a phase without memory for their weights, which have shapes only.

    Those of splines, which need real weights, are built.

    Raises:
        UsageError: they have more weights than the machine can hold, or count.
    """
    error = UsageError(f"these networks have more weights than this machine can hold. {_lower(phase.recipe)}")
    with _no_more_than(memory_of(torch.device("cpu")) or math.inf, error), torch.device("meta"):
        return phase.recipe.model(phase.spec)


@contextmanager
def no_larger_than(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Refuse to build networks in the context that are far larger than `tensors`, as soon as this is known.

    Raises:
        CheckpointError: the recipe was changed since the tensors were saved.
    """
    error = CheckpointError(
        "the checkpoint does not fit its recipe: the networks of the recipe are far larger than those in the "
        "checkpoint. Restore recipe.yaml and data.yaml as they were."
    )
    with _no_more_than(SLACK * (sum(tensor.nbytes for tensor in tensors) + 1_000_000), error):
        yield


@contextmanager
def _no_more_than(left: float, error: GenlabError) -> Iterator[None]:
    """Raise `error` as soon as the parameters that this thread makes need more bytes than `left`."""
    thread = threading.get_ident()

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal left
        if parameter is not None and not parameter.is_meta and threading.get_ident() == thread:
            left -= parameter.nbytes
            if left < 0:
                raise error

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    except (RuntimeError, TypeError) as found:
        if not any(word in str(found).lower() for word in ("overflow", "allocate")):
            raise
        raise error from None
    finally:
        hook.remove()


def refuse_oversized(phase: Phase, model: nn.Module, processes: int, device: torch.device) -> None:
    """Refuse a phase whose weights, with their gradients and average, or whose batches exceed the memory.

    Args:
        phase: what is to be trained.
        model: its `outline`.
        processes: among which a batch is divided.
        device: on which it is to be trained.

    Raises:
        UsageError: it names the estimate, the memory there is, and the options to lower.
    """
    there = memory_of(device)
    if there is None:
        return
    recipe = phase.recipe
    copies = 2 if recipe.ema else 1
    weights = sum((copies + p.requires_grad) * p.numel() * p.element_size() for p in model.parameters())
    where = "this GPU" if device.type == "cuda" else "this machine"
    has = f"and {where} has {written_bytes(there)}"
    if weights > there:
        raise UsageError(
            f"the weights of this model and their gradients need at least {written_bytes(weights)}, {has}. "
            f"{_lower(recipe)}"
        )
    rows = recipe.batch_size // processes
    decoded = rows // recipe.accumulate * getattr(recipe, "importance_samples", 1)
    batch = rows * INDEX + (rows + decoded) * math.prod(phase.spec.target.shape) * FLOAT
    if weights + batch > there:
        raise UsageError(
            f"a batch of this run needs at least {written_bytes(batch)} besides the {written_bytes(weights)} of "
            f"the weights, {has}. {_lower(recipe, PER_BATCH)}"
        )


def _lower(recipe: Recipe, names: Sequence[str] = SIZES) -> str:
    """Return what to lower: of the options `names` those above their defaults, if there are any."""
    defaults = {f.name: f.default for f in fields(recipe) if isinstance(f.default, int)}
    given = {name: value for name in names if isinstance(value := getattr(recipe, name, None), int)}
    above = {name: value for name, value in given.items() if value > defaults.get(name, 0)}
    return f"Lower {' or '.join(f'{flag(name)} (now {value})' for name, value in (above or given).items())}."
