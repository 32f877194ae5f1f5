"""What a training returns: its run, how it went, and what to try next."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from genlab.core.condition import MASK, SOURCE, required_conditions
from genlab.core.contract import Decodes, Restores, Samples
from genlab.core.modality import DataSpec
from genlab.core.text import counted, typed
from genlab.runs.run import Run
from genlab.training import checkpoint
from genlab.training.callbacks import Progress
from genlab.training.choice import choose
from genlab.training.report import duration
from genlab.training.run_folder import RunFolder

PICTURES = ("PICTURES",)
INPUTS = {  # what a command takes besides the run
    **dict.fromkeys(("translate", "upscale", "restore"), PICTURES),
    "inpaint": (*PICTURES, "--mask", "MASK"),
}


class Result(Run):
    """A run that has just been trained, with how this training went."""

    def __init__(
        self,
        folder: Path,
        progress: Progress,
        start_step: int,
        planned_steps: int,
        uses: Sequence[str] = (),
        has_schedules: bool = False,
    ) -> None:
        self.folder = folder.resolve()
        self.progress = progress
        self.start_step = start_step  # where this training started
        self.planned_steps = planned_steps
        self.uses = uses  # commands to try with its model
        self.has_schedules = has_schedules  # that other steps would change

    def __str__(self) -> str:
        """Return where its results are and what to try next."""
        here, progress = Path.cwd(), self.progress
        folder = self.folder.relative_to(here) if self.folder.is_relative_to(here) else self.folder
        further = self.planned_steps if progress.step < self.planned_steps else 2 * progress.step
        files = RunFolder(self.folder)
        used = choose(files).name if checkpoint.exists(files.last) else "last"
        stretch = " --stretch-schedule" if further != self.planned_steps and self.has_schedules else ""
        over = "\nThis run was complete. Give --steps to continue it." if progress.step == self.start_step else ""
        return (
            f"{counted(progress.step, 'step')} in {duration(progress.seconds)}{over}\n\n"
            f"  pictures  {folder}/previews\n"
            f"  report    {folder}/report.html\n"
            f"  model     {folder}/checkpoints/{used}/model.safetensors\n\n"
            f"Try next:\n"
            f"  {typed('genlab', 'info', folder)}\n"
            + "".join(f"  {typed('genlab', use, folder, *INPUTS.get(use, ()))}\n" for use in self.uses)
            + f"  {typed('genlab', 'resume', folder, '--steps', further)}{stretch}"
        )


def uses_of(model: nn.Module, spec: DataSpec) -> list[str]:
    """Return the commands to try with a model."""
    needed = required_conditions(model.conditions) if isinstance(model, Samples) else []
    if isinstance(model, Restores):
        smaller = spec.conditions[SOURCE].shape != spec.target.shape
        return ["inpaint" if MASK in needed else "upscale" if smaller else "restore"]
    translates = needed == [SOURCE] and spec.target.spatial == 2
    uses = ["translate" if translates else "sample"] * isinstance(model, Samples)
    return uses + ["interpolate"] * (isinstance(model, Decodes) and not needed)
