"""Values and texts as messages show them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genlab.core import yaml12
from genlab.core.errors import DataError
from genlab.core.text import SHOWN, escaped, escaped_json, short


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\n\tlines, ∇ü ↓ 👩‍🎨", "two\n\tlines, ∇ü ↓ 👩‍🎨"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31m\r\x00\x7f", r"\x9b31m\x0d\x00\x7f"),
        ("gpj.\u202egnp", r"gpj.\u202egnp"),
        (b"d\xffta".decode("utf-8", "surrogateescape"), r"d\xffta"),
        ("half \ud800", r"half \ud800"),
    ],
)
def test_what_commands_a_terminal_is_escaped_and_other_text_stays(text: str, shown: str) -> None:
    assert escaped(text) == escaped(shown) == shown
    assert str(DataError(text)) == shown
    document = json.dumps({"name": text}, ensure_ascii=False)
    assert escaped(escaped_json(document)) == escaped_json(document)
    assert json.loads(escaped_json(document)) == {"name": text}


@pytest.mark.parametrize("name", [b"d\xffta", b"\x1b[31m", b"a\nb\r\x85", b"1e-3"])
def test_yaml_keeps_every_name_of_a_file(name: bytes) -> None:
    text = name.decode("utf-8", "surrogateescape")
    written = yaml12.written({"data": text, "lr": 1e-3})
    assert yaml12.read(written.encode().decode()) == {"data": text, "lr": 1e-3}
    assert escaped(written) == written
