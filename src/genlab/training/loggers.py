"""Adapters for TensorBoard and Weights & Biases, which are imported only when used."""

import hashlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from genlab.core.errors import GenlabError, UsageError
from genlab.core.files import storage
from genlab.core.pictures import Picture
from genlab.core.signals import signal
from genlab.training.callbacks import Observer
from genlab.training.criterion import values_of


class TensorBoard:
    """Writes event files into the run folder; view them with `tensorboard --logdir RUN`.

    Names are grouped: loss/generator_loss, probe/diversity, evaluation/fd[pixels]. The options of the run are its
    hyperparameters. The writer has its own thread: an error of the disk is raised by a later call.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        _require_utf8(folder)
        self.folder = folder / "tensorboard"
        self.options = {name: value if _is_plain(value) else str(value) for name, value in options.items()}
        self.has_options = False
        with storage(self.folder):
            self.writer: Any = SummaryWriter(str(self.folder))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write each signal as a scalar."""
        self._scalars(step, {f"{signal(name).kind.group}/{name}": value for name, value in values.items()})

    def _scalars(self, step: int, values: Mapping[str, float]) -> None:
        with storage(self.folder):
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)

    def picture(self, step: int, picture: Picture) -> None:
        """Write the preview as an image."""
        with storage(self.folder):
            self.writer.add_image("preview", picture, step, dataformats="HWC")

    def event(self, step: int, kind: str, details: Mapping[str, Any]) -> None:
        """Write the numbers of an evaluation as scalars, other events as text."""
        if kind == "evaluation":
            values = {f"evaluation/{n}": v for n, v in values_of(details).items()}
            self._hyperparameters(values)
            self._scalars(step, values)
        elif kind != "checkpoint":
            with storage(self.folder):
                self.writer.add_text(kind, details.get("line") or str(dict(details)), step)

    def _hyperparameters(self, metrics: Mapping[str, float]) -> None:
        """Write the options once, with the names of the values by which runs are compared."""
        if self.has_options:
            return
        from torch.utils.tensorboard import summary

        self.has_options, hparams = True, cast("Any", summary).hparams
        with storage(self.folder):  # `add_hparams` of the writer would write them to a folder of their own
            for part in hparams(self.options, dict(metrics)):
                self.writer.file_writer.add_summary(part)

    def close(self) -> None:
        """Flush; a run that ended before its first evaluation has hyperparameters, too."""
        self._hyperparameters({})
        with storage(self.folder):
            self.writer.close()


def _require_utf8(folder: Path) -> None:
    """Refuse a folder that the logger cannot open.

    Raises:
        UsageError: its path is not valid UTF-8.
    """
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"a logger cannot write into {folder}, because the path is not valid UTF-8. Choose another --root."
        ) from None


class WeightsAndBiases:
    """Writes a Weights & Biases run into the run folder; `WANDB_MODE=offline` keeps it there.

    The options of the run are its config.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        import wandb

        _require_utf8(folder)
        self.wandb: Any = wandb
        identity = hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]  # stays the same when the run is resumed
        self.run: Any = wandb.init(
            project="genlab",
            name=folder.name,
            dir=str(folder),
            id=f"{folder.name}-{identity}",
            resume="allow",
            config=dict(options),
            allow_val_change=True,  # a run may be resumed with more steps
        )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log each signal."""
        self.run.log(dict(values), step=step)

    def picture(self, step: int, picture: Picture) -> None:
        """Log the preview as an image."""
        pixels = picture[:, :, 0] if picture.shape[2] == 1 else picture
        self.run.log({"preview": self.wandb.Image(pixels)}, step=step)

    def event(self, step: int, kind: str, details: Mapping[str, Any]) -> None:
        """Log the numbers of an evaluation, and send the doctor's findings as alerts."""
        if kind == "evaluation":
            self.scalars(step, {f"evaluation/{n}": v for n, v in values_of(details).items()})
        elif kind == "finding":
            self.run.alert(details["symptom"], details["line"])

    def close(self) -> None:
        """Finish the run."""
        self.run.finish()


def _is_plain(value: object) -> bool:
    return isinstance(value, bool | int | float | str)


LOGGERS: Mapping[str, Callable[[Path, Mapping[str, Any]], Observer]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
}


def find_logger(name: str) -> Callable[[Path, Mapping[str, Any]], Observer] | None:
    """Return the class of the logger called `name`, to be called with a run folder and options; None for "none".

    Raises:
        GenlabError: its package is not installed.
    """
    if name != "none" and importlib.util.find_spec(name) is None:
        raise GenlabError(f"--logger {name} needs a package: pip install 'genlab[{name}]'")
    return LOGGERS.get(name)
