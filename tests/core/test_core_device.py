"""What a device computes in: no subnormal numbers, and float32 that is float32."""

import pytest
import torch

from genlab.core.device import find_device, subnormals_flushed

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
