"""A folder of samples: what is written, when, and into which folders."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_sample_rows import Own
from torch import Tensor

from genlab.applications.sample_folder import SampleFolder, class_folders, recorded, refuse_other
from genlab.core.condition import NONE, Condition
from genlab.core.errors import GenlabError, UsageError


class Grey(Own):
    """Samples images of 8 pixels; is killed at some call, or cannot go on."""

    def __init__(self, most: int = 1000) -> None:
        super().__init__()
        self.most, self.calls = most, 0

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        self.calls += 1
        if self.calls > self.most:
            raise KeyboardInterrupt
        return torch.tanh(torch.randn(count, 1, 8, 8, generator=generator))


def filled(path: Path, model: Grey, number: int) -> int:
    folder = SampleFolder(path, {})
    folder.prepare({"seed": 0}, number)
    return folder.fill(model, number, 0, NONE, 2, progress=False)


def test_each_chunk_is_written_as_it_is_made_and_a_killed_run_is_continued(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        filled(tmp_path / "a", Grey(most=2), 7)
    assert [path.name for path in sorted((tmp_path / "a").glob("*.png"))] == [f"{row:06d}.png" for row in range(4)]
    cut = tmp_path / "a" / "000001.png"
    cut.write_bytes(cut.read_bytes()[:-1])
    again = Grey()
    assert filled(tmp_path / "a", again, 7) == 3
    assert again.calls == 3
    filled(tmp_path / "b", Grey(), 7)
    for row in range(7):
        name = f"{row:06d}.png"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    first = SampleFolder(tmp_path / "a", {}).first(2, NONE)
    assert first.shape == (2, 1, 8, 8)
    assert np.abs(first.numpy()).max() <= 1


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"seed": 1}', '{"seed": 0}', '{"seed": 0, "number": "x"}'])
def test_a_record_of_something_else_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "samples.json").write_text(text)
    with pytest.raises(GenlabError, match="Choose a new --out"):
        filled(tmp_path, Grey(), 2)


def test_a_change_is_told_in_the_letters_of_its_names(tmp_path: Path) -> None:
    folder = SampleFolder(tmp_path, {})
    folder.prepare({"classes": ["été"]}, 1)
    with pytest.raises(UsageError, match=r'classes was \["été"\] and is \["Straße"\]'):
        folder.prepare({"classes": ["Straße"]}, 1)


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(UsageError, match=r"is not empty. Choose a new --out"):
        refuse_other(tmp_path)
    assert recorded(tmp_path) is None


def test_folders_of_classes_are_their_names_where_these_are_safe() -> None:
    names = [
        "shirt",
        "T-shirt/top",
        "..",
        "",
        "Shirt",
        ".hidden",
        "nul.txt",
        "a" * 300,
        "日本",
        "x\n",
        "samples.json",
    ]
    folders = class_folders(names)
    assert folders[:6] == ["shirt", "class-1-T-shirt-top", "class-2", "class-3", "class-4-Shirt", "class-5-hidden"]
    assert folders[6:] == [
        *("class-6-nul-txt", f"class-7-{'a' * 72}", "日本", "class-9-x", "class-10-samples-json"),
    ]
    assert class_folders(["a/b", "class-0-a-b"]) == ["class-0-a-b", "class-1-class-0-a-b"]
    assert len({name.casefold() for name in class_folders(["é", "É", "a", "A", "class-1-", "class-3-A"])}) == 6


def test_an_odd_class_stays_within_the_folder(tmp_path: Path) -> None:
    folder = SampleFolder(tmp_path / "out", dict(enumerate(class_folders(["..", "a/b"]))))
    turns = {"label": torch.tensor([0, 1])}
    folder.prepare({}, 2)
    assert {folder.place(row, turns).relative_to(tmp_path / "out").parts for row in range(2)} == {
        ("class-0", "000000.png"),
        ("class-1-a-b", "000001.png"),
    }
