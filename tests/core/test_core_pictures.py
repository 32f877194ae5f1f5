import io

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.core.pictures import (
    POINT_CANVAS,
    Extent,
    columns_of,
    drawable,
    gif,
    image_grid,
    label_tiles,
    most_in_grid,
    png,
    scatter_plot,
    table,
    to_bytes,
    to_pillow,
)


def flat(*values: float, channels: int = 1, side: int = 32) -> torch.Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, channels, side, side)


NAMES = ["ankle boot", "T-shirt/top", "coat"]


def test_names_are_written_once_above_each_column_or_above_each_image() -> None:
    images = torch.zeros(6, 3, 32, 32)
    plain = image_grid(images, 3)
    title, header, each = (
        image_grid(images, 3, names) for names in (NAMES[:1] * 6, NAMES * 2, [*NAMES, *reversed(NAMES)])
    )
    assert title.shape[1] == header.shape[1] == each.shape[1] == plain.shape[1]
    for grid in (title, header):
        assert np.array_equal(grid[-len(plain) :], plain)
        assert (grid[: -len(plain)] < 128).any()  # text
    assert len(each) - len(plain) == 2 * (len(header) - len(plain) - 2)
    assert np.array_equal(each[-32:, :32], plain[-32:, :32])


@pytest.mark.parametrize("name", ["", " ", "x" * 500, "日本語", "a\nb\x1b[31m", "\udcff", "W" * 40])
def test_a_name_of_any_kind_fits_above_an_image(name: str) -> None:
    grid = image_grid(torch.zeros(2, 1, 8, 8), 2, [name, "b"])
    assert grid.shape[1] == 2 * 34 - 2
    assert len(grid) < 32 + 80
    assert label_tiles([name]).shape == (64, 64, 1)


def test_names_are_drawn_in_the_letters_of_europe_and_others_are_escaped() -> None:
    for name in ("été à la mer", "Straße", "łódka", "θάλασσα", "кошка"):
        assert drawable(name) == name
        assert len({png(label_tiles([letter])) for letter in name}) == len(set(name))
    assert drawable("猫") == "\\u732b"


@pytest.mark.parametrize(
    ("shape", "most"), [((3, 8, 8), 60_553), ((3, 1024, 1024), 66), ((3, 9000, 9000), 1), ((2,), 2**20)]
)
def test_a_grid_is_bounded_by_its_pixels(shape: tuple[int, ...], most: int) -> None:
    assert most_in_grid(shape) == most


def test_every_byte_survives_the_way_there_and_back() -> None:
    levels = torch.arange(256, dtype=torch.float32).view(1, 1, 16, 16)
    assert np.array_equal(to_bytes(levels / 127.5 - 1)[0, :, :, 0], levels[0, 0].numpy())


def test_both_ends_are_reached_and_not_passed() -> None:
    values = [-9.0, -1.0, -1 + 0.4 / 127.5, -1 + 0.6 / 127.5, 1 - 0.6 / 127.5, 1 - 0.4 / 127.5, 1.0, 9.0]
    assert to_bytes(flat(*values, side=1)).flatten().tolist() == [0, 0, 0, 1, 254, 255, 255, 255]


def test_bytes_are_channels_last_and_detached() -> None:
    images = torch.stack([torch.full((2, 4), c) for c in (-1.0, 0.2, 1.0)])[None].requires_grad_()
    assert to_bytes(images).shape == (1, 2, 4, 3)
    assert to_bytes(images)[0, 1, 2].tolist() == [0, 153, 255]
    assert to_bytes(images.bfloat16()).dtype == np.uint8


def test_images_lie_in_rows_two_pixels_apart() -> None:
    canvas = image_grid(flat(-1, -0.6, -0.2, 0.2, 0.6), columns=3)
    assert canvas.shape == (2 * 34 - 2, 3 * 34 - 2, 1)
    shown = [canvas[34 * (i // 3) + 15, 34 * (i % 3) + 15, 0] for i in range(6)]
    assert shown == [0, 51, 102, 153, 204, 255]  # the place without an image is white
    assert (canvas[32:34] == 255).all()
    assert (canvas[:, 32:34] == 255).all()
    assert (canvas[:32, :32] == 0).all()


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (4, 2, 2), (5, 2, 3), (7, 3, 3), (64, 8, 8)])
def test_a_grid_is_about_square(count: int, rows: int, columns: int) -> None:
    canvas = image_grid(torch.zeros(count, 3, 32, 32))
    assert canvas.shape == (34 * rows - 2, 34 * columns - 2, 3)


@pytest.mark.parametrize(("side", "shown"), [(1, 32), (8, 32), (16, 32), (20, 40), (31, 62), (32, 32), (64, 64)])
def test_small_images_are_enlarged_by_whole_pixels(side: int, shown: int) -> None:
    image = torch.randn(1, 1, side, side).clamp(-1, 1)
    canvas = image_grid(image)
    assert canvas.shape == (shown, shown, 1)
    factor = shown // side
    assert np.array_equal(canvas[::factor, ::factor], to_bytes(image)[0])
    assert np.array_equal(canvas[factor - 1 :: factor, factor - 1 :: factor], to_bytes(image)[0])


def test_points_become_one_plot() -> None:
    """(x, y) with x to the right and y upwards; what lies outside is drawn at the border."""
    points = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.5, -1.0], [7.0, -9.0]])
    canvas = scatter_plot(points)
    assert canvas.shape == (POINT_CANVAS, POINT_CANVAS, 1)
    last = POINT_CANVAS - 1
    black = {(int(row), int(column)) for row, column in zip(*np.nonzero(canvas[:, :, 0] == 0), strict=True)}
    assert black == {(last, 0), (0, last), (last, round(0.75 * last)), (last, last)}


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_same_pixels(channels: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    with Image.open(io.BytesIO(png(picture))) as opened:
        assert opened.format == "PNG"
        assert opened.mode == ("L" if channels == 1 else "RGB")
        assert np.array_equal(np.asarray(opened).reshape(picture.shape), picture)
    assert to_pillow(picture).size == (7, 5)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_gif_shows_every_picture_for_its_time(channels: int) -> None:
    pictures = [np.full((6, 4, channels), level, np.uint8) for level in (0, 100, 200)]
    with Image.open(io.BytesIO(gif(pictures, milliseconds=50))) as opened:
        assert opened.n_frames == 3
        assert opened.info["loop"] == 0
        for at, picture in enumerate(pictures):
            opened.seek(at)
            assert opened.info["duration"] == 50
            assert np.array_equal(np.asarray(opened.convert("L")), picture[:, :, 0])


@pytest.mark.parametrize(
    ("count", "classes", "columns"), [(64, 2, 8), (64, 3, 9), (64, 10, 10), (4, 10, 10), (9, 1, 3)]
)
def test_a_grid_of_classes_in_turn_has_one_in_each_column(count: int, classes: int, columns: int) -> None:
    assert columns_of(count, classes) == columns


def test_a_table_has_columns_of_one_width_and_rows_of_their_heights() -> None:
    def cell(height: int, width: int, value: int) -> np.ndarray:  # type: ignore[type-arg]
        return np.full((height, width, 1), value, np.uint8)

    rows = [[cell(40, 50, 10), cell(40, 50, 20)], [cell(16, 60, 30), cell(16, 60, 40)]]
    drawn, extent = table(rows, ["a", "b"]), Extent(2)
    assert extent.add(40, 50, 10**6)
    assert extent.add(16, 60, 10**6)
    assert not extent.add(16, 60, 10**4)
    caption = drawn.shape[0] - extent.height + 2
    assert drawn.shape[1] == 2 * extent.width - 2 == 2 * 122 - 2
    assert 0 < caption < 20
    grey = drawn[:, :, 0][drawn.shape[0] - 32 - 2 - 40 :]  # a picture of 16 pixels is shown twice as large
    assert (grey[:40, :50] == 10).all()
    assert (grey[:40, 122:172] == 20).all()
    assert (grey[42:, :120] == 30).all()
    assert (grey[42:, 122:] == 40).all()
    assert (grey[:40, 50:122] == 255).all()
