"""What `genlab upscale` and `genlab restore` share: pictures of any size, restored by a model."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.core.text import counted
from genlab.recipes.settings import CheckpointName
from genlab.verbs.options import File, ImagesName, RunName
from genlab.verbs.output import place_for, refuse_inside
from genlab.verbs.repainting import BY_DEFAULT, Drawing, by_diffusion, draws, refuse_tiles
from genlab.verbs.result import InFolder, reasons, rejections
from genlab.verbs.using import located, open_run, write_png

if TYPE_CHECKING:
    from genlab.applications.restore import Restorer
    from genlab.applications.restore_files import Done
    from genlab.core.pictures import Picture
    from genlab.recipes.recipe import Recipe
    from genlab.verbs.using import Opened

MOST_LINES = 100  # of pictures without truth; --json lists all
BETTER = 0.1  # dB that the baseline has to be ahead to be named better


@dataclass(frozen=True, eq=False)
class Restored(InFolder):
    """Restored pictures, and where they were written."""

    path: Path  # a folder with a PNG for each picture; beside it are a .csv and a .png of the same name
    count: int  # of pictures
    number: int  # of results of each
    drawn: bool  # whether they are draws of a diffusion model
    scale: int  # how many times as long the sides have become
    means: Mapping[str, float]  # of the measures, if originals are known
    protocol: str | None  # how they are measured
    done: "Done"
    channels: int  # of the model's pictures
    sizes: Sequence[str]  # width and height of the pictures and of the results, in words; of the first
    picture: "Picture | None"  # the first pictures: by the baseline, restored, the original

    def values(self) -> dict[str, Any]:
        """Return the measures as plain values for JSON."""
        return {
            "pictures": self.count,
            "number": self.number,
            "scale": self.scale,
            **self.means,
            "protocol": self.protocol,
            "rejected": reasons(self.done.rejected),
            "unmatched": reasons(self.done.unmatched),
            "changed": reasons(self.done.changed),
            "path": str(self.path),
            "table": str(self.table_path),
            "picture": str(self.picture_path),
        }

    def __repr__(self) -> str:
        return f"<Restored {counted(self.count, 'picture')} {self.path}>"

    def __str__(self) -> str:
        done = self.done
        missing = [f"not measured  {item.path}: {item.reason}" for item in done.unmatched]
        changed = [f"changed  {item.path}: {item.reason}" for item in done.changed]
        more = sum(max(0, len(lines) - MOST_LINES) for lines in (missing, changed))
        what = "restored" if self.scale == 1 else f"enlarged {self.scale} times"
        what += f", {self.number} results each" if self.number > 1 else ""
        return "\n".join(
            [
                *rejections(done.rejected),
                *changed[:MOST_LINES],
                *missing[:MOST_LINES],
                *([f"… and {counted(more, 'more line')}; --json lists all"] if more else []),
                *self._colours(),
                *self._measures(),
                f"{counted(self.count, 'picture')} {what}",
                *self.sizes,
                *map(str, (self.path, self.table_path, *([] if self.picture is None else [self.picture_path]))),
            ]
        )

    def _colours(self) -> Sequence[str]:
        lines = []
        if self.done.replaced:
            given = counted(self.done.replaced, "picture")
            lines.append(f"{given} in colour: this model takes grey ones, and replaced the colours by its own")
        if not self.done.other_colours:
            return lines
        how = "enlarged by bicubic interpolation" if self.scale > 1 else "left as they are"
        about = {
            1: f"in colour, of which this model of grey pictures restored the brightness; colours were {how}",
            3: "grey: this model of colour pictures restored them, and the results were made grey again",
        }
        return [*lines, f"{counted(self.done.other_colours, 'picture')} {about[self.channels]}"]

    def _measures(self) -> Sequence[str]:
        """Return the table of measures with the baseline, how they were made, and a warning if it is better."""
        from genlab.applications.restore_files import COMPARED, baseline_name
        from genlab.metrics.restoration import MEASURES

        if "restored_psnr_y" not in self.means:
            nothing = "warning: nothing was measured, as --truth has no original that fits one of these"
            return [nothing] if self.done.unmatched else []
        known = [measure for measure in MEASURES if f"restored_{measure}" in self.means]
        baseline = baseline_name(self.scale)
        lines = [f"{'':10}" + "".join(f"{each.upper():>10}" for each in known)]
        for row, name in zip(COMPARED, (baseline, "restored"), strict=True):
            numbers = ((self.means[f"{row}_{each}"], 2 if "psnr" in each else 4) for each in known)
            lines.append(f"{name:10}" + "".join(f"{number:10.{digits}f}" for number, digits in numbers))
        lines.append(f"PSNR in dB; {self.protocol}")
        ahead = self.means["baseline_psnr_y"] - self.means["restored_psnr_y"]
        if ahead > BETTER and self.drawn:
            lines.append(
                f"note: {baseline} is ahead by {ahead:.2f} dB. Each result is one of many possible pictures, with "
                "details in other places than the original; a blurred mean of all has a higher PSNR."
            )
        elif ahead > BETTER:
            lines.append(
                f"warning: {baseline} is better than the model by {ahead:.2f} dB. Train longer, on pictures like "
                "these that are degraded as these are: --degrade."
            )
        return lines


def restored(
    verb: str,
    run: RunName,
    pictures: ImagesName,
    *,
    truth: File | None,
    tile: int | None,
    ensemble: bool,
    alpha: float | None,
    drawing: Drawing = BY_DEFAULT,
    out: File | None,
    checkpoint: CheckpointName | None,
    device: str,
    root: File,
) -> Restored:
    """Restore pictures as the verb of a name does: "upscale" with models that enlarge, "restore" with others."""
    from genlab.applications.denoise_files import means, truths
    from genlab.applications.restore_files import COLUMNS, SIZES, Task, protocol, restore_each
    from genlab.applications.rows import rows
    from genlab.applications.sheet import sheet
    from genlab.data.photos import photos_of
    from genlab.data.read import unreadable
    from genlab.runs.recorded import plan_of

    refuse_inside(out, "--out", pictures, truth)
    if alpha is not None:
        _refuse_alpha(plan_of(located(os.fspath(run), root, checkpoint)[0]).recipe)
    opened = open_run(os.fspath(run), root, checkpoint, device, {} if alpha is None else {"alpha": alpha})
    target = opened.spec.target
    if drawn := verb == "upscale" and draws(opened.model):
        refuse_tiles(tile, ensemble=ensemble)
    by = None if drawn else _by_model(verb, opened, tile, drawing, ensemble=ensemble)
    with photos_of(pictures, target) as given:
        by = by or by_diffusion(opened.model, target, drawing, given)
        known = truths(Path(truth), target, given.count) if truth is not None else None
        stem = Path(truth).stem if truth is not None else None
        options: dict[str, object] = {"ensemble": ensemble or None, "alpha": alpha, **drawing.given}
        place = place_for(out, opened.place("restored", given.title, truth=stem, **options))
        request = {"verb": verb, "weights": opened.weights, "data": given.stamp, **options}
        request |= {"truth": known.listing.digest() if known else None}
        with rows(place.with_name(f"{place.name}.csv"), COLUMNS if known else SIZES, request) as written:
            done = restore_each(Task(by, known, place), given, written, progress=True)
            if not written.names:
                raise unreadable(pictures, done.rejected)
            count, measured, sizes = len(written.names), means(written), _sizes(written.values, by.scale)
            picture = sheet(written)
            written.finish()
    found = {name: value for name, value in measured.items() if name not in SIZES}
    stamp = protocol(3 if "restored_psnr_rgb" in found else 1, by.scale, by.number) if found else None
    result = Restored(place, count, by.number, drawn, by.scale, found, stamp, done, by.channels, sizes, picture)
    if result.picture is not None:
        write_png(result.picture_path, result.picture)
    return result


def _refuse_alpha(recipe: "Recipe") -> None:
    """Refuse --alpha for models without weights from before adversarial training."""
    if "alpha" not in recipe.of_sampling:
        raise UsageError(
            "--alpha mixes the weights before and after adversarial training, which srgan and esrgan have, and "
            f"this {recipe.family} has not. Leave it out."
        )


def _lost(words: Sequence[str]) -> float | None:
    """Return the least share of their colours that pictures lose by degradations; None if they lose none."""
    shares = [word.partition("=")[2].partition(":")[0] for word in words if word.startswith("grey=")]
    return max(map(float, shares), default=None)


def _by_model(verb: str, opened: "Opened", tile: int | None, drawing: Drawing, *, ensemble: bool) -> "Restorer":
    """Return what restores pictures by a model that was trained for it."""
    from genlab.applications.capability import need
    from genlab.applications.restore import TILE, ByModel, enlarges
    from genlab.core.contract import Repaints, Restores, restores_whole
    from genlab.runs.recorded import plan_of

    need(opened.model, Restores, f"genlab {verb}", enlarges if verb == "upscale" else restores_whole)
    for name in drawing.given:
        need(opened.model, Repaints, f"--{name.replace('_', '-')}")
    degraded = plan_of(opened.folder).recipe.degradations
    by = ByModel(opened.model, opened.spec, TILE if tile is None else tile, ensemble, _lost(degraded))
    _refuse_scale(verb, by.scale, " ".join(degraded))
    return by


def _refuse_scale(verb: str, scale: int, words: str) -> None:
    """Refuse a model that is for the other verb; `words` say how its pictures were degraded."""
    if verb == "upscale" and scale == 1:
        raise UsageError(
            f"this model restores pictures in their own size (--degrade {words}). Use genlab restore, or train "
            "with --degrade bicubic=4 to enlarge them."
        )
    if verb == "restore" and scale > 1:
        raise UsageError(f"this model enlarges pictures {scale} times (--degrade {words}). Use genlab upscale.")


def _sizes(values: Any, scale: int) -> Sequence[str]:  # noqa: ANN401 (an array)
    """Return the sizes of the pictures and of the results, in words: each size once, at most a few."""
    every = list(dict.fromkeys((int(width), int(height)) for width, height in values[:, :2].tolist()))
    lines = [f"  {w}x{h} to {scale * w}x{scale * h} pixels" for w, h in every[:3]]
    return [*lines, *([f"  … and {counted(len(every) - 3, 'other size')}"] if len(every) > 3 else [])]
