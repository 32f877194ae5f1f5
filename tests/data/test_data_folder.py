import io
import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from genlab.core.errors import DataError, UsageError
from genlab.core.modality import DataSpec, Images
from genlab.data.dataset import Source, Split, names_of
from genlab.data.originals import of_split
from genlab.runs.phases import resized

Open = Callable[..., Source]
Paint = Callable[..., Path]


def all_images(side: Split) -> np.ndarray:
    return side.values[np.arange(len(side))]


def reasons(source: Source) -> dict[str, str]:
    found = {item.path: item.reason for item in source.rejected}
    assert len(found) == len(source.rejected), "a file is listed twice"
    return found


def balanced(source: Source) -> bool:
    return len(source.train) + len(source.held_out) + len(source.rejected) == source.total


def test_folders_are_classes(opened: Open, album: Path) -> None:
    source = opened(album, size=32)
    assert source.train.spec.class_names == source.held_out.spec.class_names == ("cat", "dog")
    assert source.total == 20
    assert source.train.spec.target.shape == (3, 32, 32)
    assert source.train.values.dtype == np.uint8
    counts = np.zeros(2, dtype=int)
    for side in (source.train, source.held_out):
        assert side.labels is not None
        counts += np.bincount(side.labels, minlength=2)
    assert counts.tolist() == [10, 10]


def test_examples_know_the_files_that_they_are_from(opened: Open, root: Path) -> None:
    for at in range(40):
        place = root / "ab"[at % 2] / f"{at}.png"
        place.parent.mkdir(exist_ok=True)
        Image.new("L", (32, 32), 6 * at).save(place)
    (root / "a" / "20x.png").write_text("none")
    Image.new("L", (32, 32)).save(root / "beside.png")
    source = opened(root, max_rejected=0.1)
    assert {item.path for item in source.rejected} == {"a/20x.png", "beside.png"}
    for side in (source.train, resized(source, DataSpec(Images(1, 16, 16))).held_out):
        names = names_of(side)
        assert len(names) == len(side)
        for name, shade in zip(names, all_images(side).max(axis=(1, 2, 3)).tolist(), strict=True):
            assert (root / name).is_file()
            assert int(Path(name).stem) * 6 == shade
        assert [each.name for each in of_split("it", side).read({names[0]})] == list(names[1:])  # type: ignore[union-attr]


def test_examples_that_are_from_no_file_have_positions_for_names(opened: Open) -> None:
    assert list(names_of(opened("ring8").train))[:3] == ["0", "1", "2"]


def test_labels_belong_to_their_images(opened: Open, root: Path) -> None:
    for at in range(40):
        name, colour = [("black", 0), ("white", 255), ("middle", 128)][at % 3]
        (root / name).mkdir(exist_ok=True)
        Image.new("L", (32, 32), colour).save(root / name / f"{at}.png")
    source = opened(root)
    for side in (source.train, source.held_out):
        assert side.labels is not None
        seen = [int(value) for value in all_images(side).max(axis=(1, 2, 3))]
        names = [side.spec.class_names[label] for label in side.labels]
        assert seen == [{"black": 0, "middle": 128, "white": 255}[name] for name in names]


def test_images_are_in_the_order_of_their_paths(opened: Open, root: Path) -> None:
    """So that the fingerprint is the same wherever the folder lies."""
    for at in np.random.default_rng(0).permutation(100):
        Image.new("L", (32, 32), int(at)).save(root / f"{at:03}.png")
    source = opened(root)
    for side in (source.train, source.held_out):
        assert (np.diff(all_images(side)[:, 0, 0, 0].astype(int)) > 0).all()


def test_deeper_folders_belong_to_the_class_above(opened: Open, root: Path, paint: Paint) -> None:
    for at in range(6):
        paint(root / "a" / f"deep{at}" / "more" / "x.png", at)
        paint(root / "b" / f"{at}.png", at)
    assert opened(root).train.spec.class_names == ("a", "b")


@pytest.mark.parametrize("strays", [2, 0])
def test_no_classes_unless_nearly_every_picture_lies_in_one_of_two(
    opened: Open, root: Path, paint: Paint, strays: int
) -> None:
    for at in range(4):
        paint(root / "only" / f"{at}.png", at)
        if strays:
            paint(root / "other" / f"{at}.png", at)
    for at in range(strays):
        paint(root / f"{at}.png", at)
    source = opened(root)
    assert source.train.spec.class_names == ()
    assert source.train.labels is None
    assert balanced(source)


@pytest.mark.parametrize("others", [["test"], ["val"], ["validation"], ["held-out"], ["val", "test"]])
@pytest.mark.parametrize("wrapper", ["", "outer/inner"])
def test_splits_of_its_own(opened: Open, root: Path, paint: Paint, others: list[str], wrapper: str) -> None:
    for at in range(8):
        paint(root / wrapper / "train" / "ab"[at % 2] / f"{at}.png", at)
    for other in others:
        for at in range(4):
            paint(root / wrapper / other / "ab"[at % 2] / f"{at}.png", 100 + at)
    source = opened(root)
    assert (len(source.train), len(source.held_out)) == (8, 4 * len(others))
    assert source.train.spec.class_names == ("a", "b")
    assert "own" in source.notes["split"]


def test_a_file_that_is_no_picture_does_not_undo_the_classes(opened: Open, album: Path) -> None:
    (album / "README.txt").write_text("where these come from")
    source = opened(album)
    assert source.train.spec.class_names == ("cat", "dog")
    assert reasons(source) == {"README.txt": "not an image"}
    assert balanced(source)


def test_the_split_is_stable_and_disjoint(opened: Open, root: Path, paint: Paint) -> None:
    def sides() -> tuple[set[bytes], set[bytes]]:
        source = opened(root)
        train, held_out = ({image.tobytes() for image in all_images(d)} for d in (source.train, source.held_out))
        assert not train & held_out
        assert len(train) + len(held_out) == source.total
        return train, held_out

    for at in range(0, 200, 2):
        paint(root / f"{at:04}.png", at)
    train, held_out = sides()
    assert 2 <= len(held_out) <= 25
    for at in range(1, 100, 2):
        paint(root / f"{at:04}.png", at)
    more_train, more_held_out = sides()
    assert train < more_train
    assert held_out <= more_held_out


@pytest.mark.parametrize("count", [2, 3, 5])
def test_both_sides_have_at_least_one(opened: Open, root: Path, paint: Paint, count: int) -> None:
    for at in range(count):
        paint(root / f"{at}.png", at)
    source = opened(root)
    assert min(len(source.train), len(source.held_out)) >= 1
    assert len(source.train) + len(source.held_out) == count


def test_one_picture_is_too_few(opened: Open, root: Path, paint: Paint) -> None:
    paint(root / "1.png")
    with pytest.raises(DataError, match="at least 2"):
        opened(root)


def bomb(path: Path) -> None:
    """A PNG of a few bytes that declares so many pixels that Pillow by itself only warns."""
    small = io.BytesIO()
    Image.new("L", (1, 1)).save(small, "PNG")
    data = bytearray(small.getvalue())
    data[16:24] = (12_000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    path.write_bytes(bytes(data))


def truncated(path: Path) -> None:
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, "JPEG")
    path.write_bytes(whole.getvalue()[:900])


def fake_socket(path: Path) -> None:
    here = os.open(".", os.O_RDONLY)
    os.chdir(path.parent)  # the name of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)


DIRT: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated.jpg": (truncated, "truncated"),
    "empty.png": (lambda path: path.write_bytes(b""), "empty"),
    "renamed.jpg": (lambda path: path.write_text("not a picture at all"), "not an image"),
    "bomb.png": (bomb, "bomb"),
    "pipe.png": (os.mkfifo, "FIFO"),
    "socket.png": (fake_socket, "socket"),
    "broken.png": (lambda path: path.symlink_to("nowhere.png"), "broken link"),
    "loop.png": (lambda path: path.symlink_to(path.name), "loop of links"),
    "up": (lambda path: path.symlink_to("."), "read already"),
    "Thumbs.db": (lambda path: path.write_bytes(b"\xd0\xcf\x11\xe0"), "not an image"),
    "labels.csv": (lambda path: path.write_text("a,b"), "not an image"),
    "float.tif": (
        lambda path: Image.fromarray(np.zeros((9, 9), dtype=np.float32)).save(path),
        "float pixels",
    ),
}


@pytest.mark.parametrize("name", DIRT)
def test_dirt_is_listed_once_with_its_reason(opened: Open, album: Path, name: str) -> None:
    make, why = DIRT[name]
    make(album / "cat" / name)
    source = opened(album, max_rejected=0.1)
    assert list(reasons(source)) == [f"cat/{name}"]
    assert why in reasons(source)[f"cat/{name}"]
    assert source.total == 21
    assert balanced(source)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dirt=st.lists(st.sampled_from(sorted(DIRT)), unique=True), good=st.integers(2, 9))
def test_accepted_and_rejected_are_all_there_is(
    opened: Open, tmp_path: Path, paint: Paint, dirt: list[str], good: int
) -> None:
    folder = tmp_path / "mixed"
    shutil.rmtree(folder, ignore_errors=True)
    for at in range(good):
        paint(folder / f"{at}.png", at)
    for name in dirt:
        DIRT[name][0](folder / name)
    source = opened(folder, max_rejected=1.0)
    assert sorted(reasons(source)) == sorted(dirt)
    assert source.total == good + len(dirt)
    assert balanced(source)


def test_hidden_files_are_left_out_of_every_count(opened: Open, album: Path, paint: Paint) -> None:
    (album / ".DS_Store").write_bytes(b"x")
    paint(album / ".thumbnails" / "a.png")
    paint(album / "__MACOSX" / "a.png")
    assert opened(album).total == 20


def test_a_folder_named_like_a_picture_is_a_folder(opened: Open, album: Path, paint: Paint) -> None:
    paint(album / "cat" / "x.jpg" / "y.png")
    source = opened(album)
    assert source.total == 21
    assert source.rejected == ()


def test_names_that_are_no_utf_8_are_read_and_listed_escaped(opened: Open, album: Path, paint: Paint) -> None:
    good, bad = (os.fsdecode(os.fsencode(str(album / "cat")) + name) for name in (b"/\xe4.png", b"/\xfc\n.png"))
    shutil.copy(paint(album / "cat" / "a.png"), good)
    Path(bad).write_text("no picture")
    source = opened(album, max_rejected=0.1)
    assert reasons(source) == {"cat/\\xfc\\n.png": "not an image"}
    assert source.total == 23
    assert source.rejected[0].path.isprintable()
    assert balanced(source)
    assert opened(album, max_rejected=0.1).rejected == source.rejected


def test_a_class_name_that_is_no_utf_8_is_printable(opened: Open, album: Path) -> None:
    (album / "cat").rename(os.fsdecode(os.fsencode(str(album)) + b"/k\xe4tt"))
    assert opened(album).train.spec.class_names == ("dog", "k\\xe4tt")


def test_linked_folders_are_read_once(opened: Open, tmp_path: Path, album: Path, paint: Paint) -> None:
    far = tmp_path / "far"
    paint(far / "1.png", 50)
    paint(far / "2.png", 51)
    (album / "fox").symlink_to(far)
    (album / "wolf").symlink_to(far)
    source = opened(album, max_rejected=0.1)
    assert source.train.spec.class_names == ("cat", "dog", "fox")
    assert reasons(source) == {"wolf": "a link to a folder that is read already"}
    assert balanced(source)


def test_a_file_that_cannot_be_opened_is_rejected(
    opened: Open, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated, because root may read everything."""
    plain = Path.open

    def guarded(self: Path, *arguments: object, **options: object) -> object:
        if self.name == "03.png":
            raise PermissionError(13, "Permission denied", str(self))
        return plain(self, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", guarded)
    source = opened(album, max_rejected=0.1)
    assert reasons(source) == {"cat/03.png": "cannot be read: Permission denied"}
    assert balanced(source)


def test_a_folder_that_cannot_be_read_is_listed(
    opened: Open, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.scandir

    def guarded(path: Path | int) -> object:
        if isinstance(path, Path) and path.name == "dog":
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path)

    monkeypatch.setattr(os, "scandir", guarded)
    source = opened(album, max_rejected=0.1)
    assert reasons(source) == {"dog": "cannot be read: Permission denied"}
    assert source.total == 11


def test_repaired_permissions_are_noticed(opened: Open, album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        test_a_file_that_cannot_be_opened_is_rejected(opened, album, patch)
    (album / "cat" / "03.png").chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert opened(album).rejected == ()


def test_too_much_damage_stops_and_says_how_to_go_on(opened: Open, album: Path) -> None:
    (album / "cat" / "bad.jpg").write_text("no picture")
    with pytest.raises(
        DataError, match=r"1 of 21 files \(4\.8%\).*cat/bad\.jpg: not an image.*--max-rejected 0\.05"
    ):
        opened(album)
    with pytest.raises(DataError, match=r"limit is 4\.7%"):
        opened(album, max_rejected=0.047)
    assert len(opened(album, max_rejected=0.05).rejected) == 1


def test_companions_of_pictures_do_not_count_as_damage(opened: Open, album: Path) -> None:
    for name in ("README.md", "labels.csv", "meta.json", "Thumbs.db"):
        (album / name).write_text("text")
    source = opened(album, max_rejected=0.0)
    assert len(source.rejected) == 4
    assert balanced(source)


@pytest.mark.parametrize("content", [[], [".hidden.png"], ["a.jpg", "b.txt"]])
def test_no_picture_at_all(opened: Open, root: Path, content: list[str]) -> None:
    for name in content:
        (root / name).write_text("text")
    with pytest.raises(DataError, match="holds no"):
        opened(root, max_rejected=1.0)


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_an_impossible_share(opened: Open, album: Path, share: float) -> None:
    with pytest.raises(UsageError, match="0 to 1"):
        opened(album, max_rejected=share)


@pytest.mark.parametrize(("options", "shape"), [({}, (1, 64, 64)), ({"channels": 3, "size": 16}, (3, 16, 16))])
def test_grey_pictures_give_one_channel(
    opened: Open, root: Path, paint: Paint, options: dict[str, int], shape: tuple[int, ...]
) -> None:
    for at in range(4):
        paint(root / f"{at}.png", at, mode="L")
    assert opened(root, **options).train.spec.target.shape == shape


def test_one_colour_picture_makes_all_colour(opened: Open, root: Path, paint: Paint) -> None:
    for at in range(4):
        paint(root / f"{at}.png", at, mode="RGB" if at == 2 else "L")
    assert opened(root).train.spec.target.shape[0] == 3
    assert opened(root, channels=1).train.spec.target.shape[0] == 1
