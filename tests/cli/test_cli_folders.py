"""Folders of pictures that a killed command has begun."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import genlab as package
from genlab.applications import picture_folder
from genlab.core.errors import DataError, GenlabError, UsageError
from genlab.data.originals import stacked

COUNT, BROKEN = 40, 7
Command = Callable[..., Any]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of several sizes, and a file that is none."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for at in range(COUNT):
        size = (16, 16) if at % 2 else (20, 30)
        Image.fromarray(random.integers(0, 255, size, np.uint8)).save(folder / f"{at:03d}.png")
    (folder / f"{BROKEN:03d}x.png").write_text("none")
    return folder


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten pictures at a time; the first 20 or 16 are shown."""
    monkeypatch.setattr("genlab.data.originals.at_once", lambda shape: 10)
    monkeypatch.setattr("genlab.applications.reconstruct_files.SHOWN", 15)


def reconstruct(runs: Path, photos: object, out: Path, **options: Any) -> Any:
    return package.reconstruct("vae", photos, out=out, root=runs, draw=True, **options)


def edit(runs: Path, photos: object, out: Path, **options: Any) -> Any:
    given = {"towards": 7, "strength": (0.0, 1.0), "examples": 5, **options}
    return package.edit("vae", photos, out=out, root=runs, **given)


def edit_by_projection(runs: Path, photos: object, out: Path) -> Any:
    given = {"towards": 7, "strength": (1.0,), "examples": 2, "steps": 2, "starts": 1}
    return package.edit("dcgan", photos, out=out, root=runs, **given)


def kill(monkeypatch: pytest.MonkeyPatch, after: int, command: Callable[[], object]) -> None:
    """Interrupt a command while it writes a picture, of which it leaves a part."""
    written, put = list[Path](), picture_folder.put

    def killed(path: Path, data: bytes) -> None:
        if len(written) == after:
            path.write_bytes(data[:9])
            raise KeyboardInterrupt
        written.append(path)
        put(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(picture_folder, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            command()


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


@pytest.mark.parametrize("after", [3, 34])
@pytest.mark.parametrize("command", [reconstruct, edit, edit_by_projection])
def test_a_killed_command_completes_its_folder_to_the_same_bytes(
    command: Command, after: int, runs: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = command(runs, photos, tmp_path / "whole")
    kill(monkeypatch, after, lambda: command(runs, photos, tmp_path / "part"))
    assert (tmp_path / "part.part").is_dir()
    done = command(runs, photos, tmp_path / "part")
    assert content(tmp_path / "part") == content(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part", "whole"]
    assert {**done.values(), "path": ""} == {**whole.values(), "path": ""}
    assert np.array_equal(done.picture, whole.picture)
    assert done.squashed == COUNT // 2


def test_only_what_is_missing_is_made_again(
    runs: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(monkeypatch, 34, lambda: reconstruct(runs, photos, tmp_path / "out"))
    written, put = list[str](), picture_folder.put
    monkeypatch.setattr(picture_folder, "put", lambda path, data: (written.append(path.name), put(path, data)))
    reconstruct(runs, photos, tmp_path / "out")
    assert written == [f"{at:03d}.png" for at in range(30, COUNT)]


def test_edited_latents_go_on_too(
    runs: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = package.encode("vae", photos, out=tmp_path / "codes.npz", root=runs).path
    edit(runs, codes, tmp_path / "whole")
    kill(monkeypatch, 70, lambda: edit(runs, codes, tmp_path / "part"))
    done = edit(runs, codes, tmp_path / "part")
    assert content(tmp_path / "part") == content(tmp_path / "whole")
    assert len(done.names) == COUNT


def test_a_folder_of_another_request_is_refused(
    runs: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(monkeypatch, 24, lambda: reconstruct(runs, photos, tmp_path / "out"))
    before = content(tmp_path / "out")
    with pytest.raises(UsageError, match="of another command that was interrupted"):
        reconstruct(runs, photos, tmp_path / "out", seed=1)
    with pytest.raises(UsageError, match="of another command that was interrupted"):
        edit(runs, photos, tmp_path / "out")
    assert content(tmp_path / "out") == before
    kill(monkeypatch, 24, lambda: edit(runs, photos, tmp_path / "edited"))
    for options in ({"towards": 6}, {"examples": 6}, {"by": "probe"}, {"strength": (0.0, 2.0)}):
        with pytest.raises(UsageError, match="of another command that was interrupted"):
            edit(runs, photos, tmp_path / "edited", **options)
    reconstruct(runs, photos, tmp_path / "out")
    for command in (reconstruct, edit):
        with pytest.raises(UsageError, match="is not empty"):
            command(runs, photos, tmp_path / "out")


def test_a_command_that_fails_at_once_leaves_nothing_behind(runs: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.png").write_text("none")
    with pytest.raises(DataError, match="no picture could be read"):
        reconstruct(runs, tmp_path / "none", tmp_path / "out")
    with pytest.raises(GenlabError, match="needs a model that can"):
        package.reconstruct("dcgan", photos, out=tmp_path / "out", root=runs)
    assert [path.name for path in tmp_path.iterdir()] == ["none"]


def test_pictures_are_not_written_among_those_that_are_read(runs: Path, photos: Path) -> None:
    with pytest.raises(UsageError, match="lies in"):
        edit(runs, photos, photos / "out")


def interrupting(function: Callable[..., Any], calls: int) -> Callable[..., Any]:
    """Return a function that is interrupted when it has been called some times."""
    left = [calls]

    def called(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    return called


def test_an_interrupted_command_says_in_one_line_what_is_kept(
    runs: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, genlab: Command
) -> None:
    root, options = ("--root", runs), ("--towards", 7, "--examples", 5)
    for command, table, patched in (
        (("encode", "vae", photos, "--out", tmp_path / "a.npz"), tmp_path / "a.npz.part", "encode.stacked"),
        (("compress", "vae", photos, "--out", tmp_path / "a.glz"), tmp_path / "a.glz.part", "compress.stacked"),
        (
            ("reconstruct", "vae", photos, "--out", tmp_path / "again"),
            tmp_path / "again",
            "reconstruct_files.stacked",
        ),
        (("edit", "vae", photos, "--out", tmp_path / "e", *options), tmp_path / "e", "edit_files.stacked"),
    ):
        target = f"genlab.applications.{patched}"
        with monkeypatch.context() as patch:
            patch.setattr(target, interrupting(stacked, 2))
            code, _, err = genlab(*command, *root)
        assert code == 130
        said = f"genlab: interrupted: the first 20 are kept in {table}; give the same command again to go on"
        assert err.splitlines()[-1] == said
        assert genlab(*command, *root).code == 0
    monkeypatch.setattr("genlab.applications.mapping.maps", interrupting(print, 0))
    code, _, err = genlab("map", "vae", "--number", 50, "--out", tmp_path / "map.png", *root)
    assert (code, err.splitlines()[-1]) == (130, "genlab: interrupted before there was a result")


@pytest.mark.parametrize(
    "command",
    ["encode vae IN --out X.npz", "score vae IN --out X.csv", "map vae --out X.png", "probe vae --out X.png"]
    + [f"{verb} --out X" for verb in ("reconstruct vae IN", "edit vae IN --towards 7", "cluster vae IN")]
    + ["project dcgan IN --out X.npz", "compress vae IN --out X.glz"],
)
def test_a_place_where_nothing_can_be_written_is_refused_at_once(
    command: str, runs: Path, photos: Path, tmp_path: Path, genlab: Command
) -> None:
    (tmp_path / "file").write_text("")
    words = command.replace("IN", str(photos)).replace("X", str(tmp_path / "file" / "x")).split()
    code, _, err = genlab(*words, "--root", runs)
    assert code in (1, 2)
    assert f"{tmp_path / 'file'}" in err.splitlines()[-1]
    assert "Choose another place." in err.splitlines()[-1]
