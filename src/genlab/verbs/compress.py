"""`genlab compress`: pictures as the coded latents of a model."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.core.text import counted
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, ImagesName, RunName, SourceName
from genlab.verbs.output import refuse_inside
from genlab.verbs.result import in_pixels, reasons, rejections, squashed
from genlab.verbs.using import open_run
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.applications.rate_distortion import Curve
    from genlab.data.dataset import Rejected

SUFFIX = ".glz"


@dataclass(frozen=True, eq=False)
class Compressed:
    """A file of compressed pictures."""

    pictures: int
    length: int  # bytes of the file
    shape: Sequence[int]  # of a picture, as the model sees it
    step: int  # distance of two rounded latents in grey levels
    squashed: int  # pictures whose aspect ratio is not the model's
    beyond: int  # latents that lay beyond the code and were moved into it
    rejected: Sequence["Rejected"]  # files that are no pictures
    path: Path
    curve: "Curve | None" = None  # of the model and other codecs

    @property
    def bits_per_pixel(self) -> float:
        """Bits of the file, per pixel that the model sees."""
        _, height, width = self.shape
        return 8 * self.length / (self.pictures * height * width)

    def values(self) -> dict[str, Any]:
        """Return the result as plain values for JSON."""
        return {
            "pictures": self.pictures,
            "bytes": self.length,
            "bits_per_pixel": self.bits_per_pixel,
            "step": self.step,
            "squashed": self.squashed,
            "beyond": self.beyond,
            "rejected": reasons(self.rejected),
            "path": str(self.path),
            **({"curve": self.curve.values()} if self.curve else {}),
        }

    def __repr__(self) -> str:
        return f"<Compressed {self.pictures} pictures {self.path}>"

    def __str__(self) -> str:
        moved = f"{counted(self.beyond, 'latent')} beyond those of the training pictures: moved into their range"
        return "\n".join(
            [
                *rejections(self.rejected),
                f"{counted(self.pictures, 'picture')} of {in_pixels(self.shape)}: {self.length:,} bytes, "
                f"{self.bits_per_pixel:.3f} bits per pixel at --step {self.step}",
                *squashed(self.squashed, self.shape),
                *([moved] if self.beyond else []),
                *([str(self.curve)] if self.curve else []),
                str(self.path),
            ]
        )

    def _repr_png_(self) -> bytes | None:
        return self.curve.path.read_bytes() if self.curve else None


@verb
def compress(
    run: RunName,
    path: ImagesName,
    *,
    step: int = 60,
    curve: bool = False,
    out: File | None = None,
    data: SourceName = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Compressed:
    """Compress pictures into a .glz file of rounded latents, which `genlab decompress` decodes with the run.

    Pictures are resized to the size of the model without cropping; the file keeps their names and sizes. A
    command that was killed goes on where it was if it is given again.

    Args:
        path: A picture, a folder or a zip of pictures, or other data, such as digits, whose held-out part is
            taken. In Python also an array of images.
        step: Distance of two rounded latents in grey levels, from 1 to 1000; larger makes smaller files and worse
            pictures.
        curve: Also measure PSNR and SSIM at many steps, beside JPEG and other codecs, and draw them next to the
            .glz.
        out: The .glz to write. By default in the run folder.

    Returns:
        The size of the file and what was done to pictures; with `curve`, its points.

    Raises:
        UsageError: no such run or path, a bad `step` or `out`, or too few pictures for a curve.
        GenlabError: the model has no latents to round.
    """
    if not 1 <= step <= 1000:
        raise UsageError(f"--step {step} must lie between 1 and 1000 grey levels.")
    refuse_inside(out, "--out", path)

    from genlab.applications.compress import Coder, compress_each, open_code
    from genlab.applications.decompress import content_of
    from genlab.applications.glz import Header, writer
    from genlab.applications.rate_distortion import curve_of, refuse_few
    from genlab.data.originals import originals
    from genlab.data.read import unreadable

    opened = open_run(os.fspath(run), root, checkpoint, device)
    target = opened.spec.target
    coder = Coder(opened.model, target)
    with originals(path, target) as given:
        place = _glz_file(out, opened.place("compressed", given.title, step=step).with_suffix(SUFFIX))
        if curve:
            refuse_few(given.count)
        code = open_code(coder, opened.folder, opened.weights, step, data)
        header = Header(bytes.fromhex(opened.weights)[:16], code.scales.digest, step)
        with writer(place, header, {"header": header.packed().hex(), "data": given.stamp}) as into:
            rejected = compress_each(coder, code, given, into, progress=True)
            if not into.names:
                raise unreadable(path, rejected)
            into.finish()
        drawn = curve_of(coder, code.scales, header, given, place) if curve else None
    made, length = content_of(place, target), place.stat().st_size
    done = (len(made.files), length, target.shape, step, made.squashed, made.beyond)
    return Compressed(*done, rejected, place, drawn)


def _glz_file(out: File | None, default: Path) -> Path:
    path = default if out is None else Path(out)
    if path.suffix.lower() != SUFFIX:
        raise UsageError(f"--out {path} must end in {SUFFIX}.")
    return path
