import io
import struct
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from genlab.data import decode as decoding
from genlab.data import formats
from genlab.data.dataset import Array
from genlab.data.decode import decode, read_header, reason, strict, to_bytes
from genlab.data.fit import Size, Whole, default_size, fit_all
from genlab.data.memory import Memory

RED, GREEN, BLUE, GREY = (200, 30, 40), (20, 180, 60), (30, 50, 220), (90, 90, 90)


def quarters(side: int = 32) -> Image.Image:
    """Red, green / blue, grey: no symmetry maps it to itself."""
    pixels = np.empty((side, side, 3), dtype=np.uint8)
    half = side // 2
    pixels[:half, :half], pixels[:half, half:] = RED, GREEN
    pixels[half:, :half], pixels[half:, half:] = BLUE, GREY
    return Image.fromarray(pixels)


def corners(image: Array) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters of (C, H, W), row by row."""
    a, b = image.shape[1] // 4, 3 * image.shape[1] // 4
    return [tuple(int(v) for v in image[:, y, x]) for y, x in [(a, a), (a, b), (b, a), (b, b)]]


def saved(picture: Image.Image, kind: str, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    file.seek(0)
    return file


def decoded(file: io.BytesIO, size: Size = 32, channels: int = 3) -> Array:
    with strict():
        return decode(file, size, channels).array


def near(found: list[tuple[int, ...]], wanted: list[tuple[int, ...]], tolerance: int) -> bool:
    return bool((np.abs(np.array(found) - np.array(wanted)) <= tolerance).all())


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 90}, 16),
        ("GIF", {}, 4),
        ("JPEG", {"quality": 95}, 8),
        ("PPM", {}, 0),
        ("AVIF", {"quality": 95}, 16),
        ("JPEG2000", {}, 4),
        ("TGA", {}, 0),
        ("TGA", {"compression": "tga_rle"}, 0),
        ("ICO", {"sizes": [(32, 32)]}, 0),
        ("ICNS", {}, 4),
        ("DDS", {}, 0),
        ("QOI", {}, 0),
        ("SGI", {}, 0),
        ("PCX", {}, 0),
    ],
)
def test_every_format(kind: str, options: dict[str, object], tolerance: int) -> None:
    image = decoded(saved(quarters(), kind, **options))
    assert image.shape == (3, 32, 32)
    assert image.dtype == np.uint8
    assert near(corners(image), [RED, GREEN, BLUE, GREY], tolerance)


def sun(pixels: Array) -> bytes:
    height, width, _ = pixels.shape
    return struct.pack(">8I", 0x59A66A95, width, height, 24, pixels.size, 3, 0, 0) + pixels.tobytes()


def psd(pixels: Array) -> bytes:
    height, width, channels = pixels.shape
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, channels, height, width, 8, 3) + bytes(12)
    return head + struct.pack(">H", 0) + np.moveaxis(pixels, 2, 0).tobytes()


def xpm(pixels: Array) -> bytes:
    height, width, _ = pixels.shape
    colours, rows = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    lines = [f"{width} {height} {len(colours)} 1"]
    lines += [f"{'abcd'[at]} c #{bytes(colour).hex()}" for at, colour in enumerate(colours)]
    lines += ["".join("abcd"[at] for at in row) for row in rows.reshape(height, width)]
    return ("/* XPM */\nstatic char *p[] = {\n" + ",\n".join(f'"{line}"' for line in lines) + "\n};\n").encode()


@pytest.mark.parametrize("write", [sun, psd, xpm])
def test_formats_that_pillow_only_reads(write: Callable[[Array], bytes]) -> None:
    image = decoded(io.BytesIO(write(np.asarray(quarters()))))
    assert corners(image) == [RED, GREEN, BLUE, GREY]


def test_black_and_white_in_xbm() -> None:
    picture = Image.fromarray(np.kron(np.eye(2), np.ones((16, 16))).astype(bool))
    assert corners(decoded(saved(picture, "XBM"), channels=1)) == [(255,), (0,), (0,), (255,)]


def lab(picture: Image.Image) -> Image.Image:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(picture, *profiles, outputMode="LAB")
    assert converted is not None
    return converted


@pytest.mark.parametrize(
    ("mode", "kind", "tolerance"),
    [
        ("RGB", "PNG", 0),
        ("RGBA", "PNG", 0),
        ("P", "PNG", 4),
        ("CMYK", "TIFF", 2),
        ("CMYK", "JPEG", 12),
        ("YCbCr", "TIFF", 3),
        ("LAB", "TIFF", 10),
    ],
)
def test_every_colour_mode(mode: str, kind: str, tolerance: int) -> None:
    special = {"LAB": lab, "P": Image.Image.quantize}
    picture = special[mode](quarters()) if mode in special else quarters().convert(mode)
    file = saved(picture, kind, **({"quality": 95} if kind == "JPEG" else {}))
    assert Image.open(file).mode == mode
    file.seek(0)
    assert near(corners(decoded(file)), [RED, GREEN, BLUE, GREY], tolerance)
    file.seek(0)
    assert not read_header(file).grey


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_every_grey_mode(mode: str) -> None:
    levels = np.array([[0, 255], [255, 0]], dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    picture = Image.fromarray(levels)
    if mode == "I;16":
        picture = Image.fromarray(levels.astype(np.uint16) * 257)
    file = saved(picture.convert(mode) if mode != "I;16" else picture, "PNG")
    assert read_header(file).grey
    file.seek(0)
    assert corners(decoded(file, channels=1)) == [(0,), (255,), (255,), (0,)]
    file.seek(0)
    assert corners(decoded(file)) == [(0, 0, 0), (255, 255, 255), (255, 255, 255), (0, 0, 0)]


def test_hsv_pixels_become_rgb() -> None:
    assert np.abs(np.asarray(to_bytes(quarters().convert("HSV"))).astype(int) - np.asarray(quarters())).max() <= 4


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_clipped(kind: str) -> None:
    words = np.array([[0, 257], [32768, 65535]], dtype=np.uint16).repeat(16, axis=0).repeat(16, axis=1)
    image = decoded(saved(Image.fromarray(words), kind), channels=1)
    assert corners(image) == [(0,), (1,), (128,), (255,)]


def test_32_bit_integers_are_scaled_from_16_bits_or_refused() -> None:
    numbers = np.full((32, 32), 257 * 77, dtype=np.int32)
    assert (decoded(saved(Image.fromarray(numbers), "TIFF"), channels=1) == 77).all()
    numbers[0, 0] = 65536
    with pytest.raises(ValueError, match="more than 16 bits"):
        decoded(saved(Image.fromarray(numbers), "TIFF"))


def test_float_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="float pixels"):
        decoded(saved(Image.fromarray(np.full((32, 32), 0.5, dtype=np.float32)), "TIFF"))


# What is stored at each place so that the named orientation shows `quarters`: inverses of Pillow's table.
STORED: dict[int, Callable[[Array], Array]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_show_the_same_picture(orientation: int, kind: str) -> None:
    pixels = np.ascontiguousarray(STORED[orientation](np.asarray(quarters(128))))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(Image.fromarray(pixels), kind, exif=exif, **({"quality": 95} if kind in ("JPEG", "WEBP") else {}))
    assert near(corners(decoded(file)), [RED, GREEN, BLUE, GREY], 12)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "tRNS"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    if mode == "tRNS":
        black = Image.new("RGB", (32, 32))
        file = saved(black, "PNG", transparency=(0, 0, 0))
        wanted = 255
    elif mode == "P":
        black = Image.new("P", (32, 32))
        black.putpalette([0, 0, 0] * 256)
        file = saved(black, "PNG", transparency=0)
        wanted = 255
    else:
        half = Image.new(mode, (32, 32), (0, 0, 0, 128) if mode == "RGBA" else (0, 128))
        file = saved(half, "PNG")
        wanted = 127
    assert (decoded(file) == wanted).all()


def test_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "green")]
    for kind in ("GIF", "WEBP", "PNG"):
        extra = {"lossless": True} if kind == "WEBP" else {}
        file = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, **extra)
        assert near(corners(decoded(file)), [(255, 0, 0)] * 4, 1)


def test_colour_becomes_grey_by_luma() -> None:
    image = decoded(saved(quarters(), "PNG"), channels=1)
    wanted = [round(0.299 * r + 0.587 * g + 0.114 * b) for r, g, b in (RED, GREEN, BLUE, GREY)]
    assert near(corners(image), [(value,) for value in wanted], 1)


@pytest.mark.parametrize(
    ("width", "height"), [(96, 32), (32, 96), (400, 100), (65, 64), (1, 1), (16, 501), (33, 16)]
)
def test_the_centre_square_is_kept_at_any_size(width: int, height: int) -> None:
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    side = min(width, height)
    top, left = (height - side) // 2, (width - side) // 2
    pixels[top : top + side, left : left + side] = (10, 200, 100)
    image = decoded(saved(Image.fromarray(pixels), "PNG"), size=16)
    assert image.shape == (3, 16, 16)
    assert (image[:, 2:-2, 2:-2] == np.array([10, 200, 100])[:, None, None]).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_shrinking_is_antialiased(kind: str) -> None:
    """Stripes one pixel wide become their mean; without a filter they become stripes or a flat end."""
    stripes = np.zeros((512, 512, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    image = decoded(saved(Image.fromarray(stripes), kind, **({"quality": 95} if kind == "JPEG" else {})))
    assert np.abs(image.astype(int) - 127).max() <= 6


def test_jpeg_is_decoded_at_a_fraction_to_the_same_picture() -> None:
    from genlab.data.fit import fit

    low = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8))
    file = saved(low.resize((256, 256)), "JPEG", quality=95)
    quick = decoded(file).astype(int)
    file.seek(0)
    full = fit(Image.open(file), 32, 3).astype(int)
    assert np.abs(quick - full).max() <= 6
    assert np.abs(quick - full).mean() <= 1


def test_a_whole_picture_is_squashed_and_not_cropped() -> None:
    wide = quarters().resize((96, 32), Image.Resampling.NEAREST)
    image = decoded(saved(wide, "PNG"), size=Whole(32, 32))
    assert image.shape == (3, 32, 32)
    assert corners(image) == [RED, GREEN, BLUE, GREY]
    as_it_is = decoded(saved(wide, "PNG"), size=Whole(32, 96))
    assert (as_it_is == np.asarray(wide).transpose(2, 0, 1)).all()


def test_an_image_of_the_right_size_is_not_resampled() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert (decoded(saved(Image.fromarray(pixels), "PNG"), size=64) == pixels.transpose(2, 0, 1)).all()
    stack = pixels.transpose(2, 0, 1)[None]
    assert fit_all(stack, 64, 3) is stack


@pytest.mark.parametrize(
    ("sides", "size"),
    [([8], 32), ([28], 32), ([32], 32), ([33], 64), ([32, 32, 500], 32), ([4000], 64), ([64], 64)],
)
def test_default_size(sides: list[int], size: int) -> None:
    assert default_size(sides) == size


def test_nothing_but_picture_formats_is_tried(tmp_path: Path) -> None:
    """Pillow hands an EPS file to Ghostscript."""
    eps = io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    with pytest.raises(ValueError, match="EPS is not read: it is vector graphics"):
        decoded(eps)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"%PDF-1.7\n", "PDF is not read: it is a document"),
        (b"\xd7\xcd\xc6\x9a" + bytes(60), "WMF is not read: it is vector graphics"),
        (b'<?xml version="1.0"?><svg width="8">', "SVG is not read: it is vector graphics"),
        (bytes(3) + b"\x18ftypheic" + bytes(20), "HEIC is not read: Pillow cannot read it"),
        (bytes(3) + b"\x18ftypavif" + bytes(20), "AVIF is not read: the installed Pillow cannot read it"),
        (bytes(3) + b"\x18ftypisom" + bytes(20), "MP4 is not read: it is a video"),
        (b"\x89HDF\r\n", "HDF5 is not read: it holds arrays"),
    ],
)
def test_what_is_not_read_is_named_with_the_reason(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decoded(io.BytesIO(content))


def test_bytes_at_random_are_no_picture() -> None:
    random = np.random.default_rng(0)
    with strict():
        for at in range(1500):
            blob = random.integers(0, 256 if at % 2 else 3, random.integers(20, 200), dtype=np.uint8).tobytes()
            with pytest.raises(Exception, match=r"\w"):
                decode(io.BytesIO(blob), 8, 3)


def test_no_format_that_runs_programs_or_holds_pages_is_read() -> None:
    assert not {"EPS", "PDF", "WMF", "MPEG", "HDF5", "GRIB", "BUFR"} & set(formats.READ)


def clear_png(bits: int, colour: int, row: bytes, clear: bytes) -> io.BytesIO:
    """A PNG of two pixels in a row with a transparent colour."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, bits, colour, 0, 0, 0))
    body = chunk(b"tRNS", clear) + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + head + body)


@pytest.mark.parametrize(
    ("bits", "colour", "row", "clear", "wanted"),
    [
        (16, 0, struct.pack(">HH", 500, 40 * 257), struct.pack(">H", 500), [255, 40]),
        (8, 0, bytes([3, 40]), b"\0\3", [255, 40]),
        (4, 0, bytes([0x38]), b"\0\3", [255, 136]),
        (2, 0, bytes([0b01_00_0000]), b"\0\1", [255, 0]),
        (1, 0, bytes([0b01_000000]), b"\0\0", [255, 255]),
        (
            *(16, 2, struct.pack(">HHHHHH", 500, 600, 700, 257, 514, 0xFFFF)),
            *(struct.pack(">HHH", 500, 600, 700), [[255, 255, 255], [1, 2, 255]]),
        ),
    ],
)
def test_the_transparent_colour_of_a_png_is_white_at_any_depth(
    bits: int, colour: int, row: bytes, clear: bytes, wanted: list[object]
) -> None:
    with strict(), decoding._open(clear_png(bits, colour, row, clear)) as picture:
        assert np.asarray(to_bytes(picture))[0].tolist() == wanted


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16"])
def test_a_picture_is_the_same_whether_it_is_converted_at_once_or_by_strips(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (37, 23, 4), dtype=np.uint8)
    picture = Image.fromarray(noise)
    if mode == "I;16":
        picture = Image.fromarray(noise[..., 0].astype(np.uint16) * 200)
    elif mode == "P":
        picture = picture.convert("RGB").quantize()
        picture.info["transparency"] = 3
    else:
        picture = picture.convert(mode)
    whole = np.asarray(to_bytes(picture))
    monkeypatch.setattr(decoding, "_STRIP", 100)
    assert (np.asarray(to_bytes(picture)) == whole).all()


def test_pictures_with_too_many_pixels_for_their_format_are_refused_by_their_header(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoding, "MEGAPIXELS", {"WEBP": 0.0001})
    with pytest.raises(ValueError, match=r"0 megapixels, more than the 0\.0001 that WEBP may have"), strict():
        read_header(saved(quarters(), "WEBP"))
    assert decoded(saved(quarters(), "PNG")).shape == (3, 32, 32)


def test_files_that_are_too_large_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "FILE_LIMIT", 50)
    with pytest.raises(ValueError, match="MB that a picture may have"):
        decoded(saved(quarters(), "PNG"))


def test_pictures_are_decoded_within_the_memory_that_all_threads_share(monkeypatch: pytest.MonkeyPatch) -> None:
    needs: list[int] = []

    class Watched(Memory):
        def held(self, need: int) -> AbstractContextManager[None]:
            needs.append(need)
            return super().held(need)

    monkeypatch.setattr(decoding, "_PIXELS", Watched(1))
    decoded(saved(quarters(64), "PNG"))
    decoded(saved(quarters(64), "WEBP"))
    decoded(saved(quarters(512), "JPEG"))  # decoded at once at an eighth of its sides
    decoded(saved(quarters(512), "JPEG", progressive=True))
    assert needs == [8 * 64 * 64, 16 * 64 * 64, 8 * 64 * 64, 8 * 512 * 512]


def test_what_libtiff_prints_is_the_reason_and_not_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(saved(quarters(), "TIFF", compression="tiff_lzw").getvalue())
    data[12:60] = bytes(48)
    with pytest.raises(ValueError, match="damaged TIFF: ") as caught:
        decoded(io.BytesIO(bytes(data)))
    assert "LZW" in reason(caught.value)
    assert capfd.readouterr().err == ""


def test_threads_never_hold_more_memory_than_there_is() -> None:
    memory, used, most = Memory(10), 0, 0
    lock = threading.Lock()

    def work(need: int) -> None:
        nonlocal used, most
        with memory.held(need):
            with lock:
                used += min(need, 10)
                most = max(most, used)
            time.sleep(0.001)
            with lock:
                used -= min(need, 10)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [3, 4, 99, 5, 1, 10, 2, 8] * 4))
    assert (used, most) == (0, 10)
