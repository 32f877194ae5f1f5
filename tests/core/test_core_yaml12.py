"""YAML of strangers: it is read as YAML 1.2 in little time and memory, or refused as one kind of error."""

import os
import time
from pathlib import Path

import pytest
import yaml

from genlab.core import yaml12

LAUGHS = "a0: &a0 [ha, ha]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n}\n  <<: [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


def test_numbers_and_aliases_are_read() -> None:
    assert yaml12.read("a: &lr 1e-3\nb: [*lr, &x {y: 1}, *x]\nc: {<<: *x, z: 2}") == {
        "a": 1e-3,
        "b": [1e-3, {"y": 1}, {"y": 1}],
        "c": {"y": 1, "z": 2},
    }
    values = {"text": "1e-3", "number": 1e-5, "words": ["ä", None, True]}
    assert yaml12.read(yaml12.written(values)) == values


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, "more than 200,000 values"),
        (MERGES, "more than 200,000 values"),
        ("a: &a [*a]", "for itself"),
        ("[" + "1," * 201_000 + "]", "more than 200,000 values"),
        ("[" * 100_000, "nesting"),
        ("- " * 100_000, "nesting"),
        ("steps: " + "9" * 5_000, "not YAML"),
        ("day: 2001-99-99", "not YAML"),
        ("a: *b", "for nothing"),
        ("\0", "not allowed|not YAML"),
        ("a: [", "did not find|expected"),
    ],
)
def test_what_is_no_yaml_or_too_much_is_one_kind_of_error(text: str, words: str) -> None:
    began = time.process_time()
    with pytest.raises(yaml.YAMLError, match=words):
        yaml12.read(text)
    assert time.process_time() - began < 1


def test_a_file_is_regular_short_and_in_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"word: \xff")
    with pytest.raises(yaml.YAMLError, match="not text in UTF-8"):
        yaml12.load(path)
    os.truncate(path, 40 << 30)  # sparse
    with pytest.raises(OSError, match="42,949,672,960 bytes, more than"):
        yaml12.load(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a file"):
        yaml12.load(path)
