"""`genlab denoise`: pictures without their noise."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.core.text import counted
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, ImagesName, RunName
from genlab.verbs.output import place_for, refuse_inside
from genlab.verbs.result import InFolder, reasons, rejections
from genlab.verbs.using import open_run, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.applications.denoise_files import Done
    from genlab.core.pictures import Picture

MOST_LINES = 100  # of pictures without truth; --json lists all
MOST_NOISE = 255.0
BETTER = 0.1  # dB that a baseline has to be ahead to be named better


@dataclass(frozen=True, eq=False)
class Denoised(InFolder):
    """Pictures without their noise, and where they were written."""

    path: Path  # a folder with a PNG for each picture; beside it are a .csv and a .png of the same name
    count: int  # of pictures
    means: Mapping[
        str, float
    ]  # of sigma, on the scale of 0 to 255, and of PSNR and SSIM if clean pictures are known
    done: "Done"
    shape: Sequence[int]  # of the model's pictures
    about_sigma: str  # where sigma comes from
    picture: "Picture | None"  # the first pictures: noisy, denoised, clean

    def values(self) -> dict[str, Any]:
        """Return the measures as plain values for JSON."""
        return {
            "pictures": self.count,
            **self.means,
            "rejected": reasons(self.done.rejected),
            "unmatched": reasons(self.done.unmatched),
            "larger": self.done.larger,
            "smaller": self.done.smaller,
            "path": str(self.path),
            "table": str(self.table_path),
            "picture": str(self.picture_path),
        }

    def __repr__(self) -> str:
        return f"<Denoised {counted(self.count, 'picture')} {self.path}>"

    def __str__(self) -> str:
        unmatched = self.done.unmatched
        more = len(unmatched) - MOST_LINES
        return "\n".join(
            [
                *rejections(self.done.rejected),
                *(f"not measured  {item.path}: {item.reason}" for item in unmatched[:MOST_LINES]),
                *([f"… and {counted(more, 'more picture')}; --json lists all"] if more > 0 else []),
                *self._sizes(),
                f"noise: standard deviation {self.means['sigma']:.1f} of 255 on average, {self.about_sigma}",
                *self._measures(),
                f"{counted(self.count, 'picture')} denoised",
                *map(str, (self.path, self.table_path, *([] if self.picture is None else [self.picture_path]))),
            ]
        )

    def _sizes(self) -> Sequence[str]:
        channels, height, width = self.shape
        size = f"the model's {width}x{height} pixels"
        larger, smaller = self.done.larger, self.done.smaller
        tiled = f"larger than {size}, denoised in tiles that overlap: {counted(larger, 'picture')}"
        mirrored = f"smaller than {size}, continued by their mirror image: {counted(smaller, 'picture')}"
        grey = "the results are grey, as are the model's pictures"
        return [*([tiled] if larger else []), *([mirrored] if smaller else []), *([grey] if channels == 1 else [])]

    def _measures(self) -> Sequence[str]:
        """Return the table of PSNR and SSIM with the baselines, and a warning if one of them is better."""
        if "denoised_psnr" not in self.means:
            nothing = "warning: nothing was measured, as --truth has no clean picture that fits one of these"
            return [nothing] if self.done.unmatched else []
        lines = [f"{'':16}  PSNR/dB   SSIM"]
        for name in ("noisy", "non_local_means", "denoised"):
            if f"{name}_psnr" in self.means:
                ssim = self.means.get(f"{name}_ssim")
                shown = "" if ssim is None else f"{ssim:7.3f}"
                lines.append(f"{name.replace('_', ' '):16}  {self.means[f'{name}_psnr']:7.2f}{shown}")
        if "non_local_means_psnr" not in self.means:
            lines.append('not compared with non-local means, which needs scikit-image: pip install "genlab[uses]"')
        ours = self.means["denoised_psnr"]
        for name in ("noisy", "non_local_means"):
            ahead = self.means.get(f"{name}_psnr", ours) - ours
            if ahead > BETTER:
                what = "the noisy pictures are" if name == "noisy" else "non-local means is"
                lines.append(
                    f"warning: {what} better than the model by {ahead:.2f} dB. Train longer, on more pictures "
                    "like these; the preset made for denoising is dncnn."
                )
        return lines


@verb
def denoise(
    run: RunName,
    path: ImagesName,
    *,
    sigma: float | None = None,
    truth: File | None = None,
    add_noise: float | None = None,
    draw: bool = False,
    seed: int = 0,
    out: File | None = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Denoised:
    """Remove the noise from pictures: a folder of PNGs with the names and sizes of their sources.

    Pictures that are larger than those of the model are denoised in tiles that overlap; of an animation only the
    first frame is taken. If clean pictures are
    given, PSNR and SSIM are measured, beside those of the noisy pictures and of non-local means. A command that
    was killed goes on where it was if it is given again.

    Args:
        path: A picture, a folder or a zip of pictures, or other data, such as digits, whose held-out part is
            taken. In Python also an array of images.
        sigma: Standard deviation of the noise, where black is 0 and white 255; by default it is estimated for each
            picture. Diffusion models need it; other models ignore it.
        truth: Folder of the clean pictures, with the names of the noisy ones, whose suffixes may differ; or the
            clean picture of one noisy picture.
        add_noise: Take clean pictures, and add Gaussian noise of this standard deviation, about 25, to them first;
            it is not clipped.
        draw: Sample one of the clean pictures that a noisy one may come from instead of their mean: with more
            details and a larger error. For diffusion models.
        seed: Seed of --add-noise and --draw; what is drawn depends only on the seed and the name of the picture.
        out: The folder to write; a .csv and a .png of the same name are written next to it. By default in the run
            folder.

    Returns:
        The measures, and the paths that were written; `table` reads the measures of each picture.

    Raises:
        UsageError: no such run or path, a noise level that is not above 0, or an `out` that is a file or a folder
            with files.
        GenlabError: the model does not denoise.
    """
    from genlab.applications.denoise import ByModel
    from genlab.applications.denoise_files import COLUMNS, Task, denoise_each, means, truths
    from genlab.applications.rows import rows
    from genlab.applications.sheet import sheet
    from genlab.data.originals import originals
    from genlab.data.read import unreadable

    _refuse(sigma, add_noise, truth)
    refuse_inside(out, "--out", path, truth)
    opened = open_run(os.fspath(run), root, checkpoint, device)
    target = opened.spec.target
    if target.spatial != 2:
        raise UsageError(f"genlab denoise is for pictures, but this model makes {target.noun}.")
    by = ByModel(opened.model, (target.shape[1], target.shape[2]), seed if draw else None)
    with originals(path, target, squash=False) as given:
        known = truths(Path(truth), target, given.count) if truth is not None else None
        seeded = seed if draw or add_noise else None
        words = {"sigma": sigma, "truth": Path(truth).stem if truth is not None else None, "noise": add_noise}
        place = place_for(out, opened.place("denoised", given.title, **words, draw=draw or None, seed=seeded))
        request = {"verb": "denoise", "weights": opened.weights, "data": given.stamp, "sigma": sigma, "draw": draw}
        request |= {"seed": seed, "add_noise": add_noise, "truth": known.listing.digest() if known else None}
        columns = COLUMNS if known or add_noise else COLUMNS[:1]
        with rows(place.with_name(f"{place.name}.csv"), columns, request) as written:
            done = denoise_each(Task(by, sigma, add_noise, seed, known, place), given, written, progress=True)
            if not written.names:
                raise unreadable(path, done.rejected)
            count, measured, picture = len(written.names), means(written), sheet(written)
            written.finish()
    about = "estimated" if sigma is None else "as given"
    about += "" if by.model.uses_sigma else "; the model does not need to know it"
    result = Denoised(place, count, measured, done, target.shape, about, picture)
    if picture is not None:
        write_png(result.picture_path, picture)
    return result


def _refuse(sigma: float | None, add_noise: float | None, truth: File | None) -> None:
    """Refuse noise levels out of range, and options that exclude each other."""
    for flag, value in (("--sigma", sigma), ("--add-noise", add_noise)):
        if value is not None and not 0 < value <= MOST_NOISE:
            raise UsageError(f"{flag} must be above 0 and at most {MOST_NOISE:g}, not {value:g}. Try 25.")
    if add_noise is not None and truth is not None:
        raise UsageError(f"--add-noise takes clean pictures, which are the truth. Leave out --truth {truth}.")
