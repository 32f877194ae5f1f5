"""A user's own metrics, which `genlab evaluate` measures besides the rows of `EVALUATORS`."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch

from genlab.applications.evaluators import EVALUATORS
from genlab.applications.sample import batches
from genlab.applications.subject import Subject, protocol_of, rows_of
from genlab.core.contract import Evaluator, Samples
from genlab.core.errors import GenlabError, UsageError
from genlab.core.parts import Part, Table, calling
from genlab.data.dataset import conditions_of
from genlab.metrics.figures import Figure


def own_metric(part: Part, own: Mapping[str, Any]) -> Evaluator:
    """Return the row of a user's own metric.

    The part is an `Evaluator`; or a function (samples, real) of tensors (B, *shape) that returns a number, or a
    number and its standard error; or a function (subject) that yields figures, for models with the capabilities
    `requires`.

    Raises:
        UsageError: it is none of these.
    """
    if isinstance(part.value, Evaluator):
        return part.value
    if not callable(part.value):
        raise UsageError(
            f'the metric "{part.name}" must be a function (samples, real) that returns a number, or a function '
            f"(subject) that yields genlab.Figure, not a {type(part.value).__name__}."
        )
    requires = part.traits.get("requires", (Samples,))
    of_subject = list(inspect.signature(part.value).parameters) == ["subject"]
    measure = part.value if of_subject else partial(_of_samples, part)
    return Evaluator(tuple(requires) if of_subject else (Samples,), partial(_guarded, part, measure))


def _guarded(part: Part, measure: Callable[[Subject], Iterator[Figure]], subject: Subject) -> Iterator[Figure]:
    """Yield the figures of an own metric; if it raises, NaN with the reason, so that other figures are kept."""
    try:
        with calling(part):
            figures = list(measure(subject))
    except GenlabError as error:
        figures = [Figure(part.name, float("nan"), protocol=protocol_of(subject), note=str(error))]
    yield from figures


@torch.no_grad()
def _of_samples(part: Part, subject: Subject) -> Iterator[Figure]:
    """Yield the figure of an own metric of samples and real examples, as many of each."""
    count = min(subject.samples, len(subject.real))
    index = rows_of(subject, count)
    given = conditions_of(subject.real, index, subject.model.conditions)
    samples = torch.cat([piece() for piece in batches(subject.model, count, subject.seed, given)])
    made = part.value(samples, subject.real.batch(index).x)
    value, error = made if isinstance(made, tuple) else (made, None)
    stamp = {"metric": part.origin.sha256[:12], "real": count, "fake": count, **protocol_of(subject)}
    try:
        numbers = float(value), None if error is None else float(error)
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(
            f'the metric "{part.name}" must return a number, or a number and its standard error, not a '
            f"{type(value).__name__}."
        ) from None
    yield Figure(part.name, *numbers, part.traits.get("better", "none"), stamp)


METRICS: Table[Evaluator] = Table("metric", {row.measure.__name__: row for row in EVALUATORS}, own_metric)
