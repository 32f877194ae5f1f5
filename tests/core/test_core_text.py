"""Values as messages show them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genlab.core.text import SHOWN, counted, plain, short, typed


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
        ({"images": np.zeros(3)}, "dict with images"),
        (object(), "object"),
    ],
)
def test_a_value_is_shown_without_its_data(value: Any, shown: str) -> None:
    assert short(value) == shown


@pytest.mark.parametrize("value", ["x" * 100_000, [0] * 100_000])
def test_long_text_is_cut(value: Any) -> None:
    assert len(short(value)) == SHOWN
    assert short(value).endswith("…")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.19594594594594594, "0.195946"),
        (2.0, "2"),
        (1e-4, "0.0001"),
        (3, "3"),
        ({"train": 90, "share": 0.25}, "train 90, share 0.25"),
        ({"label": {"names": ["a", "b"]}}, "label names a, b"),
        ((0.9, 0.999), "0.9, 0.999"),
        ([], "none"),
        ({}, "none"),
        (None, "none"),
        (True, "yes"),
        (1, "1"),
    ],
)
def test_a_value_is_written_without_marks_of_python(value: Any, shown: str) -> None:
    assert plain(value) == shown


def test_one_is_not_several() -> None:
    assert [counted(count, "step") for count in (0, 1, 2000)] == ["0 steps", "1 step", "2,000 steps"]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("runs/a", "genlab info runs/a --steps 2"),
        ("a b/it's", """genlab info 'a b/it'"'"'s' --steps 2"""),
        ("-x", "genlab info ./-x --steps 2"),
        ("$HOME", "genlab info '$HOME' --steps 2"),
    ],
)
def test_a_command_can_be_pasted_into_a_shell(path: str, line: str) -> None:
    assert typed("genlab", "info", Path(path), "--steps", 2) == line
