"""`genlab probe`: how well the classes can be told from the latents of a model with few labels."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.recipes.settings import CheckpointName, DeviceName, SpaceName
from genlab.verbs.options import RUNS, ExtractorName, File, ImagesName, RunName, SourceName
from genlab.verbs.result import Pictured
from genlab.verbs.using import Opened, open_run, png_file, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.applications.examples import Examples
    from genlab.applications.probe import Accuracy
    from genlab.core.pictures import Picture
    from genlab.data.dataset import Source


@dataclass(frozen=True, eq=False)
class Probed(Pictured):
    """Accuracies of probes, and where their curves were written."""

    accuracies: "Sequence[Accuracy]"
    classes: int
    train: int  # examples with labels to learn from, of which `labels` of an accuracy are used
    test: int  # held-out examples
    notes: Sequence[str]
    path: Path  # the .png

    @property
    def picture(self) -> "Picture":
        """The accuracy of each probe over the number of labels."""
        from genlab.applications.plots import accuracy_curves

        return accuracy_curves(self.accuracies, 1 / self.classes)

    def values(self) -> dict[str, Any]:
        """Return the accuracies as plain values for JSON."""
        found = [asdict(each) for each in self.accuracies]
        sizes = {"classes": self.classes, "train": self.train, "test": self.test}
        return {**sizes, "accuracies": found, "notes": list(self.notes), "path": str(self.path)}

    def __repr__(self) -> str:
        return f"<Probed {len(self.accuracies)} accuracies {self.path}>"

    def __str__(self) -> str:
        from genlab.core.text import aligned

        counts = list(dict.fromkeys(each.labels for each in self.accuracies))
        table = [["accuracy", "", *(f"{count:,} labels" for count in counts)]]
        for space, probe in dict.fromkeys((each.space, each.probe) for each in self.accuracies):
            mine = [each for each in self.accuracies if (each.space, each.probe) == (space, probe)]
            cells = [f"{a.mean:.3f}" + (f" ± {a.deviation:.3f}" if a.deviation is not None else "") for a in mine]
            table.append([space, probe, *cells])
        return "\n".join([aligned(table), *self.notes, str(self.path)])


@verb
def probe(
    run: RunName = "latest",
    path: ImagesName = None,
    *,
    space: SpaceName | None = None,
    number: int = 10_000,
    extractor: ExtractorName = "efficientnet-lite0",
    out: File | None = None,
    seed: int = 0,
    data: SourceName = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Probed:
    """Measure how well a linear classifier and nearest neighbours tell classes from the frozen latents of a model.

    They learn from 1, 10 and 100 labelled training examples of each class, five times drawn, and from all, and are
    measured on held-out examples. Beside the latents stand as many principal components of the pixels, and the
    pixels themselves: a model whose latents are no better has learned no useful features.

    Args:
        path: Other data with classes, as for training. By default the data of the run.
        number: About how many training examples to take at most, and as many held-out ones.
        out: The .png of the curves. By default in the run folder.
        seed: Seed of the draws of labelled examples.

    Returns:
        The accuracies: their mean and standard deviation for each space, probe and number of labels.

    Raises:
        UsageError: no such run, or data without classes.
        GenlabError: the model has no such space.
    """
    place = png_file(out)

    from genlab.applications.probe import numbered, probe_all
    from genlab.applications.spaces import find_space, pixels_of

    opened = open_run(os.fspath(run), root, checkpoint, device)
    target = opened.spec.target
    spaces = [find_space(opened.model, target, space, extractor, "genlab probe"), pixels_of(target)]
    source = _labelled(opened, path, data)
    names = source.train.spec.class_names
    train, test = (_gathered(title, part, spaces, number) for title, part in _parts(source))
    labels, truth = (numbered(part.labels, names) for part in (train, test))
    found = probe_all(_vectors(train, spaces), labels, _vectors(test, spaces, train), truth, seed)
    notes = [f"training: {train.note}", f"held out, to measure: {test.note}", f"chance: {1 / len(names):.3f}"]
    place = place or opened.place("probes", None if path is None else source.train.name, space, seed=seed)
    result = Probed(found, len(names), len(labels), len(truth), notes, place)
    write_png(place, result.picture)
    return result


def _labelled(opened: Opened, path: Any, data: Any) -> "Source":  # noqa: ANN401
    """Return the data at `path` in the size of the model, or else those of the run."""
    import numpy as np

    from genlab.data.read import opened_for

    source = opened.source(data) if path is None else opened_for(path, opened.spec.target)
    labels = source.train.labels
    if labels is None or source.held_out.labels is None or len(np.unique(labels)) < 2:
        raise UsageError(
            f"a probe needs data with classes, two or more, and {source.name} has none. Give data whose folders "
            "are classes: genlab probe RUN FOLDER."
        )
    return source


def _parts(source: "Source") -> Any:  # noqa: ANN401
    return ("training examples", source.train), ("held-out examples", source.held_out)


def _gathered(title: str, part: Any, spaces: Sequence[Any], number: int) -> "Examples":  # noqa: ANN401
    from genlab.applications.examples import gather
    from genlab.data.originals import of_split

    return gather(of_split(title, part), spaces, number, progress=True)


def _vectors(part: "Examples", spaces: Sequence[Any], fitted_on: "Examples | None" = None) -> dict[str, Any]:
    """Return the vectors in each space and the principal components of the pixels, by title."""
    from genlab.applications.probe import pca

    own, pixels = spaces
    components = pca((fitted_on or part).vectors[1], own.size)
    title = f"{components.n_components_} principal components of the {pixels.title}"
    return {
        own.title: part.vectors[0],
        title: components.transform(part.vectors[1]),
        pixels.title: part.vectors[1],
    }
