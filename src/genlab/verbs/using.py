"""What the verbs that use a model share: its loading, and the files that they write."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.recipes.settings import CheckpointName
from genlab.verbs.options import File

if TYPE_CHECKING:
    from torch import nn

    from genlab.core.modality import DataSpec
    from genlab.core.pictures import Picture
    from genlab.training.run_folder import RunFolder


@dataclass(frozen=True)
class Opened:
    """A run's folder and model, with the step of its weights and the data spec at that step."""

    folder: "RunFolder"
    model: "nn.Module"
    step: int
    spec: "DataSpec"

    def place(self, kind: str, *parts: object, **options: object) -> Path:
        """Return a .png in a folder of the run, named after all options, so that others do not overwrite it."""
        given = [(name.replace("_", "-"), value) for name, value in options.items() if value is not None]
        words = [f"{self.step:06d}", *(f"{part}" for part in parts if part is not None)]
        words += [f"{name}-{value}" for name, value in given]
        return self.folder.path / kind / f"{'-'.join(words)}.png"


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
    from genlab.runs.data import open_recorded, plan_of, spec_of
    from genlab.runs.load import load_model, loaded_from, tell
    from genlab.training.run_folder import find

    folder = find(run, Path(root))
    if data is not None:
        open_recorded(folder, plan_of(folder).settings, data)
    model = load_model(folder, checkpoint, device, sampling)
    choice = loaded_from(model)
    tell(folder, choice)
    return Opened(folder, model, choice.step, spec_of(folder, choice.step))


def png_file(out: File | None) -> Path | None:
    """Return `out` as a path.

    Raises:
        UsageError: it does not end in .png.
    """
    path = None if out is None else Path(out)
    if path and path.suffix.lower() != ".png":
        raise UsageError(f"--out {path} must be a .png")
    return path


def write_png(path: Path, picture: "Picture") -> None:
    """Write a picture, in a folder that is made if it is missing."""
    from genlab.core.files import storage, write
    from genlab.core.pictures import png

    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write(path, png(picture))
