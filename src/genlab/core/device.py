"""Devices and the precision of computations on them."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from genlab.core.errors import UsageError, lookup
from genlab.core.text import short


def find_device(name: str) -> torch.device:
    """Return the device called `name`: auto, cpu, gpu, cuda, cuda:1 (or 1), mps, in any case.

    "auto" is a GPU if there is one, else the CPU. Under `torchrun` each process takes the GPU of its local rank.
    On CUDA it also switches TF32 off for convolutions, which would drop 13 bits of float32; matrix products do not
    use TF32 by default.

    Raises:
        UsageError: this machine has no such device, or several processes would share a GPU.
    """
    cuda = torch.cuda.is_available()
    numbered = [f"cuda:{number}" for number in range(torch.cuda.device_count() if cuda else 0)]
    there = [*["cuda"] * cuda, *["mps"] * torch.backends.mps.is_available(), "cpu"]
    wanted = re.sub(r"^(cuda:|gpu:)?(?=\d+$)", "cuda:", name.strip().lower())
    if wanted == "auto" or (wanted == "gpu" and there[0] != "cpu"):
        wanted = there[0]
    if wanted not in (*there, *numbered):
        choices = ["auto", *there, *numbered]
        missing = ": torch finds no GPU" if there == ["cpu"] and re.match("gpu|cuda|mps", wanted) else ""
        raise UsageError(
            f'no device "{short(name)}" here{missing}. Choices on this machine: {", ".join(choices)}.'
        )
    if not wanted.startswith("cuda"):
        return torch.device(wanted)
    # With TF32 flows cannot be inverted accurately, and results depend on the GPU.
    torch.backends.cudnn.allow_tf32 = False
    if wanted == "cuda":
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            f"--device {name} is one GPU for several processes. With --device cuda each takes its own."
        )
    return torch.device(wanted)


def to_device(model: nn.Module, device: torch.device | str) -> nn.Module:
    """Move `model` to `device` in channels-last layout, in which convolutions are fastest."""
    return model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def device_of(model: nn.Module) -> torch.device:
    """Return the device that `model` is on."""
    return next(model.parameters()).device


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Compute in the dtype of the tensors inside the context, even in a network that runs under autocast."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


@contextmanager
def subnormals_flushed() -> Iterator[None]:
    """Round numbers below 1.2e-38 to 0 on the CPU, which is up to a hundred times slower with them.

    They occur where a factor vanishes: the weight of an unlikely draw, the slope of a saturated sigmoid, the mean
    gradient of a dead unit. None of them changes a weight.
    """
    before = not torch.tensor(1e-39).mul(0.5).item()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def float16_units() -> list[str]:
    """Return the names of the units that multiply float16: of the GPU if there is one, else of the CPU (Linux)."""
    if torch.cuda.is_available():
        return ["tensor cores"] if torch.cuda.get_device_capability() >= (7, 0) else []
    return _units("avx512_fp16", "amx_fp16")


def bf16_units(device: torch.device | None = None) -> list[str]:
    """Return the names of the units that multiply bf16: of `device`, by default of the GPU, else of the CPU."""
    kind = device.type if device else "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda":
        return ["tensor cores"] if torch.cuda.get_device_capability(device) >= (8, 0) else []
    return _units("amx_bf16", "avx512_bf16") if kind == "cpu" else []


PRECISIONS: Mapping[str, torch.dtype] = {"bf16": torch.bfloat16, "float32": torch.float32}


def precision(name: str, device: torch.device) -> torch.dtype:
    """Return the dtype called `name`; "auto" is bf16 if `device` has units for it, else float32."""
    if name == "auto":
        name = "bf16" if bf16_units(device) else "float32"
    return lookup(PRECISIONS, name, "precision")


def precisions(device: torch.device) -> Mapping[str, torch.dtype]:
    """Return the dtypes by name; bf16 only if `device` has units for it, because it is far slower without."""
    return {name: dtype for name, dtype in PRECISIONS.items() if name != "bf16" or bf16_units(device)}


def _units(*names: str) -> list[str]:
    """Return the `names` that are among the processor's flags."""
    info = Path("/proc/cpuinfo")
    flags = info.read_text().split() if info.is_file() else []
    return [unit for unit in names if unit in flags]
