"""A device that there is not: its tensors lie in the memory of the CPU, and may not meet those that are said to.

What a GPU would refuse is refused, so that code for one is tried on machines that have none.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import safetensors.torch
import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from genlab.core import device

aten = torch.ops.aten
MOVES = {aten._to_copy, aten.copy_}
LOOKS_UP = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}  # by places on either device
SWITCHES = (torch.__future__.set_swap_module_params_on_conversion, torch._C._set_only_lift_cpu_tensors)


class Backend:
    """What torch asks of a kind of device."""

    @staticmethod
    def is_initialized() -> bool:
        return True

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def _is_in_bad_fork() -> bool:
        return False

    @staticmethod
    def device_count() -> int:
        return 1

    @staticmethod
    def current_device() -> int:
        return 0

    @staticmethod
    def manual_seed_all(seed: int) -> None:
        pass

    @staticmethod
    def get_rng_state(device: object = None) -> Tensor:
        return torch.zeros(0)

    @staticmethod
    def set_rng_state(state: Tensor, device: object = None) -> None:
        pass

    @staticmethod
    def get_amp_supported_dtype() -> list[torch.dtype]:
        return [torch.bfloat16]


backend_registration._setup_privateuseone_for_python_backend("elsewhere", Backend)
DEVICE = torch.device("elsewhere:0")


class There(Tensor):
    """A tensor on the device."""

    inner: Tensor

    @staticmethod
    def __new__(cls: type["There"], inner: Tensor) -> "There":
        made: There = Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )
        made.inner = inner
        return made

    def tolist(self) -> Any:
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


class _Elsewhere(TorchDispatchMode):
    """Makes tensors there that are asked for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


@contextmanager
def elsewhere() -> Iterator[None]:
    """Let every device that is chosen by name be this one, in all threads that begin within."""
    run, save = threading.Thread.run, safetensors.torch.save

    def run_there(thread: threading.Thread) -> None:
        with _Elsewhere():
            run(thread)

    def save_from_there(tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
        return save({name: tensor.cpu() for name, tensor in tensors.items()}, metadata)

    with (
        patch.object(device, "find_device", lambda name: DEVICE),
        patch.object(threading.Thread, "run", run_there),
        patch.object(safetensors.torch, "save", save_from_there),  # it reads memory that is not there
        _Elsewhere(),
    ):
        for switch in SWITCHES:
            switch(True)
        try:
            yield
        finally:
            for switch in SWITCHES:
                switch(False)


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Return what an operation gives, on the device that it is asked for or else on that of its tensors."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, There)]
    stays = bool(there)
    if kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "meta":
        return func(*args, **kwargs)
    if "device" in kwargs and kwargs["device"] is not None:
        stays = torch.device(kwargs["device"]).type == DEVICE.type
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if there and func.overloadpacket not in MOVES:
        _refuse_mixtures(func, tensors)
    if stays and kwargs.get("generator") is not None:
        raise RuntimeError(f"{func}: Expected a '{DEVICE.type}' device type for generator but found 'cpu'")
    made = func(*tree_map_only(There, lambda t: t.inner, args), **tree_map_only(There, lambda t: t.inner, kwargs))
    if func.overloadpacket is aten.copy_:
        return args[0]
    if torch.Tag.inplace_view in func.tags:  # what torch knows of its shape follows
        for tensor in there:
            tensor.data = There(tensor.inner)
    known = {id(tensor.inner): tensor for tensor in there}  # an operation in place gives what it was given
    return tree_map_only(Tensor, lambda t: known[id(t)] if id(t) in known else There(t), made) if stays else made


def _refuse_mixtures(func: Any, tensors: Sequence[Tensor]) -> None:
    """Raise, as a GPU does, where tensors are on two devices; single numbers may be anywhere in arithmetic."""
    for tensor in tensors:
        of_a_number = tensor.ndim == 0 and torch.Tag.pointwise in func.tags
        if not (isinstance(tensor, There) or of_a_number or func.overloadpacket in LOOKS_UP):
            raise RuntimeError(
                f"{func}: Expected all tensors to be on the same device, but found at least two devices, "
                f"{DEVICE} and cpu! (of shape {tuple(tensor.shape)})"
            )
