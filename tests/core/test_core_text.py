"""Values as messages show them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genlab.core.text import SHOWN, short


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("digits", "digits"),
        (5, "5"),
        (None, "None"),
        (np.float64(0.5), "0.5"),
        ([1, "a"], "[1, 'a']"),
        (Path("a/b"), "a/b"),
        (np.zeros((2, 3)), "ndarray of shape (2, 3)"),
        (torch.zeros(2), "Tensor of shape (2,)"),
        ([np.zeros(3)] * 4, "list of 4 items"),
        ({"images": np.zeros(3)}, "dict of 1 items"),
        (object(), "object"),
    ],
)
def test_a_value_is_shown_without_its_data(value: Any, shown: str) -> None:
    assert short(value) == shown


@pytest.mark.parametrize("value", ["x" * 100_000, [0] * 100_000])
def test_long_text_is_cut(value: Any) -> None:
    assert len(short(value)) == SHOWN
    assert short(value).endswith("…")
