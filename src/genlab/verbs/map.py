"""`genlab map`: pictures of the latent space of a model in two dimensions."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.recipes.settings import CheckpointName, DeviceName, SpaceName
from genlab.verbs.options import RUNS, ExtractorName, File, ImagesName, RunName, SourceName
from genlab.verbs.result import Pictured, reasons, rejections, squashed
from genlab.verbs.using import open_run, png_file, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.applications.examples import Examples
    from genlab.applications.mapping import Panel
    from genlab.core.pictures import Picture


@dataclass(frozen=True, eq=False)
class Mapped(Pictured):
    """Maps of examples, and where they were written."""

    examples: "Examples"
    panels: "Sequence[Panel]"
    path: Path  # the .png
    html: Path  # a page to explore them
    shape: Sequence[int]  # of an example, as the model sees it

    @property
    def picture(self) -> "Picture":
        """The maps side by side, coloured by class."""
        from genlab.applications.plots import map_panels

        return map_panels(self.panels, self.examples.labels)

    def values(self) -> dict[str, Any]:
        """Return the result as plain values for JSON, without the points."""
        return {
            "examples": len(self.examples.names),
            "of": self.examples.count,
            "trustworthiness": {panel.title: panel.trustworthiness for panel in self.panels},
            "rejected": reasons(self.examples.rejected),
            "squashed": self.examples.squashed,
            "path": str(self.path),
            "html": str(self.html),
        }

    def __repr__(self) -> str:
        return f"<Mapped {len(self.examples.names)} examples {self.path}>"

    def __str__(self) -> str:
        files = [*rejections(self.examples.rejected), *squashed(self.examples.squashed, self.shape)]
        panels = [f"{panel.trustworthiness:.3f}  {panel.title}" for panel in self.panels]
        head = "trustworthiness: how far neighbours on the map are neighbours in the space (1: all, 0.5: chance)"
        return "\n".join([*files, self.examples.note, head, *panels, str(self.path), str(self.html)])


@verb
def map(  # noqa: A001 the name of the command
    run: RunName = "latest",
    path: ImagesName = None,
    *,
    by: Sequence[str] | None = None,
    space: SpaceName | None = None,
    number: int = 2000,
    extractor: ExtractorName = "efficientnet-lite0",
    out: File | None = None,
    seed: int = 0,
    data: SourceName = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Mapped:
    """Draw maps of the latents of examples, above maps of their pixels: a PNG, and a page to explore them.

    The page works offline; a point shows its picture when the pointer is over it.

    Args:
        path: A picture, a folder or a zip of pictures, whose folders are classes, a table of rows, or other data,
            whose held-out part is taken. By default the held-out part of the run's data.
        by: Methods: pca, tsne, umap. By default all that are installed.
        number: About how many examples to take at most; of more, some are chosen by a hash of their names.
        out: The .png to write; the .html is written next to it. By default in the run folder.
        seed: Seed of t-SNE and UMAP.

    Returns:
        The points of each map, and the paths that were written.

    Raises:
        UsageError: no such run, path or method, or too few examples.
        GenlabError: the model has no such space.
    """
    place = png_file(out)

    from genlab.applications.examples import examples_of, gather
    from genlab.applications.map_page import page
    from genlab.applications.mapping import chosen, maps
    from genlab.applications.spaces import find_space, pixels_of
    from genlab.core.files import replace

    methods = chosen(by)
    opened = open_run(os.fspath(run), root, checkpoint, device)
    target = opened.spec.target
    spaces = [find_space(opened.model, target, space, extractor, "genlab map"), pixels_of(target)]
    with examples_of(opened.folder, opened.spec, path, data) as given:
        examples = gather(given, spaces, number, progress=True)
        place = place or opened.place("maps", given.title, "-".join(methods), space, seed=seed)
    result = Mapped(
        examples, maps(examples, spaces, methods, seed), place, place.with_suffix(".html"), target.shape
    )
    write_png(place, result.picture)
    replace(result.html, page(f"{spaces[0].title} of {opened.folder.path.name}", examples, result.panels).encode())
    return result
