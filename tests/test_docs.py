"""What the docs show works: commands parse, Python runs."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import genlab
from genlab.cli.app import build_app
from genlab.data.toys import TOYS
from genlab.recipes.fields import flag, options_of
from genlab.recipes.presets import PRESETS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(language: str) -> list[tuple[str, str]]:
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [(page.name, text) for page in PAGES for text in fence.findall(page.read_text())]


def commands() -> list[tuple[str, str]]:
    lines = [(page, line.partition("#")[0].strip()) for page, text in blocks("sh") for line in text.splitlines()]
    return [(page, line) for page, line in lines if line]


def test_the_docs_show_commands_and_python() -> None:
    assert len(commands()) > 5
    assert len(blocks("python")) >= 2


@pytest.mark.parametrize(("page", "line"), commands())
def test_command(page: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text("preset: dcgan\n")
    words = shlex.split(line)
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
        return
    if words[0] in ("git", "cd", "pip", "pre-commit", "python", "bash"):
        return
    if words[0] == "torchrun":
        words = words[words.index("-m") + 1 :]
    assert words[0] == "genlab", f"{page}: what is {line}?"
    build_app(words[1:]).parse_args(words[1:], exit_on_error=False, print_error=False)


@pytest.mark.parametrize(("page", "text"), blocks("python"))
def test_python(page: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a block as it stands, only smaller: few steps, narrow networks, pictures made here."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0)
    for number in range(20):
        (tmp_path / "photos").mkdir(exist_ok=True)
        picture = pixels.integers(0, 255, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "photos" / f"{number}.png")
    train = genlab.train

    def small(preset: str, **options: object) -> object:
        data = options.get("data", "digits")
        side = {"size": 16} if isinstance(data, str) and data not in TOYS else {}
        return train(preset, **{**options, "steps": 2, "width": 4, "quiet": True, **side})

    monkeypatch.setattr(genlab, "train", small)
    exec(compile(text, page, "exec"), {})


def test_the_readme_counts_the_presets() -> None:
    assert f" {len(PRESETS)} presets of " in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_part_has_its_option_and_its_file() -> None:
    """The page of parts names options and files that there are, and leaves out none that is a part."""
    text = (ROOT / "docs" / "parts.md").read_text()
    known = {flag(name) for recipe in PRESETS.values() for name in options_of(recipe)}
    named = set(re.findall(r"`(--[a-z-]+[a-z0-9]*)", text))
    assert named <= known
    of_size = {"--width", "--latent", "--batch-size", "--steps", "--lr", "--betas"}
    assert known - named == of_size
    for place in re.findall(r"`([a-z]+/[a-z_]*(?:\.py)?)`", text):
        assert (ROOT / "src" / "genlab" / place).exists(), place
