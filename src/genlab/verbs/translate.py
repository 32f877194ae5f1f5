"""`genlab translate`: pictures of one domain, translated into another."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genlab.core.errors import UsageError
from genlab.core.text import counted, printable
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, ImagesName, RunName
from genlab.verbs.output import output_of, refuse_inside, refuse_source
from genlab.verbs.result import reasons
from genlab.verbs.using import Opened, open_run, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.applications.translate import Way
    from genlab.applications.translate_files import Done, Task
    from genlab.core.pictures import Picture
    from genlab.data.frames import Frames


@dataclass(frozen=True, eq=False)
class Translated:
    """Pictures with their translations, and where they were written."""

    names: Sequence[str]  # of the pictures; frames of a GIF count singly
    domains: Sequence[str]  # that they were translated into
    rows: Sequence[Sequence["Picture"]]  # each picture and its translations, as bytes; of a folder the first few
    path: Path  # a .png, or a folder with a picture for each
    size: tuple[int, int]  # height and width of the model's pictures
    larger: int = 0  # pictures of which a side is larger than that
    smaller: int = 0  # pictures of which a side is smaller than that
    squashed: int = 0  # pictures whose aspect ratio was changed for the model
    tiled: bool = True  # whether larger pictures were translated in tiles
    rejected: Mapping[str, str] = field(default_factory=dict)  # files that are no pictures, with the reasons
    folders: Mapping[str, str] = field(default_factory=dict)  # of the domains, if there are several

    @property
    def sources(self) -> "Sequence[Tensor]":
        """The pictures of `rows`, each (C, H, W) in [-1, 1]."""
        return self._column(0)

    @property
    def translations(self) -> "Mapping[str, Sequence[Tensor]]":
        """The translations of `rows` into each domain, each (C, H, W) in [-1, 1]."""
        return {name: self._column(at) for at, name in enumerate(self.domains, 1)}

    def _column(self, at: int) -> "Sequence[Tensor]":
        import torch

        return [torch.from_numpy(row[at]).permute(2, 0, 1).float() / 127.5 - 1 for row in self.rows]

    @property
    def picture(self) -> "Picture":
        """A row for each picture: itself, its translations, and back again if the model translates back."""
        from genlab.core.pictures import table

        back = len(self.rows[0]) > 1 + len(self.domains)
        return table(self.rows, ["source", *self.domains, *(["back again"] if back else [])])

    def values(self) -> dict[str, Any]:
        """Return what was done as plain values for JSON."""
        return {
            "pictures": len(self.names),
            "domains": list(self.domains),
            "larger": self.larger,
            "smaller": self.smaller,
            "squashed": self.squashed,
            "rejected": dict(self.rejected),
            "path": str(self.path),
        }

    def __repr__(self) -> str:
        return f"<Translated {counted(len(self.names), 'picture')} {self.path}>"

    def __str__(self) -> str:
        renamed = {name: folder for name, folder in self.folders.items() if folder != name}
        return "\n".join(
            [
                *(f"rejected  {path}: {reason}" for path, reason in self.rejected.items()),
                f"{counted(len(self.names), 'picture')} translated to {', '.join(map(printable, self.domains))}",
                *self._sizes(),
                *(f'"{printable(name)}" is in {folder}/' for name, folder in renamed.items()),
                str(self.path),
            ]
        )

    def _sizes(self) -> Sequence[str]:
        """Return what was done to pictures of another size than the model's."""
        size = f"the model's {self.size[1]}x{self.size[0]} pixels"
        tiled = "translated in tiles; --large resize shrinks them instead"
        shrunk = "shrunk to it, translated and enlarged again; --large tile keeps details"
        lines = {
            f"larger than {size}: {tiled if self.tiled else shrunk}": self.larger,
            f"smaller than {size}: enlarged to it, translated and shrunk again": self.smaller,
            "squashed for this: not of the model's aspect ratio": self.squashed,
        }
        return [f"{counted(count, 'picture')} {line}" for line, count in lines.items() if count]

    def _repr_png_(self) -> bytes | None:
        from genlab.core.pictures import png

        return png(self.picture) if self.rows else None


@verb
def translate(
    run: RunName,
    pictures: ImagesName,
    *,
    to: str | int | Sequence[str | int] | None = None,
    large: Literal["tile", "resize"] = "tile",
    out: File | None = None,
    seed: int = 0,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
    **sampling: Any,  # noqa: ANN401 (checked by the recipe)
) -> Translated:
    """Translate pictures into another domain: a PNG with a row for each, or a folder with a picture for each.

    The pictures in a folder have the names and sizes of their sources. Of a GIF each frame is translated, and the
    result is a GIF with the same times; of other animations only the first frame is translated. Translations into
    several domains are written to a folder for each. Transparent parts are read as white. A folder that a killed
    command has begun is completed by the same command.

    Args:
        pictures: A picture, a GIF, or a folder or zip of them, or the name of data of your own, whose held-out
            images are taken. In Python also an array of images.
        to: Domain to translate into, by name, or by number if the domains are classes. By default the target of
            the training, or each of the classes.
        large: How pictures that are larger than the model's size are translated: in tiles that overlap, or shrunk
            to that size. The sides of smaller ones are enlarged to it. All are brought back to their sizes.
        out: The .png to write, or a folder for single pictures. By default a .png in the run folder.
        seed: Seed of the noise of diffusion models; each tile has its own. Other models translate without noise.

    Returns:
        The pictures, their translations, and the path that was written.

    Raises:
        UsageError: no such run, path or domain, an `out` that is another picture or a folder with files, or too
            many pictures for one .png.
        GenlabError: the model does not translate.
    """
    png, into = output_of(out)
    refuse_source(png, pictures)
    refuse_inside(into, "--out", pictures)

    from genlab.applications.picture_folder import refuse_finished
    from genlab.applications.translate_files import Task
    from genlab.data.frames import frames_of
    from genlab.data.read import unreadable

    opened = open_run(os.fspath(run), root, checkpoint, device, sampling)
    ways, back = _ways(opened, to)
    if into:
        refuse_finished(into)
    folders = _folders(opened, ways)
    places = {n: into / folder if len(ways) > 1 else into for n, folder in folders.items()} if into else {}
    with frames_of(pictures, ways[0].takes) as given:
        task = Task(opened.model, ways, None if into else back, large, seed, places)
        done = _translated(task, given, into, {"weights": opened.weights, **sampling})
        if not done.names:
            raise unreadable(Path(str(pictures)), done.rejected)
    options = {"to": None if to is None else "-".join(folders.values()), "seed": seed or None}
    options |= {"large": None if large == "tile" else large, **sampling}
    path = png or into or opened.place("translations", given.title, **options)
    result = _result(done, ways, path, folders if len(places) > 1 else {}, tiled=large == "tile")
    if not into:
        write_png(path, result.picture)
    return result


def _translated(task: "Task", given: "Frames", into: Path | None, request: Mapping[str, Any]) -> "Done":
    """Translate pictures, and write each into a folder in `into`, if there is one."""
    from genlab.applications.picture_folder import filling
    from genlab.applications.translate_files import COLUMNS, translate_each

    if into is None:
        return translate_each(task, given, progress=True)
    how = {"to": [way.name for way in task.ways], "large": task.large, "seed": task.seed}
    with filling(into, COLUMNS, {"verb": "translate", "data": given.stamp, **how, **request}) as rows:
        return translate_each(task, given, rows, progress=True)


def _result(
    done: "Done", ways: "Sequence[Way]", path: Path, folders: Mapping[str, str], *, tiled: bool
) -> Translated:
    _, height, width = ways[0].takes.shape
    return Translated(
        names=done.names,
        domains=[way.name for way in ways],
        rows=done.rows,
        path=path,
        size=(height, width),
        larger=done.larger,
        smaller=done.smaller,
        squashed=done.squashed,
        tiled=tiled,
        rejected=reasons(done.rejected),
        folders=folders,
    )


def _ways(opened: Opened, to: str | int | Sequence[str | int] | None) -> "tuple[Sequence[Way], Way | None]":
    """Return the translations into the domains that were asked for, and the one that undoes them."""
    from genlab.applications.translate import needed, returning, way_into, ways_of
    from genlab.runs.recorded import domains_of, find_class

    domains = domains_of(opened.folder)
    ways = needed(opened.model, ways_of(opened.model, opened.spec, domains))
    asked = [to] if isinstance(to, str | int) else list(dict.fromkeys(to or ()))
    if ways[0].label is not None:
        return [ways[find_class(opened.folder, str(name))] for name in asked] or ways, None
    if len(asked) > 1:
        raise UsageError(f"give one domain, not {', '.join(map(str, asked))}: each takes pictures of the other.")
    way = way_into(ways, str(asked[0]), domains[0]) if asked else ways[0]
    return [way], returning(ways, way)


def _folders(opened: Opened, ways: "Sequence[Way]") -> dict[str, str]:
    """Return a folder for the domain of each translation."""
    from genlab.applications.sample_folder import class_folders

    chosen = [way.name for way in ways]
    names = chosen if ways[0].label is None else opened.spec.class_names
    folders = dict(zip(names, class_folders(names), strict=True))
    return {name: folders[name] for name in chosen}
