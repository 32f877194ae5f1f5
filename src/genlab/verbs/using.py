"""What the verbs that use a model share: its loading, and the files that they write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from genlab.core.errors import UsageError
from genlab.recipes.settings import CheckpointName
from genlab.verbs.options import File
from genlab.verbs.output import refuse_unwritable

if TYPE_CHECKING:
    from torch import nn

    from genlab.core.modality import DataSpec
    from genlab.core.pictures import Picture
    from genlab.data.dataset import Source
    from genlab.training.run_folder import RunFolder


@dataclass(frozen=True)
class Opened:
    """A run's folder and model, with the step of its weights and the data spec at that step."""

    folder: "RunFolder"
    model: "nn.Module"
    step: int
    spec: "DataSpec"
    checkpoint: CheckpointName = "last"

    @property
    def weights(self) -> str:
        """A hash of the checkpoint."""
        from genlab.training.checkpoint import digest

        return digest(self.folder.path / "checkpoints" / self.checkpoint)

    @property
    def classes(self) -> Sequence[str]:
        """The names of the classes that the model is conditioned on; () without any."""
        return self.spec.class_names if "label" in getattr(self.model, "conditions", {}) else ()

    def source(self, data: str | None = None) -> "Source":
        """Return the data of the run, in the size that its model has.

        Raises:
            GenlabError: they are gone, or `data` are not those of the run.
        """
        from genlab.runs.data import data_of

        return data_of(self.folder, self.spec, data)

    def place(self, kind: str, *parts: object, **options: object) -> Path:
        """Return a .png in a folder of the run, named after all options, so that others do not overwrite it."""
        given = [(name.replace("_", "-"), value) for name, value in options.items() if value is not None]
        words = [f"{self.step:06d}", *(f"{part}" for part in parts if part is not None)]
        words += [f"{name}-{value}" for name, value in given]
        return self.folder.path / kind / f"{'-'.join(words)}.png"


def located(run: str, root: File, checkpoint: CheckpointName | None) -> "tuple[RunFolder, CheckpointName | None]":
    """Return a run and which of its checkpoints is meant; `run` may be the path of one, or of its weights.

    Raises:
        UsageError: there is no such run, or `checkpoint` is another one.
    """
    from genlab.training.run_folder import find

    place = Path(run).parent if Path(run).is_file() else Path(run)
    of = place.parent.parent
    if place.parent.name != "checkpoints" or not (of / "recipe.yaml").is_file():
        return find(run, Path(root)), checkpoint
    if place.name not in get_args(CheckpointName) or checkpoint not in (None, place.name):
        raise UsageError(
            f"{run} is in the checkpoint {place.name} of the run {of}, not in {checkpoint or 'best or last'}. "
            "Give the run, and --checkpoint best or last."
        )
    return find(str(of), Path(root)), cast("CheckpointName", place.name)


def open_run(
    run: str,
    root: File,
    checkpoint: CheckpointName | None,
    device: str,
    sampling: Mapping[str, Any] | None = None,
    data: str | None = None,
) -> Opened:
    """Return a run, opened to use its model.

    Raises:
        CheckpointError: its `data`, if they are given, are not those of the run.
    """
    from genlab.runs.data import open_recorded
    from genlab.runs.load import load_model, loaded_from, log_checkpoint
    from genlab.runs.recorded import plan_of, spec_of

    folder, checkpoint = located(run, root, checkpoint)
    if data is not None:
        open_recorded(folder, plan_of(folder).settings, data)
    model = load_model(folder, checkpoint, device, sampling)
    choice = loaded_from(model)
    log_checkpoint(folder, choice)
    return Opened(folder, model, choice.step, spec_of(folder, choice.step), choice.name)


def png_file(out: File | None) -> Path | None:
    """Return `out` as a path.

    Raises:
        UsageError: it does not end in .png.
    """
    path = None if out is None else Path(out)
    if path and path.suffix.lower() != ".png":
        raise UsageError(f"--out {path} must be a .png")
    if path:
        refuse_unwritable(path)
    return path


def write_png(path: Path, picture: "Picture") -> None:
    """Write a picture, in a folder that is made if it is missing."""
    from genlab.core.files import replace, storage
    from genlab.core.pictures import png

    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, png(picture))
