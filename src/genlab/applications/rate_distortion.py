"""How good pictures are at how many bits: of a model and of other codecs, for sheets of 100 pictures.

A sheet is one file for every codec, so that headers count once in a hundred pictures, for all codecs alike. The
weights and scales in the run folder do not count: whoever decodes has them, as a browser has the tables of WebP.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genlab.applications.compress import Coder
from genlab.applications.glz import Header, end
from genlab.applications.latent_code import Code, Scales
from genlab.core.errors import UsageError
from genlab.core.files import replace
from genlab.core.pictures import Picture, to_bytes, to_pillow
from genlab.core.text import aligned, counted
from genlab.data.dataset import Rejected
from genlab.data.originals import Original, Originals, stacked
from genlab.metrics.similarity import WINDOW, mse, ssim

SHEET = 10  # pictures in a row and in a column of a sheet
MOST_SHEETS = 10
STEPS = (250, 200, 160, 125, 100, 80, 64, 50, 40, 32, 24, 16)
QUALITIES = (0, 5, 10, 20, 30, 40, 50, 60, 75, 90)
MODEL, JPEG = "model", (".jpg", ".jpeg", ".jpe", ".jfif")
SHOWN = 1.5  # bits per pixel, the end of the axis
RATES = (0.1, 0.2, 0.3, 0.4, 0.5, 1.0)  # bits per pixel in the printed table

Bytes = npt.NDArray[np.uint8]
Codec = Callable[[Picture, int], bytes]


@dataclass(frozen=True)
class Point:
    """A codec at one setting."""

    codec: str
    setting: int  # the step of the model, the quality of others
    bits_per_pixel: float  # bits of a sheet, per pixel of its pictures
    psnr: float  # dB, of the mean squared error of all pictures
    ssim: float  # mean over the pictures; NaN for pictures smaller than its window


@dataclass(frozen=True)
class Curve:
    """The points of a model and other codecs, and where they were written."""

    points: Sequence[Point]
    pictures: int  # that were measured
    jpegs: int  # of them that came from JPEG files
    path: Path  # a .png; the .csv is beside it

    def values(self) -> dict[str, Any]:
        """Return the points as plain values for JSON."""
        points = [asdict(point) for point in self.points]
        for point in points:
            point["ssim"] = None if np.isnan(point["ssim"]) else point["ssim"]
        return {"points": points, "pictures": self.pictures, "jpegs": self.jpegs, "path": str(self.path)}

    def __str__(self) -> str:
        names = list(dict.fromkeys(point.codec for point in self.points))
        rows = [["bits per pixel", *(f"{rate:g}" for rate in RATES)]]
        for name in names:
            values = [at_rate(self.points, name, rate) for rate in RATES]
            rows.append([name, *("–" if value is None else f"{value:.2f}" for value in values)])
        warning = (
            f"warning: {self.jpegs} of these pictures come from JPEG files, which favours JPEG: it codes its own "
            "blocks again at little cost. Measure pictures that never were JPEG."
        )
        return "\n".join(
            [
                f"PSNR in dB of the first {counted(self.pictures, 'picture')}, in sheets of {SHEET**2}:",
                *(aligned(rows).splitlines()),
                *([warning] if self.jpegs else []),
                f"{self.path} and {self.path.with_suffix('.csv').name}",
            ]
        )


def refuse_few(pictures: int) -> None:
    """Refuse fewer pictures than a sheet has.

    Raises:
        UsageError: they are fewer.
    """
    if pictures < SHEET**2:
        raise UsageError(
            f"--curve needs at least {SHEET**2} pictures, because it compares files of so many, not {pictures}. "
            "Give more, or leave --curve out."
        )


def curve_of(coder: Coder, scales: Scales, header: Header, given: Originals, beside: Path) -> Curve:
    """Measure the first pictures, at most 1,000, and write NAME-curve.png and .csv beside the file NAME.

    Raises:
        UsageError: fewer than 100 pictures.
        StorageError: the disk refused.
    """
    kept, rejected = list[Original](), list[Rejected]()
    for chunk in given.chunks(rejected):
        kept += chunk
        if len(kept) >= MOST_SHEETS * SHEET**2:
            break
    count = min(len(kept) // SHEET**2, MOST_SHEETS) * SHEET**2
    refuse_few(len(kept))
    jpegs = sum(PurePosixPath(each.name).suffix.lower() in JPEG for each in kept[:count])
    points = curve(coder, scales, header.weights, stacked(kept[:count]))
    path = beside.with_name(f"{beside.stem}-curve.png")
    replace(path, drawn(points))
    replace(path.with_suffix(".csv"), table(points))
    return Curve(points, count, jpegs, path)


def curve(coder: Coder, scales: Scales, weights: bytes, pictures: Tensor) -> list[Point]:
    """Return the points of a model and of the codecs that Pillow has, for pictures (100·n, C, H, W) in [-1, 1]."""
    rounded = (pictures * 127.5 + 127.5).round().clamp(0, 255) / 127.5 - 1
    sheets = list(torch.split(rounded, SHEET**2))
    points = [_of_model(coder, Code(scales, step, coder.classes), weights, sheets) for step in STEPS]
    for name, encode in codecs().items():
        points += [_of_codec(name, encode, quality, sheets) for quality in QUALITIES]
    return points


def codecs() -> Mapping[str, Codec]:
    """Return the other codecs that Pillow has, by name; each makes a file of a picture at a quality up to 100."""
    from PIL import features

    found = {"JPEG": _jpeg}
    found |= {"WebP": _webp} if features.check("webp") else {}
    found |= {"AVIF": _avif} if features.check("avif") else {}
    return found | ({"JPEG 2000": _jpeg_2000} if features.check("jpg_2000") else {})


def at_rate(points: Sequence[Point], codec: str, rate: float) -> float | None:
    """Return the PSNR of a codec with at most `rate` bits per pixel, between its points; None if it needs more."""
    own = sorted((point.bits_per_pixel, point.psnr) for point in points if point.codec == codec)
    rates, values = zip(*own, strict=True)
    return float(np.interp(rate, rates, np.maximum.accumulate(values))) if rate >= rates[0] else None


def table(points: Sequence[Point]) -> bytes:
    """Return points as CSV."""
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(["codec", "setting", "bits_per_pixel", "psnr", "ssim"])
    for point in points:
        numbers = (f"{value:.6g}" for value in (point.bits_per_pixel, point.psnr, point.ssim))
        rows.writerow([point.codec, point.setting, *numbers])
    return text.getvalue().encode()


def drawn(points: Sequence[Point]) -> bytes:
    """Return a PNG of PSNR and SSIM over bits per pixel, a line for each codec."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), dpi=100, layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("psnr", "ssim"), strict=True):
        for codec in dict.fromkeys(point.codec for point in points):
            own = sorted((p.bits_per_pixel, getattr(p, name)) for p in points if p.codec == codec)
            bold = 2.5 if codec == MODEL else 1.2
            axes.plot(*zip(*own, strict=True), label=codec, linewidth=bold, marker=".")
        axes.set(xlim=(0, SHOWN), xlabel="bits per pixel", ylabel={"psnr": "PSNR in dB", "ssim": "SSIM"}[name])
        shown = [getattr(p, name) for p in points if p.bits_per_pixel <= SHOWN and np.isfinite(getattr(p, name))]
        if shown:
            axes.set_ylim(min(shown), max(shown))
        axes.grid(alpha=0.3)
        axes.legend()
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _of_model(coder: Coder, code: Code, weights: bytes, sheets: list[Tensor]) -> Point:
    header = Header(weights, code.scales.digest, code.step).packed()
    made, bits = [], 0
    for number, sheet in enumerate(sheets):
        names = [str(number * len(sheet) + at) for at in range(len(sheet))]
        block = coder.block(code, sheet, names, [None] * len(sheet))
        bits += 8 * len(header + block.packed() + end(len(sheet)))
        made.append(torch.cat(list(coder.pictures(code, block))))
    again = torch.from_numpy(np.concatenate([to_bytes(each) for each in made])).permute(0, 3, 1, 2)
    return _point(MODEL, code.step, bits, torch.cat(sheets), again)


def _of_codec(name: str, encode: Codec, quality: int, sheets: list[Tensor]) -> Point:
    from PIL import Image

    made, bits = [], 0
    for sheet in sheets:
        channels, height, width = sheet.shape[1:]
        data = encode(_laid_out(to_bytes(sheet)), quality)
        bits += 8 * len(data)
        with Image.open(io.BytesIO(data)) as opened:
            array = np.asarray(opened.convert("L" if channels == 1 else "RGB"))
        array = array.reshape(SHEET, height, SHEET, width, channels).swapaxes(1, 2)
        made.append(array.reshape(-1, height, width, channels))
    again = torch.from_numpy(np.concatenate(made)).permute(0, 3, 1, 2)
    return _point(name, quality, bits, torch.cat(sheets), again)


def _point(name: str, setting: int, bits: int, pictures: Tensor, again: Tensor) -> Point:
    """Return the point of pictures in [-1, 1] and what a codec made of them, in bytes."""
    again = again.float() / 127.5 - 1
    error = mse(again, pictures).mean().clamp_min(1e-12)
    large = min(pictures.shape[2:]) >= WINDOW
    pairs = zip(torch.split(again, SHEET**2), torch.split(pictures, SHEET**2), strict=True)
    similar = float(torch.cat([ssim(*pair) for pair in pairs]).mean()) if large else float("nan")
    pixels = len(pictures) * pictures.shape[2] * pictures.shape[3]
    return Point(name, setting, bits / pixels, float(10 * torch.log10(4 / error)), similar)


def _laid_out(pictures: Bytes) -> Picture:
    """Return the picture of 100 pictures (100, H, W, C), ten in a row, without gaps."""
    _, height, width, channels = pictures.shape
    rows = pictures.reshape(SHEET, SHEET, height, width, channels).swapaxes(1, 2)
    return rows.reshape(SHEET * height, SHEET * width, channels)


def _saved(picture: Picture, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    to_pillow(picture).save(stream, form, **options)
    return stream.getvalue()


def _jpeg(picture: Picture, quality: int) -> bytes:
    return _saved(picture, "JPEG", quality=max(1, quality), optimize=True)


def _webp(picture: Picture, quality: int) -> bytes:
    return _saved(picture, "WEBP", quality=quality, method=6)


def _avif(picture: Picture, quality: int) -> bytes:
    return _saved(picture, "AVIF", quality=quality, speed=4)


def _jpeg_2000(picture: Picture, quality: int) -> bytes:
    rate = 200 * 0.95**quality  # of compression, from 200 to 1.2
    return _saved(picture, "JPEG2000", quality_mode="rates", quality_layers=[rate], irreversible=True)
