"""Two sides as the data of a run: told at its start, recorded, and known when it is resumed."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from genlab.core.errors import CheckpointError, UsageError
from genlab.recipes.presets import PRESETS
from genlab.recipes.resolve import resolve
from genlab.recipes.settings import Settings
from genlab.runs.data import check_unchanged, open_data, open_recorded, placed, reading_notes, record
from genlab.training.run_folder import RunFolder


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    for at in range(12):
        for side in "AB":
            paint(tmp_path / "shapes" / side / f"{at}.png", at + 100 * (side == "B"))
    return resolve("pix2pix", {"data": str(tmp_path / "shapes"), "size": 8}).settings


def paint(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), level).save(path)


def test_a_run_says_what_is_translated_into_what(settings: Settings) -> None:
    source = open_data(settings, recipe=PRESETS["pix2pix"], quiet=True)
    notes = reading_notes(settings, source)
    assert list(notes) == ["sides", "direction", "pairs"]
    assert notes["direction"] == "A → B"
    assert notes["pairs"] == "12 pairs by file name"


def test_a_run_knows_its_two_sides_again(settings: Settings, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    record(open_data(settings, recipe=PRESETS["pix2pix"], quiet=True), folder)
    assert folder.read_yaml("data.yaml")["domains"] == ["A", "B"]
    check_unchanged(folder, open_data(settings, recipe=PRESETS["pix2pix"], quiet=True))
    paint(tmp_path / "shapes" / "A" / "alone.png", 1)
    check_unchanged(folder, open_data(settings, recipe=PRESETS["pix2pix"], quiet=True))  # no pair has changed
    turned = open_data(replace(settings, direction="b-to-a"), recipe=PRESETS["pix2pix"], quiet=True)
    with pytest.raises(CheckpointError, match='direction was "A → B" and is "B → A"'):
        check_unchanged(folder, turned)
    paint(tmp_path / "shapes" / "B" / "alone.png", 2)
    with pytest.raises(CheckpointError, match='pairs was "12 pairs by file name" and is "13 pairs'):
        check_unchanged(folder, open_data(settings, recipe=PRESETS["pix2pix"], quiet=True))


def test_sides_in_two_places_are_found_again_in_one(settings: Settings, tmp_path: Path) -> None:
    place = tmp_path / "shapes"
    plan = resolve("pix2pix", {"data": str(place / "B"), "source": str(place / "A"), "size": 8})
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.write_yaml("recipe.yaml", plan.values())
    record(open_data(plan.settings, recipe=plan.recipe, quiet=True), folder)
    place.rename(tmp_path / "moved")
    with pytest.raises(UsageError, match=r"the sources of this run are no longer at .*A\. Move them back"):
        open_recorded(folder, plan.settings, quiet=True)
    found = open_recorded(folder, plan.settings, str(tmp_path / "moved"), quiet=True)
    assert len(found.train) + len(found.held_out) == 12
    assert placed(plan.settings, str(tmp_path / "moved")).source is None
    alone = resolve("vae", {"data": str(place)}).settings
    with pytest.raises(
        UsageError, match=r"the data of this run are no longer at .*shapes\. Move them back, or give"
    ):
        placed(alone, None)
