import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genlab.core.errors import DataError, UsageError
from genlab.data.dataset import Source
from genlab.data.native import native_sizes

Open = Callable[..., Source]

BYTES = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
FIRST = np.moveaxis(BYTES, 3, 1)  # (N, C, H, W)


def every(source: Source) -> np.ndarray:
    """All images of both sides, sorted by their content."""
    images = np.concatenate([side.values[np.arange(len(side))] for side in (source.train, source.held_out)])
    return images[np.lexsort(images.reshape(len(images), -1).T)]


def in_order(images: np.ndarray) -> np.ndarray:
    return images[np.lexsort(images.reshape(len(images), -1).T)]


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(**arrays: object) -> Path:
        path = tmp_path / "set.npz"
        np.savez(path, **arrays)  # type: ignore[arg-type]
        return path

    return write


@pytest.mark.parametrize(
    ("images", "wanted", "recognised"),
    [
        (BYTES, FIRST, "(N, H, W, C), bytes"),
        (FIRST, FIRST, "(N, C, H, W), bytes"),
        (BYTES[..., 0], FIRST[:, :1], "(N, H, W), bytes"),
        (BYTES[..., :1], FIRST[:, :1], "(N, H, W, C), bytes"),
        (BYTES / 255, FIRST, "[0, 1]"),
        ((BYTES / 127.5 - 1).astype(np.float32), FIRST, "[-1, 1]"),
        ((BYTES / 255).astype(np.float16), None, "[0, 1]"),
    ],
)
def test_layouts_and_ranges(
    opened: Open, written: Callable[..., Path], images: np.ndarray, wanted: np.ndarray | None, recognised: str
) -> None:
    source = opened(written(images=images))
    assert all(part in source.notes["recognised"] for part in recognised.split("), "))
    if wanted is None:
        wanted = FIRST
        assert np.abs(every(source).astype(int).mean() - wanted.mean()) < 0.1
    else:
        assert (every(source) == in_order(wanted)).all()
    assert source.total == 40


def test_parts_on_different_scales_are_refused_until_the_range_is_given(
    opened: Open, written: Callable[..., Path]
) -> None:
    signed = (BYTES / 127.5 - 1).astype(np.float32)
    path = written(images=signed, test_images=np.abs(signed))
    with pytest.raises(DataError, match="on different scales"):
        opened(path)
    assert opened(path, range=(-1, 1)).held_out.values[np.arange(40)].min() >= 127


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0)])
@pytest.mark.parametrize("outside", [1e-7, 1 / 256])
def test_a_value_slightly_outside_does_not_change_the_range(
    opened: Open, written: Callable[..., Path], low: float, high: float, outside: float
) -> None:
    images = BYTES / 255 * (high - low) + low
    images.flat[[0, 1]] = low - outside, high + outside
    source = opened(written(images=images))
    wanted = BYTES.copy()
    wanted.flat[[0, 1]] = 0, 255
    assert (every(source) == in_order(np.moveaxis(wanted, 3, 1))).all()
    assert f"floats in [{low:g}, 1]; values from {low - outside:.9g} to" in source.notes["recognised"]
    assert "clipped" in source.notes["recognised"]


@pytest.mark.parametrize("images", [BYTES / 255 - 1e-2, BYTES / 255 - 0.5, BYTES / 255 * 1.5 - 0.5, BYTES / 510])
def test_floats_between_the_known_ranges_are_refused(
    opened: Open, written: Callable[..., Path], images: np.ndarray
) -> None:
    path = written(images=images)
    with pytest.raises(DataError, match=r"not certain which values are black and white.*--range"):
        opened(path)
    source = opened(path, range=(-1, 1))
    levels = np.sort(every(source), axis=None).astype(int)
    assert np.abs(levels - np.sort((images + 1) * 127.5, axis=None)).max() < 0.501
    assert "-1 to 1, as given" in source.notes["recognised"]


def test_a_given_range_of_whole_numbers(opened: Open, written: Callable[..., Path]) -> None:
    path = written(images=BYTES.astype(np.uint16) * 257)
    with pytest.raises(DataError, match="--range 0 65535"):
        opened(path)
    assert (every(opened(path, range=(0, 65535))) == in_order(FIRST)).all()
    with pytest.raises(DataError, match=r"outside range=\(0, 255\)"):
        opened(path, range=(0, 255))


def test_only_numbers_take_a_range(opened: Open, album: Path) -> None:
    for source in (album, "digits"):
        with pytest.raises(UsageError, match="takes no range"):
            opened(source, range=(0, 1))


def test_an_npy_is_read_as_the_images_of_an_npz(opened: Open, written: Callable[..., Path]) -> None:
    path = written(images=BYTES / 255).with_suffix(".npy")
    np.save(path, BYTES / 255)
    assert opened(path).train.fingerprint == opened(path.with_suffix(".npz")).train.fingerprint


def test_arrays_without_names_are_images_and_labels(opened: Open, written: Callable[..., Path]) -> None:
    source = opened(written(arr_0=BYTES, arr_1=np.arange(40) % 3))
    assert (every(source) == in_order(FIRST)).all()
    assert source.train.spec.class_names == ("0", "1", "2")
    source = opened(written(arr_0=BYTES, arr_1=np.arange(7), mu=np.zeros(3)))
    assert source.train.labels is None
    assert source.notes["not used"] == "the arrays arr_1, mu"


@pytest.mark.parametrize("prefix", ["held_out", "test"])
def test_a_held_out_part_of_its_own(opened: Open, written: Callable[..., Path], prefix: str) -> None:
    names = np.array(["b", "a", "c", "a"])
    path = written(
        images=BYTES[:4],
        labels=names,
        **{f"{prefix}_images": BYTES[4:6], f"{prefix}_labels": np.array(["d", "a"])},
    )
    source = opened(path)
    assert source.train.spec.class_names == ("a", "b", "c", "d")
    assert source.train.labels is not None
    assert source.train.labels.tolist() == [1, 0, 2, 0]
    assert source.held_out.labels is not None
    assert source.held_out.labels.tolist() == [3, 0]
    assert (source.held_out.values[np.arange(2)] == FIRST[4:6]).all()


def test_labels_follow_their_images_into_the_split(opened: Open, written: Callable[..., Path]) -> None:
    images = np.arange(40, dtype=np.uint8)[:, None, None].repeat(32, 1).repeat(32, 2)
    source = opened(written(images=images, labels=np.arange(40) * 2 + 100))
    for side in (source.train, source.held_out):
        assert side.labels is not None
        assert side.labels.tolist() == side.values[np.arange(len(side))][:, 0, 0, 0].tolist()
    assert source.train.spec.class_names[3] == "106"


def test_resizing(opened: Open, written: Callable[..., Path]) -> None:
    path = written(images=BYTES[:, :20, :28])
    assert opened(path).train.spec.target.shape == (3, 32, 32)
    assert opened(path, size=16, channels=1).train.spec.target.shape == (1, 16, 16)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": BYTES}, 'no array "images". It has: pictures'),
        ({"images": BYTES.astype(np.float32)}, "from 0 to 255"),
        ({"images": BYTES / 255 * 3 - 1}, r"from -1 to 2"),
        ({"images": BYTES.astype(np.int32)}, "int32"),
        ({"images": np.full((4, 8, 8), np.nan)}, "NaN"),
        ({"images": np.full((4, 8, 8), np.inf)}, "infinite"),
        ({"images": BYTES[0, :, :, 0]}, "shape"),
        ({"images": np.zeros((4, 8, 8, 5), np.uint8)}, "shape"),
        ({"images": BYTES[:0]}, "shape"),
        ({"images": BYTES, "labels": np.zeros(3, int)}, "labels is int64"),
        ({"images": BYTES, "labels": np.zeros(40)}, "labels is float64"),
        ({"images": BYTES, "test_images": BYTES, "labels": np.zeros(40, int)}, "has labels but not test_labels"),
        ({"images": BYTES[:1]}, "at least 2"),
        ({"images": np.array([{"a": 1}], dtype=object)}, "plain arrays"),
    ],
)
def test_errors_name_what_is_wrong(
    opened: Open, written: Callable[..., Path], arrays: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        opened(written(**arrays))


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_a_damaged_file(opened: Open, written: Callable[..., Path], content: bytes | None) -> None:
    path = written(images=BYTES)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(DataError, match="npz"):
        opened(path)


def test_an_npy_that_is_called_npz(opened: Open, tmp_path: Path) -> None:
    with (tmp_path / "set.npz").open("wb") as file:
        np.save(file, BYTES)
    with pytest.raises(DataError, match="npz"):
        opened(tmp_path / "set.npz")


def with_member(path: Path, name: str, content: bytes) -> Path:
    """Write a zip with one member, which is called .npz."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    return path


def npy(images: np.ndarray = BYTES) -> bytes:
    file = io.BytesIO()
    np.save(file, images)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no array", "images is no array"),
        (b"", "images is no array"),
        (npy().replace(b"NUMPY\1", b"NUMPY\7"), "unknown version"),
        (npy().replace(b"'descr'", b"'dEscr'"), "plain arrays"),
        (npy().replace(b"(40, 32", b"(41, 32"), r"declares uint8 \(41, 32, 32, 3\), but holds"),
        (npy().replace(b"(40, 32", b"(39, 32"), "bytes after"),
        (npy().replace(b"'|u1'", b"'|V0'"), "declares"),
        (npy().replace(b"|u1", b"|S1"), "does not hold numbers"),
    ],
)
@pytest.mark.parametrize("name", ["set.npz", "set.npy"])
def test_a_damaged_array_is_named(opened: Open, tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    if name.endswith("y"):
        path.write_bytes(content)
        message = message.replace("images is", "the file is").replace("plain arrays", "plain array")
    else:
        with_member(path, "images.npy", content)
    with pytest.raises(DataError, match=message):
        opened(path)


def test_encrypted_and_repeated_arrays_are_named(opened: Open, tmp_path: Path) -> None:
    path = with_member(tmp_path / "set.npz", "images.npy", npy())
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="encrypted"):
        opened(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", npy())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("images.npy", npy())
    with pytest.raises(DataError, match="two arrays images"):
        opened(path)


def test_a_small_file_that_holds_much_is_refused_before_it_is_read(
    opened: Open, written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(images=BYTES, unused=np.zeros(10**6))
    np.savez_compressed(path, images=np.zeros((200, 64, 64), np.uint8), unused=np.zeros(10**6))
    monkeypatch.setattr("genlab.data.unpacked.LIMIT", 10**5)
    monkeypatch.setattr("genlab.data.arrayfile.np.lib.format.read_array", None)
    with pytest.raises(DataError, match=r"when decompressed: more than .* and 20 times its size"):
        opened(path)
    assert native_sizes(str(path)) == {(64, 64): 200}


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((16, 16, 3), "shorter side to 32 px (bicubic, antialiased), centre square"),
        ((32, 48, 3), "shorter side to 32 px (bicubic, antialiased), centre square, which crops the longer side"),
        ((32, 32, 3), None),
    ],
)
def test_a_source_says_how_its_images_were_resized(
    opened: Open, written: Callable[..., Path], shape: tuple[int, ...], said: str | None
) -> None:
    assert opened(written(images=np.zeros((20, *shape), np.uint8))).notes.get("resize") == said
