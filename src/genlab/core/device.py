"""Where to compute."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from genlab.core.errors import UsageError, lookup


def find(name: str) -> torch.device:
    """Return the device of that name; "auto" takes the first GPU there is, else the CPU.

    Under `torchrun` each process takes the GPU of its local rank. From then on this process computes convolutions
    of float32 in float32, as it does products of matrices: by default torch lets them drop 13 bits (TF32).

    Raises:
        UsageError: this machine has no such device.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    kind = next(kind for kind, there in available.items() if there) if name == "auto" else name
    if not available.get(kind, False):
        there = ", ".join(["auto", *(kind for kind, there in available.items() if there)])
        raise UsageError(f'no device "{name}" here. Choices on this machine: {there}.')
    if kind == "cuda":
        # Else the inverse of a flow is none, and figures depend on the machine.
        torch.backends.cudnn.allow_tf32 = False
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(kind)


def place(model: nn.Module, device: torch.device | str) -> nn.Module:
    """Move `model` to `device` in channels-last layout, in which convolutions are fastest there."""
    return model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def of(model: nn.Module) -> torch.device:
    """Return the device that `model` is on."""
    return next(model.parameters()).device


def whole(device: torch.device) -> AbstractContextManager[Any]:
    """Compute in the type of the tensors within, also inside a network that multiplies in a shorter one."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


@contextmanager
def subnormals_flushed() -> Iterator[None]:
    """Let the CPU take numbers below 1.2e-38 for 0, because it takes up to a hundred times as long for them.

    They come up wherever a factor vanishes: the weight of an unlikely draw, the slope of a saturated sigmoid, the
    mean gradient of a unit that is dead. None of them moves a weight.
    """
    before = not torch.tensor(1e-39).mul(0.5).item()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def float16_units() -> list[str]:
    """Return the names of the units that multiply float16 here: of the GPU, else of the CPU (on Linux)."""
    if torch.cuda.is_available():
        return ["tensor cores"] if torch.cuda.get_device_capability() >= (7, 0) else []
    return _units("avx512_fp16", "amx_fp16")


def bf16_units(device: torch.device | None = None) -> list[str]:
    """Return the names of the units that multiply bf16 matrices: of `device`, else of the GPU, else of the CPU."""
    kind = device.type if device else "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda":
        return ["tensor cores"] if torch.cuda.get_device_capability(device) >= (8, 0) else []
    return _units("amx_bf16", "avx512_bf16") if kind == "cpu" else []


PRECISIONS: Mapping[str, torch.dtype] = {"bf16": torch.bfloat16, "float32": torch.float32}


def precision(name: str, device: torch.device) -> torch.dtype:
    """Return the type of that name; "auto" is bf16 where `device` has units for it."""
    if name == "auto":
        name = "bf16" if bf16_units(device) else "float32"
    return lookup(PRECISIONS, name, "precision")


def precisions(device: torch.device) -> Mapping[str, torch.dtype]:
    """Return the types by name, bf16 only where `device` has units for it: else it takes far longer."""
    return {name: dtype for name, dtype in PRECISIONS.items() if name != "bf16" or bf16_units(device)}


def _units(*names: str) -> list[str]:
    """Return those of the names that the processor's flags hold."""
    about = Path("/proc/cpuinfo")
    flags = about.read_text().split() if about.is_file() else []
    return [unit for unit in names if unit in flags]
