"""What a run is made with, whatever the model: data, budget, rhythm, place."""

from dataclasses import dataclass
from typing import Literal

from genlab.recipes.fields import option

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
PrecisionName = Literal["auto", "bf16", "float32"]
FailureName = Literal["warn", "stop", "treat"]
CheckpointName = Literal["best", "last"]


@dataclass(frozen=True)
class Settings:
    """Options that every preset has."""

    data: str = option("digits", "a folder, zip or .npz of pictures, or a name; see `genlab data`")
    size: int | None = option(
        None, "side of the training pictures; by default 32 for small pictures, else 64", least=1
    )
    channels: int | None = option(None, "1 for grey, 3 for colour; by default the pictures' own", least=1, most=3)
    flip: bool = option(False, "mirror each picture with probability ½")
    max_rejected: float = option(
        0.01, "share of unusable files above which the run does not start", least=0, most=1
    )
    minutes: float | None = option(None, "stop after so many minutes, if the steps are not used up", above=0)
    seed: int = option(0, "of everything that is random", least=0)
    device: DeviceName = option("auto", "where to compute")
    precision: PrecisionName = option(
        "auto", "what networks multiply in; auto is bf16 where there are units for it, but for mlp and spline"
    )
    out: str = option("runs", "folder of the run folders")
    name: str | None = option(None, "of the run folder; by default the preset's")
    log_every: int = option(20, "steps between lines of the history", least=1)
    preview_every: int = option(200, "steps between previews", least=1)
    evaluate_every: int = option(500, "steps between evaluations", least=1)
    patience: int | None = option(
        None, "stop after so many evaluations without a better one; by default never", least=1
    )
    on_failure: FailureName = option(
        "warn", "what to do where the doctor finds a failure; treat goes back and tries its remedies"
    )
    extractor: str = option(
        "auto",
        "what sees samples when they are evaluated: as in `genlab evaluate`, or auto to stay below 5 % of time",
    )
    checkpoint_every: int = option(500, "steps between checkpoints; there is one every 5 minutes anyway", least=1)
    logger: Literal["none", "tensorboard", "wandb"] = option("none", "a further place to log to")
