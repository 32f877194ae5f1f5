"""What a device computes in: no subnormal numbers, and float32 that is float32."""

import pytest
import torch

from genlab.core.device import find_device, subnormals_flushed
from genlab.core.errors import UsageError

TINY = 1e-39  # below the least normal number of float32


def test_subnormal_numbers_are_zero_within_and_as_before_after() -> None:
    values = torch.full((100_000,), TINY)  # so many that every thread has some
    with subnormals_flushed():
        assert not (values * 0.5).any()
        with subnormals_flushed():
            pass
        assert not (values * 0.5).any()
    assert (values * 0.5).all()


def test_the_mode_is_restored_after_an_error() -> None:
    try:
        with subnormals_flushed():
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert torch.tensor(TINY).mul(0.5).item() > 0


def test_convolutions_of_a_gpu_drop_no_bits_of_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert find_device("cpu").type == "cpu"
    assert torch.backends.cudnn.allow_tf32
    assert find_device("auto").type == "cuda"
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(
    ("name", "found"),
    [
        *((name, "cuda:0") for name in ("auto", "cuda", "gpu", "GPU", " Cuda", "0", "cuda:0", "gpu:0")),
        *((name, "cuda:1") for name in ("1", "cuda:1", "CUDA:1")),
        *((name, "cpu") for name in ("cpu", "CPU")),
    ],
)
def test_a_gpu_has_several_names(name: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert str(find_device(name)) == found


@pytest.mark.parametrize("name", ["gpu", "cuda:0", "0"])
def test_it_is_said_that_there_is_no_gpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError, match=rf'no device "{name}" here: torch finds no GPU\. .*: auto, cpu\.'):
        find_device(name)


@pytest.mark.parametrize("name", ["cuda:2", "2", "tpu", "meta", "gpus", "-1", "", "cuda:"])
def test_a_gpu_that_is_not_there_is_refused_with_the_choices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UsageError, match=rf'no device "{name}" here\. .*: auto, cuda, .*cpu, cuda:0, cuda:1\.'):
        find_device(name)


def test_several_processes_do_not_share_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="With --device cuda each takes its own"):
        find_device("cuda:1")
