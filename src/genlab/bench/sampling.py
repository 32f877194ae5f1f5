"""The speed of sampling: genlab compared with the textbook."""

import copy
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from genlab.applications.capability import need
from genlab.applications.sample import batches
from genlab.architectures.mixed import compute_in
from genlab.bench.cases import Case, chosen, compared
from genlab.bench.measure import Scope, interleaved, seconds
from genlab.bench.page import Row, Section
from genlab.core import device as devices
from genlab.core.batch import AT_ONCE
from genlab.core.contract import Samples, SamplesInSteps
from genlab.core.modality import DataSpec, Images

CASES: Sequence[Case] = (
    Case("dcgan", 3, 64, {"batch_size": 64}, {"bf16": 6.0}),
    Case("vae", 1, 28, {"batch_size": 64}),
    Case("glow", 3, 32, {"batch_size": 64, "width": 64, "flow_steps": 8}),
    Case("ddpm", 3, 32, {"batch_size": 64, "width": 32, "sampler": "ddim", "sampling_steps": 50}),
)
PICTURES, PICTURES_IN_STEPS = 2 * AT_ONCE, 128
TEXTBOOK = "textbook"
METHOD = (
    f"{PICTURES} pictures per measurement; for ddpm {PICTURES_IN_STEPS}, in 50 steps of DDIM. genlab samples as "
    f"`genlab sample` does, up to {AT_ONCE} at a time; the textbook calls the same networks in evaluation mode "
    "under `no_grad`, in float32 on contiguous tensors, in batches of the training's size."
)


def measure(scope: Scope) -> Section:
    """Time each case in the precisions that the device has units for, and the textbook."""
    return Section("Sampling", METHOD, [row for case in chosen(CASES, scope) for row in _rows(case, scope)])


def _rows(case: Case, scope: Scope) -> list[Row]:
    torch.manual_seed(0)
    model = case.recipe.model(DataSpec(Images(case.channels, case.side, case.side))).eval().requires_grad_(False)
    count = PICTURES_IN_STEPS if isinstance(model, SamplesInSteps) else PICTURES
    works: dict[str, Callable[[], object]] = {}
    for name, dtype in devices.precisions(scope.device).items():
        ours = copy.deepcopy(model)
        compute_in(dtype, ours)
        works[name] = partial(_ours, devices.to_device(ours, scope.device), count)
    works[TEXTBOOK] = partial(_theirs, model.to(scope.device), case.recipe.batch_size, count)
    found = interleaved({name: partial(seconds, work) for name, work in works.items()}, scope.repeats)
    speeds = {name: [count / value for value in values] for name, values in found.items()}
    return compared(case, speeds, TEXTBOOK)


def _ours(model: nn.Module, count: int) -> None:
    for make in batches(model, count, seed=0):
        make()


@torch.no_grad()
def _theirs(model: nn.Module, batch: int, count: int) -> None:
    sampler = need(model, Samples, "sampling")
    for start in range(0, count, batch):
        sampler.sample(min(batch, count - start)).cpu()
