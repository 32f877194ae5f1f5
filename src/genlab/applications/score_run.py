"""Scores examples by the model of a run: what is normal, the scores, their figures, pictures and heat maps."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.applications.heatmaps import Maps, colours, error_maps, map_each, pixel_threshold
from genlab.applications.normals import Normals, calibrate, data_of_run, most_of, of_run, of_user
from genlab.applications.rows import rows
from genlab.applications.score import Done, Measured, Threshold, measured, score_each, truth_of, verdicts
from genlab.applications.score_pictures import as_html, charts
from genlab.applications.scores import Numbers, Tools
from genlab.core.contract import Reconstructs
from genlab.core.device import device_of
from genlab.core.errors import StorageError, UsageError
from genlab.core.files import put, storage
from genlab.core.modality import DataSpec, Modality
from genlab.core.pictures import Picture, png, to_bytes
from genlab.core.pictures import table as laid_out
from genlab.core.table import Table
from genlab.core.text import escaped
from genlab.data.dataset import Rejected, Source
from genlab.data.defects import Defects, defect_of, find_defects
from genlab.data.originals import Original, Originals, originals, stacked
from genlab.data.read import unreadable
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.extractors.pixels import pixels
from genlab.runs.extractors import find_extractor, require
from genlab.runs.recorded import plan_of
from genlab.training.run_folder import RunFolder

QUANTILE = 0.99  # of normal pixels, if the threshold of pictures is no quantile
MOST_MAPPED = 500  # normal pictures from whose pixels the threshold of heat maps is calibrated
OF_MAPS = "reconstruction"
STRIP = 12  # pictures in a row of the page
SMALL, MEDIUM = 32, 96  # sides of pictures
MEDIUM_FEATURES, FEATURES = "efficientnet-lite0@96", "efficientnet-lite0"


@dataclass(frozen=True)
class Request:
    """What is scored, and how."""

    examples: Any  # as `originals` takes them
    names: Sequence[str]  # of scores
    normal: Any  # as `originals` takes them; None for the data of the run
    normal_class: Sequence[str] | None
    label: str | None  # the column of the classes of rows
    threshold: Threshold
    extractor: str  # a name, or "auto"
    heatmaps: Path | None
    html: Path | None
    table: Callable[[str], Path]  # the place of the table, by the title of the examples
    weights: str  # a hash of those of the model
    step: int  # of the weights
    data: str | None = None  # where the data of the run are now


@dataclass(frozen=True)
class Outcome:
    """What has been scored."""

    count: int
    measured: Measured
    notes: Sequence[str]
    rejected: Sequence[Rejected]
    chart: Picture
    table: Path


@dataclass(frozen=True)
class Job:
    """The opened examples and all that they are scored with."""

    tools: Tools
    given: Originals
    normals: Normals
    defects: Defects | None
    request: Request

    @property
    def maps(self) -> bool:
        """Whether the model can make heat maps."""
        return isinstance(self.tools.model, Reconstructs) and self.given.modality.spatial == 2

    @property
    def place(self) -> str:
        """Where the examples are, for errors."""
        given = self.request.examples
        return os.fspath(given) if isinstance(given, str | os.PathLike) else self.given.title

    @property
    def title(self) -> str:
        """What the examples are called."""
        return self.defects.pictures.resolve().parent.name if self.defects else self.given.title

    def label(self, original: Original) -> str | None:
        """Return the class of an example, in a data set of defects its defect."""
        return defect_of(original.name) if self.defects else original.label


def score_run(model: nn.Module, folder: RunFolder, spec: DataSpec, request: Request) -> Outcome:
    """Score examples by the model of a run, and write the table, the charts and what else is requested.

    Raises:
        DataError: no example could be read, or there is no normal one.
        UsageError: nothing at a path, another extractor, or as `measured` and `truth_of`.
        GenlabError: heat maps are requested, and the model does not reconstruct.
        StorageError: the disk refused.
    """
    if request.heatmaps:
        need(model, Reconstructs, "--heatmaps")
        if spec.target.spatial != 2:
            raise UsageError(f"--heatmaps are of pictures, and this model is of {spec.target.noun}. Leave it out.")
    examples = request.examples
    defects = find_defects(Path(examples)) if isinstance(examples, str | os.PathLike) else None
    normal = defects.normal if request.normal is None and defects else request.normal
    refused: list[Rejected] = []
    with ExitStack() as stack:
        given = stack.enter_context(
            originals(defects.pictures if defects else examples, spec.target, label=request.label)
        )
        source = None
        if normal is None or _trained_on(folder, normal, request.data):
            source = data_of_run(folder, spec, request.data)
        elif request.data is not None:
            raise UsageError(
                f"--data {request.data} are compared with as normal examples, but others are given. Leave one out."
            )
        tools = Tools(model, _extractor(request.extractor, model, spec.target, source))
        most = most_of(request.names, tools, spec.target)
        if source:
            normals = of_run(source, most)
        else:
            normals = of_user(stack.enter_context(originals(normal, spec.target)), most, refused)
        job = Job(tools, given, normals, defects, request)
        done = _score(job)
    said = [defects.summary] if defects else []
    side = f" at {tools.extractor.side} px" if tools.extractor.side else ""
    name = f"{tools.extractor.name}{side}" if spec.target.spatial == 2 else f"the numbers of {spec.target.noun}"
    said += [normals.about, f"features: {name}", *(_of_training(folder, job) if not defects else ())]
    said += [f"not used as normal: {item.path}: {item.reason}" for item in dict.fromkeys(refused)]
    return replace(done, notes=[*said, *done.notes, *_record(folder, job, done.measured)])


def _record(folder: RunFolder, job: Job, found: Measured) -> list[str]:
    """Record how well the scores ranked anomalies, for the doctor of the run."""
    if found.chance_error:
        data = {"data": job.title, "normal_class": list(job.request.normal_class or ())}
        try:
            folder.event(job.request.step, "scores", {**data, **found.event()})
        except StorageError as error:
            return [f"the run could not record the figures for `genlab doctor`: {error}"]
    return []


def _extractor(name: str, model: nn.Module, modality: Modality, source: Source | None) -> Extractor:
    """Return an extractor; "auto" takes pixels of small pictures, the numbers of rows, else EfficientNet."""
    require(name)
    device, side = device_of(model), min(modality.shape[1:]) if modality.spatial == 2 else 0
    if not side:
        return pixels(device, exact=True)
    if name == "auto" and (side < SMALL or modality.shape[0] not in (1, 3)):
        return pixels(device)
    if name == "auto":
        name = MEDIUM_FEATURES if side <= MEDIUM else FEATURES
    return find_extractor(name, device, source)


def _score(job: Job) -> Outcome:
    request, given = job.request, job.given
    table = request.table(job.title)
    stamp = {"verb": "score", "weights": request.weights, "data": given.stamp, "normal": job.normals.stamp}
    stamp |= {} if request.label is None else {"label": request.label}
    with rows(table, request.names, {**stamp, "extractor": job.tools.extractor.stamp}) as written:
        earlier, kept = len(written.names), written.part / "normal.npz"
        calibrated = calibrate(request.names, job.tools, job.normals, kept, progress=True)
        done = score_each(request.names, job.tools, calibrated, given, written, job.label, progress=True)
        if not written.names:
            raise unreadable(job.place, done.rejected, given.modality.noun)
        anomalous, unknown = truth_of(written.labels, request.normal_class)
        if isinstance(given.modality, Table) and not any(written.labels):
            unknown = [f"{each}; if a column holds them, name it: --label COLUMN" for each in unknown]
        found = measured(written, anomalous, calibrated, request.threshold)
        maps = _map(job)
        if maps:
            found = _with_pixels(found, maps.figures)
        notes = [*_sizes(done, earlier, given), *unknown, *(maps.notes if maps else ()), *found.notes]
        chart = charts(written, anomalous, calibrated, found)
        _write(table.with_suffix(".png"), png(chart))
        first = np.array(written.values[:, 0])
        if request.html:
            strips = _strips(job, written.names, first, maps)
            page = as_html(f"Scores of {job.title}", found, notes, chart, strips)
            _write(request.html, escaped(page).encode())
        written.finish({"verdict": verdicts(first, found.thresholds[request.names[0]])})
    return Outcome(len(first), found, notes, done.rejected, chart, table)


def _sizes(done: Done, earlier: int, given: Originals) -> list[str]:
    """Return what was done to the sizes and colours of pictures."""
    if given.modality.spatial != 2:
        return []
    channels, height, width = given.modality.shape
    colour = {1: "in grey", 3: "in colour"}.get(channels, f"with {channels} channels")
    late = f", not counting the {earlier:,} that were scored before" if earlier else ""
    resized = f"; {done.resized:,} of other sizes were resized whole{late}" if done.resized else ""
    return [f"pictures are scored at the model's {width}x{height} pixels {colour}{resized}"]


def _trained_on(folder: RunFolder, normal: object, data: str | None) -> bool:
    """Return whether a run was trained on these normal pictures, or on the folder around them."""
    if not isinstance(normal, str | os.PathLike):
        return False
    place = Path(normal).resolve()
    return Path(data or plan_of(folder).settings.data).resolve() in (place, place.parent)


def _of_training(folder: RunFolder, job: Job) -> list[str]:
    """Warn if a run was trained on the files that are scored."""
    own, given = Path(plan_of(folder).settings.data), job.request.examples
    if not isinstance(given, str | os.PathLike) or not own.exists() or job.given.held_out:
        return []
    if own.resolve() not in (Path(given).resolve(), *Path(given).resolve().parents):
        return []
    return [
        "the model was trained on most of these examples: anomalies among them look more normal than new ones do"
    ]


def _map(job: Job) -> Maps | None:
    """Make the heat maps, if they are requested or there are masks to compare them with."""
    request, model = job.request, job.tools.model
    masks = job.defects if job.defects and job.defects.masks else None
    if not job.maps or not (request.heatmaps or masks or request.html):
        return None
    quantile = QUANTILE if request.threshold == "f1" else request.threshold
    limit = pixel_threshold(model, _some(job.normals), quantile)
    if not request.heatmaps and not masks:
        return Maps(limit)
    maps = map_each(model, job.given, limit, request.heatmaps, masks, progress=True)
    found = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in maps.figures.items())
    measured = f"; by the masks of defects: {found}" if found else ""
    said = f"heat maps: {1 - quantile:.2g} of the pixels of normal pictures lie above {limit:.4g}{measured}"
    maps.notes.insert(0, said)
    return maps


def _some(normals: Normals) -> Iterator[Tensor]:
    """Yield some normal examples, held-out ones if there are any."""
    left = MOST_MAPPED
    for x in chain(normals.held_out(), normals.examples()):
        yield x[:left]
        left -= len(x)
        if left <= 0:
            return


def _with_pixels(found: Measured, figures: Mapping[str, float]) -> Measured:
    """Add the figures of heat maps, which are those of reconstructions."""
    if not figures:
        return found
    of_maps = {**found.figures.get(OF_MAPS, {}), **figures}
    return replace(found, figures={**found.figures, OF_MAPS: of_maps})


def _strips(job: Job, names: Sequence[str], scores: Numbers, maps: Maps | None) -> dict[str, Picture]:
    """Return the pictures with the highest and the lowest scores, by their captions."""
    if job.given.modality.spatial != 2:
        return {}
    order = np.argsort(-scores)
    picked = {"Highest scores": order[:STRIP], "Lowest scores": order[::-1][:STRIP]}
    return {
        caption: _strip(job.tools, list(_named(job.given, [names[at] for at in places])), maps)
        for caption, places in picked.items()
    }


def _named(given: Originals, names: Sequence[str]) -> Iterator[Original]:
    """Yield the examples of these names, in this order."""
    found = {item.name: item for item in given.read(_Others(names)) if isinstance(item, Original)}
    yield from (found[name] for name in names)


@dataclass(frozen=True)
class _Others:
    """Contains all names but some."""

    names: Collection[str]

    def __contains__(self, name: object) -> bool:
        return name not in self.names


def _strip(tools: Tools, originals: Sequence[Original], maps: Maps | None) -> Picture:
    """Return pictures in a row, in the size of the model, above their heat maps if the model reconstructs."""
    x = stacked(originals)
    lines = [list(to_bytes(x))]
    if maps:
        errors = error_maps(tools.model, x)
        lines += [[colours(each, maps.threshold) for each in errors]]
    return laid_out(lines, [each.name for each in originals])


def _write(path: Path, data: bytes) -> None:
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    put(path, data)
