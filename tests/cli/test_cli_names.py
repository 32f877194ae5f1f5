"""Names that are not UTF-8, or that command a terminal, in every command."""

import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from genlab.training.live import Course
from genlab.training.terminal import Terminal

Genlab = Callable[..., tuple[int, str, str]]
NAME = os.fsdecode(b"d\xffta \x1b[31m[red]")
SHOWN = r"d\xffta \x1b[31m[red]"
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
TINY = ("--size", 16, "--width", 4, "--latent", 2, "--batch-size", 8, "--device", "cpu", "--max-rejected", 0.5)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / NAME
    for at in range(20):
        path = folder / f"{NAME}{at % 2}" / f"{NAME}{at}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(at).integers(0, 256, (16, 16), dtype=np.uint8)).save(path)
    (folder / f"{NAME}.png").write_text("no picture")
    return folder


def test_every_command_takes_such_names_and_prints_them_escaped(
    photos: Path, tmp_path: Path, genlab: Genlab
) -> None:
    root = tmp_path / f"{NAME} runs"
    run = root / "conditional-vae"
    measured = ("--extractor", "pixels", "--samples", 4)
    commands: list[tuple[object, ...]] = [
        ("train", "conditional-vae", "--data", photos, "--root", root, "--steps", 2, *TINY),
        ("resume", run, "--steps", 3),
        ("data", photos, "--size", 16, "--max-rejected", 0.5, "--out", root / "x.png"),
        ("data", photos, "--size", 16, "--max-rejected", 0.5, "--out", root / "x.png", "--json"),
        ("info", run),
        ("info", run, "--json"),
        ("doctor", run),
        ("report", run),
        ("runs", "--root", root),
        ("sample", run, "-n", 2),
        ("sample", run, "-n", 2, "--out", root / NAME),
        ("reconstruct", run, photos),
        ("evaluate", run, *measured),
        ("compare", run, run, *measured, "--csv", root / "a.csv", "--html", root / "a.html"),
    ]
    for command in commands:
        code, out, err = genlab(*command)
        assert code == 0, err
        assert not UNSAFE.search(out + err), command
    assert SHOWN in genlab("runs", "--root", root)[1]
    values = json.loads(
        genlab("data", photos, "--size", 16, "--max-rejected", 0.5, "--json", "--out", root / "x.png")[1]
    )
    assert [each["path"] for each in values["rejected"]] == [f"{SHOWN}.png"]
    for path in (*root.glob("a.*"), *run.glob("*.*")):
        if path.suffix != ".png":
            assert not UNSAFE.search(path.read_text("utf-8"))


@pytest.mark.parametrize("command", ["train vae --data", "data", "info", "resume", "train", "train vae --plugin"])
def test_errors_show_such_names_escaped(command: str, genlab: Genlab) -> None:
    code, out, err = genlab(*command.split(), f"{NAME}.yaml")
    assert code in (1, 2)
    assert out == ""
    assert not UNSAFE.search(err)
    assert SHOWN in err


def test_classes_of_an_npz_are_shown_escaped(tmp_path: Path, genlab: Genlab) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 16, 16), dtype=np.uint8)
    labels = np.array(["[red]", "a\x1b[31m\nb"])[np.arange(20) % 2]
    np.savez(tmp_path / "set.npz", images=pixels, labels=labels)
    code, out, _ = genlab("data", tmp_path / "set.npz", "--out", tmp_path / "x.png")
    assert code == 0
    assert not UNSAFE.search(out)
    assert "[red] " in out
    assert r"a\x1b[31m\nb " in out


def test_the_progress_of_a_run_shows_such_names_escaped() -> None:
    terminal = Terminal(Course(steps=2, minutes=None, batch=1))
    stream = io.StringIO()
    terminal.console = Console(file=stream, highlight=False)
    terminal.event(1, "finding", {"severity": "warning", "line": "\x1b[31m[red]"})
    assert stream.getvalue().endswith("\\x1b[31m[red]\n")


def test_the_help_of_a_recipe_shows_its_text_escaped(tmp_path: Path, genlab: Genlab) -> None:
    path = tmp_path / "own.yaml"
    path.write_text('preset: vae\ndata: "\\e[31m[red]"\n')
    code, out, _ = genlab("train", path, "--help")
    assert code == 0
    assert not UNSAFE.search(out)
    assert r"\x1b[31m[red]" in out
