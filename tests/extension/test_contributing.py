"""CONTRIBUTING.md tells the truth about where parts belong."""

import ast
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import pytest
from package import MY_PARTS

import genlab
from genlab.recipes.presets import PRESETS
from genlab.registration import KINDS
from genlab.verbs.options import sampling_options

SOURCE = Path(genlab.__file__).parent
PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"
NAMED = ("gan-loss", "reconstruction", "noise-schedule", "lr-schedule", "sampler", "architecture", "callback")
ONE_FILE = {*NAMED, "metric", "rule"} - {"sampler", "architecture"}


class Row(NamedTuple):
    """A kind of parts: files to copy, tables with their files, all files and folders to touch."""

    copied: list[str]
    tables: list[tuple[str, str]]
    touched: list[str]


def rows() -> dict[str, Row]:
    cells = re.findall(r"^\| `([a-z-]+)` \| (.*) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    return {
        kind: Row(
            re.findall(r"`(\w+\.py)`", copied),
            re.findall(r"`([A-Z_]+)` in `([a-z_/]+\.py)`", touched),
            re.findall(r"`([a-z_/]+(?:\.py|/))`", touched),
        )
        for kind, copied, touched in cells
    }


ROWS = rows()


def test_every_kind_has_a_row() -> None:
    assert ROWS.keys() == KINDS.keys()


def test_every_file_of_the_package_is_a_model_for_a_kind() -> None:
    copied = {name for row in ROWS.values() for name in row.copied}
    assert copied == {path.name for path in MY_PARTS.glob("*.py")} - {"__init__.py"}
    for kind, row in ROWS.items():
        assert f'genlab.part("{kind}"' in re.sub(r"\(\s+", "(", (MY_PARTS / row.copied[0]).read_text())


@pytest.mark.parametrize("kind", ROWS)
def test_tables_and_files_exist(kind: str) -> None:
    assert ROWS[kind].tables
    for table, file in ROWS[kind].tables:
        assert re.search(rf"^{table}\b.*=", (SOURCE / file).read_text(), re.MULTILINE), file
    for place in ROWS[kind].touched:
        assert (SOURCE / place).exists(), place


def test_most_parts_touch_one_file_of_genlab_and_a_family_three() -> None:
    assert {kind: len(ROWS[kind].touched) for kind in ONE_FILE} == dict.fromkeys(ONE_FILE, 1)
    one_or_other = ["architectures/__init__.py", "architectures/denoiser.py"]
    assert ROWS["architecture"].touched == [*one_or_other, "architectures/"]
    assert ROWS["family"].touched == ["recipes/presets.py", "families/", "recipes/"]


def test_what_the_text_names_exists() -> None:
    text = PAGE.read_text()
    for table, file in re.findall(r"`([A-Z_]+)`\s+(?:in\s+|\()`([a-z_/]+\.py)`", text):
        where = [root / file for root in (SOURCE, SOURCE.parents[1]) if (root / file).is_file()]
        assert where, file
        assert re.search(rf"^{table}\b.*=", where[0].read_text(), re.MULTILINE), file
    for page in re.findall(r"`((?:docs|benchmarks|tests)/[\w/]+(?:\.\w+|/))`", text):
        assert (PAGE.parent / page).exists(), page


def test_options_of_sampling_are_those_of_the_verbs() -> None:
    recipes = PRESETS.rows.values()
    marked = {f.name for recipe in recipes for f in fields(recipe) if f.metadata.get("sampling")}
    assert marked <= sampling_options().keys()


def add_row(path: Path, table: str) -> None:
    """Copy the first row of a table under the name "copied"."""
    text = path.read_text()
    (definition,) = (
        node for node in ast.parse(text).body if getattr(getattr(node, "target", 0), "id", 0) == table
    )
    rows = next(node for node in ast.walk(definition) if isinstance(node, ast.Dict))
    lines, line, column = text.splitlines(keepends=True), rows.lineno - 1, rows.col_offset + 1
    value = ast.get_source_segment(text, rows.values[0])
    lines[line] = f'{lines[line][:column]}"copied": {value}, {lines[line][column:]}'
    path.write_text("".join(lines))


def test_a_row_of_a_table_is_at_once_a_value_of_its_option(tmp_path: Path) -> None:
    """In a copy of genlab, each table gets a row, and nothing else is touched."""
    shutil.copytree(SOURCE, tmp_path / "genlab", ignore=shutil.ignore_patterns("__pycache__"))
    for kind in NAMED:
        for table, file in ROWS[kind].tables:
            add_row(tmp_path / "genlab" / file, table)
    code = """
from genlab.recipes.resolve import resolve
resolve("dcgan", {"loss": "copied", "architecture": "copied", "lr_schedule": "copied", "logger": "copied"})
resolve("vae", {"reconstruction": "copied"})
resolve("ddpm", {"architecture": "copied", "schedule": "copied", "sampler": "copied", "attention": 8})
"""
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, check=True)
