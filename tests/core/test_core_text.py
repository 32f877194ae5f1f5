"""Values and texts as messages show them."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genlab.core import yaml12
from genlab.core.errors import DataError
from genlab.core.text import SHOWN, counted, escaped, escaped_json, plain, printable, short, typed


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


def test_a_name_is_shown_in_one_line() -> None:
    assert printable("ü 👍") == "ü 👍"
    assert printable(os.fsdecode(b"d\xffta\n\x1b")) == r"d\xffta\n\x1b"
    assert printable("half \ud800") == r"half \ud800"


@pytest.mark.parametrize("name", [b"d\xffta", b"\x1b[31m", b"a\nb\r\x85", b"1e-3"])
def test_yaml_keeps_every_name_of_a_file(name: bytes) -> None:
    text = name.decode("utf-8", "surrogateescape")
    written = yaml12.written({"data": text, "lr": 1e-3})
    assert yaml12.read(written.encode().decode()) == {"data": text, "lr": 1e-3}
    assert escaped(written) == written
