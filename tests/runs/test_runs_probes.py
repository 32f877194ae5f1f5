"""How many images the probes of a run compare, and how often, by the size of its steps."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genlab.core.batch import Batch
from genlab.core.modality import DataSpec, Images
from genlab.runs.callbacks import PROBE_POOL, _probes
from genlab.training.probes import LEAST_STEPS, Probes, due


def probes(batch_size: int, images: int = PROBE_POOL) -> Probes | None:
    held = Batch(torch.zeros(images, 1, 8, 8), torch.arange(images))
    spec = DataSpec(Images(1, 8, 8), {})
    run: Any = SimpleNamespace(plan=SimpleNamespace(settings=SimpleNamespace(seed=0)))
    phase = SimpleNamespace(recipe=SimpleNamespace(batch_size=batch_size), spec=spec)
    source = SimpleNamespace(held_out=SimpleNamespace(spec=spec))
    inputs: Any = SimpleNamespace(real=held, held_out=held)
    return _probes(run, SimpleNamespace(phase=phase, source=source), inputs, SimpleNamespace(waited=0.0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("batch_size", "count", "apart"),
    [(1, 16, 100), (2, 16, 100), (4, 16, 80), (8, 32, 40), (16, 64, 20), (64, 64, 20), (1000, 64, 20)],
)
def test_steps_of_few_images_have_fewer_and_rarer_probes(batch_size: int, count: int, apart: int) -> None:
    made = probes(batch_size)
    assert made is not None
    assert (made.count, made.apart) == (count, apart)


def test_there_are_never_more_images_than_the_data_have() -> None:
    made = probes(64, images=5)
    assert made is not None
    assert made.count == 5
    assert probes(64, images=1) is None


def test_rarer_probes_are_due_at_multiples_of_their_distance() -> None:
    assert [step for step in range(1, 401) if due(step, LEAST_STEPS, 100)] == [1, 100, 200, 300, 400]
    assert [step for step in range(1, 401) if due(step, 50, 80)] == [1, 100, 200, 250, 350, 400]
