"""Pictures are translated in tiles, and written under their names, in their sizes."""

from collections.abc import Container, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from genlab.applications import translate_files
from genlab.applications.translate import Way
from genlab.applications.translate_files import KEPT, Done, Task, translate_each
from genlab.core.condition import NONE, Condition
from genlab.core.errors import UsageError
from genlab.core.modality import Images
from genlab.core.pictures import gif
from genlab.data.dataset import Array
from genlab.data.frames import Frame, Frames, frames_of

GREY = Images(1, 16, 16)
INVERTED = Way("inverted", GREY, GREY)


class Scaled(nn.Module):
    """Multiplies each pixel by a number, by its label if it has one, and records how many pictures it gets."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.sizes: list[tuple[int, ...]] = []

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        self.sizes.append(tuple(condition["source"].shape))
        by = condition["label"].view(-1, 1, 1, 1) if "label" in condition else self.factor
        return condition["source"] * by

    def translate_back(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        return x / self.factor


def picture(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


def run(given: object, into: Path | None = None, factor: float = -1.0, **changes: object) -> Done:
    options = {"back": None, "large": "tile", "seed": 0, "into": {"inverted": into} if into else {}, **changes}
    task = Task(Scaled(factor), [INVERTED], **options)  # type: ignore[arg-type]
    with frames_of(given, GREY) as frames:
        return translate_each(task, frames, progress=False)


@pytest.mark.parametrize("size", [(16, 16), (17, 40), (64, 16), (90, 71)])
def test_a_translator_of_single_pixels_leaves_no_seams(size: tuple[int, int], tmp_path: Path) -> None:
    Image.fromarray(picture(*size)).save(tmp_path / "a.png")
    done = run(tmp_path / "a.png")
    source, translated = done.rows[0]
    assert (source[:, :, 0] == picture(*size)).all()
    assert (translated[:, :, 0] == 255 - picture(*size)).all()


def test_pictures_keep_their_names_sizes_and_turn(tmp_path: Path) -> None:
    given, into = tmp_path / "given", tmp_path / "new"
    (given / "sub").mkdir(parents=True)
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn
    Image.fromarray(picture(20, 50)).save(given / "sub" / "wide.jpg", exif=turned)
    Image.fromarray(picture(16, 16, 3)).save(given / "colour.webp", lossless=True)
    Image.fromarray(picture(5, 9)).save(given / "small.png")
    (given / "broken.png").write_bytes(b"no picture")
    done = run(given, into)
    written = {path.relative_to(into).as_posix(): np.asarray(Image.open(path)).shape for path in into.rglob("*.*")}
    assert written == {"sub/wide.png": (50, 20), "colour.png": (16, 16), "small.png": (5, 9)}
    assert [item.path for item in done.rejected] == ["broken.png"]
    assert (done.larger, done.smaller, done.squashed) == (1, 1, 1)
    grey = np.asarray(Image.open(given / "colour.webp").convert("L"))
    assert (np.asarray(Image.open(into / "colour.png")) == 255 - grey).all()


def test_larger_pictures_are_shrunk_if_asked_for(tmp_path: Path) -> None:
    model = Scaled(-1.0)
    Image.fromarray(picture(40, 80)).save(tmp_path / "a.png")
    with frames_of(tmp_path / "a.png", GREY) as frames:
        done = translate_each(Task(model, [INVERTED], None, "resize", 0), frames, progress=False)
    assert model.sizes == [(1, 1, 16, 16)]
    assert done.rows[0][1].shape == (40, 80, 1)
    assert (done.larger, done.smaller, done.squashed) == (1, 0, 1)


def test_a_picture_long_and_low_is_tiled_along_its_long_side(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 100), 200, np.uint8)).save(tmp_path / "a.png")
    done = run(tmp_path / "a.png")
    assert (done.rows[0][1] == 55).all()
    assert (done.larger, done.smaller) == (1, 1)


def test_tiles_of_all_pictures_are_translated_in_full_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translate_files, "at_once", lambda shape: 4)
    model, pictures = (
        Scaled(-1.0),
        [picture(1, 16, 16), picture(1, 16, 40), picture(1, 16, 28), picture(1, 16, 16)],
    )
    frames = Frames("", 4, lambda _: iter(Frame(f"{at}", f"{at}.png", p) for at, p in enumerate(pictures)))
    done = translate_each(Task(model, [INVERTED], None, "tile", 0), frames, progress=False)
    assert [size[0] for size in model.sizes] == [4, 3]  # 1 + 3 + 2 + 1 tiles
    assert done.names == ["0", "1", "2", "3"]
    for (_, made), given in zip(done.rows, pictures, strict=True):
        assert (made[:, :, 0] == 255 - given[0]).all()


def test_a_folder_is_written_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translate_files, "at_once", lambda shape: 2)
    there: list[int] = []

    def read(done: Container[str]) -> Iterator[Frame]:
        for at in range(10):
            there.append(len(list(tmp_path.iterdir())))
            yield Frame(f"{at}", f"{at}.png", picture(1, 16, 16))

    task = Task(Scaled(-1.0), [INVERTED], None, "tile", 0, {"inverted": tmp_path})
    translate_each(task, Frames("", 10, read), progress=False)
    assert there == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8]


def test_of_a_folder_only_a_few_are_kept(tmp_path: Path) -> None:
    assert len(run(np.zeros((KEPT + 5, 1, 16, 16), np.uint8), tmp_path).rows) == KEPT
    assert len(run(np.zeros((KEPT + 5, 1, 16, 16), np.uint8)).rows) == KEPT + 5


def test_more_pixels_than_a_png_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translate_files, "MOST_PIXELS", 2 * 34 * 2 * 34)  # shown twice as large
    run(np.zeros((2, 1, 16, 16), np.uint8))
    with pytest.raises(UsageError, match="which 2 would exceed"):
        run(np.zeros((3, 1, 16, 16), np.uint8))


def test_a_gif_keeps_its_times(tmp_path: Path) -> None:
    pictures = [np.full((20, 20, 1), value, np.uint8) for value in (0, 100, 200)]
    (tmp_path / "a.gif").write_bytes(gif(pictures, [50, 100, 150], loop=3))
    run(tmp_path / "a.gif", tmp_path / "new")
    with Image.open(tmp_path / "new" / "a.gif") as made:
        assert (made.n_frames, made.info["loop"]) == (3, 3)  # type: ignore[attr-defined]
        found = []
        for number in range(3):
            made.seek(number)
            found.append((made.info["duration"], made.convert("L").getpixel((3, 3))))
    assert found == [(50, 255), (100, 155), (150, 55)]


def test_pictures_are_translated_into_several_domains(tmp_path: Path) -> None:
    ways: Sequence[Way] = [Way("same", GREY, GREY, 1), Way("grey", GREY, GREY, 0)]
    given = picture(3, 1, 16, 16)
    places = {"same": tmp_path / "same", "grey": tmp_path / "grey"}
    with frames_of(given, GREY) as frames:
        done = translate_each(Task(Scaled(1.0), ways, None, "tile", 0, places), frames, progress=False)
    assert [len(row) for row in done.rows] == [3, 3, 3]
    assert (np.asarray(Image.open(tmp_path / "same" / "000002.png")) == given[2, 0]).all()
    assert (np.asarray(Image.open(tmp_path / "grey" / "000002.png")) == 128).all()


def test_the_way_back_starts_from_rounded_bytes() -> None:
    given = picture(2, 1, 16, 40)
    done = run(given, factor=1 / 128, back=Way("source", GREY, GREY, backwards=True))
    _, translated, back = done.rows[0]
    assert set(np.unique(translated)) <= {127, 128}  # all that is left of the picture
    assert set(np.unique(back)) <= {64, 192}
