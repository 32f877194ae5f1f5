"""Runs are moved into the trash and back; nothing is deleted, and no link is followed."""

import os
from pathlib import Path

import pytest

import genlab
from genlab.core.errors import UsageError
from genlab.recipes.resolve import resolve
from genlab.runs.trash import TRASH
from genlab.training.run_folder import LATEST, RunFolder, find


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the runs vae, dcgan and `a b`, which is the latest."""
    root = tmp_path / "runs"
    for name in ("vae", "dcgan", "a b"):
        folder = RunFolder.create(root, name)
        folder.write_yaml("recipe.yaml", resolve("vae").values())
        folder.become_latest()
    return root


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_removed_run_is_complete_in_the_trash_and_can_be_restored(root: Path) -> None:
    (root / "dcgan" / "previews" / "000001.png").write_bytes(b"picture")
    moved = genlab.rm("dcgan", root=root)
    assert moved.places == {root / "dcgan": root / TRASH / "dcgan"}
    assert names(root) == {"vae", "a b", LATEST, TRASH}
    assert [run.name for run in genlab.runs(root)] == ["a b", "vae"]
    assert str(moved).splitlines()[-1] == f"To restore: genlab rm --undo dcgan --root {root}"
    back = genlab.rm("dcgan", undo=True, root=root)
    assert (root / "dcgan" / "previews" / "000001.png").read_bytes() == b"picture"
    assert back.latest is None
    assert find("latest", root).path.name == "a b"
    assert names(root / TRASH) == set()


def test_latest_points_to_the_newest_run_that_is_left(root: Path) -> None:
    RunFolder(root / "vae").event(1, "started", {})
    os.utime(root / "dcgan" / "recipe.yaml", (0, 0))
    moved = genlab.rm(root / "a b", root="elsewhere")
    assert moved.latest == root / "vae"
    assert (root / LATEST).readlink() == Path("vae")
    assert genlab.rm("latest", root=root).places == {root / "vae": root / TRASH / "vae"}
    assert genlab.rm("dcgan", root=root).latest is None
    assert names(root) == {TRASH}
    assert genlab.rm("vae", undo=True, root=root).latest == root / "vae"


def test_names_that_are_taken_get_a_number(root: Path) -> None:
    for name in ("vae", "vae"):
        genlab.rm(name, root=root)
        RunFolder.create(root, "vae").write_yaml("recipe.yaml", resolve("vae").values())
    assert names(root / TRASH) == {"vae", "vae-2"}
    assert genlab.rm("vae", undo=True, root=root).places == {root / TRASH / "vae": root / "vae-2"}


def test_what_cannot_be_removed_moves_nothing(root: Path) -> None:
    before = names(root)
    with (
        RunFolder(root / "dcgan").lock(),
        pytest.raises(UsageError, match=r"a process is training in .*dcgan now"),
    ):
        genlab.rm("vae", "dcgan", root=root)
    with pytest.raises(UsageError, match=r'no run "vea".*Did you mean "vae"'):
        genlab.rm("vae", "vea", root=root)
    with pytest.raises(UsageError, match="name the runs"):
        genlab.rm(root=root)
    with pytest.raises(UsageError, match=r'no run "vae" in .*trash\. It is empty'):
        genlab.rm("vae", undo=True, root=root)
    assert names(root) == before


def test_no_link_is_followed(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (root / "dcgan").rename(elsewhere)
    (root / "linked").symlink_to(elsewhere)
    with pytest.raises(UsageError, match=r"linked is a link to .*elsewhere"):
        genlab.rm("linked", root=root)
    (root / TRASH).symlink_to(tmp_path)
    with pytest.raises(UsageError, match="trash is a link"):
        genlab.rm("vae", root=root)
    assert (root / "vae").is_dir()
    assert elsewhere.is_dir()


def test_a_trial_does_not_become_the_latest_and_a_taken_name_is_said(root: Path) -> None:
    tiny = {"architecture": "mlp", "width": 8, "batch_size": 16, "data": "ring8", "steps": 1, "quiet": True}
    run = genlab.train("gan", name="vae", latest=False, root=root, **tiny)
    assert run.name == "vae-2"
    assert find("latest", root).path.name == "a b"
    notes = [event for event in RunFolder(run.folder).events("note") if "name" in event]
    assert [note["name"] for note in notes] == ['"vae" is taken; this run is "vae-2"']
