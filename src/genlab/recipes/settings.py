"""Options of every run: data, budget, how often to log and evaluate, device, folder."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from genlab.core.reading import Direction, Pairs
from genlab.recipes.fields import names_of, option, own_options

DeviceName: TypeAlias = str  # see `core/device.py: find_device`
PrecisionName = Literal["auto", "bf16", "float32"]
FailureName = Literal["warn", "stop", "treat"]
CheckpointName = Literal["best", "last"]
SpaceName = Literal["latent", "discriminator", "features", "pixels"]
DEFAULT_ROOT = "runs"
if TYPE_CHECKING:
    LoggerName: TypeAlias = str
else:
    LoggerName = names_of("training.loggers", "LOGGERS", "none")


@dataclass(frozen=True)
class Settings:
    """The options that every preset has besides its recipe."""

    data: str = option(
        "digits",
        "a folder, zip or .npz of images, a table (.csv), or a name such as digits, ring8",
        part="data",
    )
    source: str | None = option(
        None,
        "source images of a translation: a folder, zip or .npz, if --data holds only their targets",
    )
    pairs: Pairs = option(
        "auto",
        "whether each source belongs to the target with the same file name: aligned or unaligned; auto is aligned "
        "for models that learn from pairs",
    )
    side_by_side: bool = option(False, "split each image of --data into its left half, A, and its right half, B")
    direction: Direction = option("a-to-b", "which side of the data is translated into the other")
    size: int | None = option(
        None, "side of the training images in pixels; by default 32 for small images, else 64", least=1
    )
    channels: int | None = option(None, "1 for grey, 3 for colour; by default as the images are", least=1, most=3)
    range: tuple[float, float] | None = option(
        None,
        "values of black and white in an .npz or .npy, such as 0 1; by default recognised if certain",
    )
    label: str | None = option(
        None, "column of a table with the labels: not trained on, but known when rows are scored"
    )
    ignore: tuple[str, ...] = option((), "columns of a table to leave out, such as numbers of customers")
    patches: int | None = option(
        None,
        "train on squares of this side in pixels, cut out of the pictures in their own sizes at random, rotated "
        "and mirrored; for models that restore pictures",
        least=16,
        most=512,
    )
    flip: bool = option(False, "mirror each image with probability ½; for photographs, not for digits or text")
    shift: int = option(
        0,
        "move each image by up to this many pixels at random and repeat its border; for small sets of pairs, "
        "whose two sides move together, not for models that generate from noise",
        least=0,
        most=256,
    )
    balance: bool = option(
        False, "draw all classes equally often, however many images they have, so that rare ones are learned, too"
    )
    max_rejected: float = option(
        0.01, "largest share of unusable files; with more the run does not start", least=0, most=1
    )
    minutes: float | None = option(None, "stop after this many minutes, even if steps remain", above=0)
    seed: int = option(0, "random seed; runs with the same seed and options are the same", least=0)
    device: DeviceName = option(
        "auto", "device to compute on: auto, cpu, cuda (or gpu, cuda:1, 1), mps; auto takes a GPU if there is one"
    )
    precision: PrecisionName = option(
        "auto",
        "precision inside the networks; auto is bf16 if the hardware supports it, float32 for mlp and spline",
    )
    root: str = option(DEFAULT_ROOT, "folder that contains the run folders")
    name: str | None = option(None, "name of the run folder; by default the preset's name")
    latest: bool = option(True, "let `latest` point to this run; --no-latest for a trial")
    log_every: int = option(20, "steps between lines of history.jsonl", least=1)
    preview_every: int = option(200, "steps between preview images", least=1)
    evaluate_every: int = option(500, "steps between evaluations; raise it if they take too long", least=1)
    patience: int | None = option(
        None, "stop after this many evaluations without improvement; by default never", least=1
    )
    on_failure: FailureName = option(
        "warn", "what to do if the doctor finds a failure; treat goes back and applies a remedy"
    )
    extractor: str = option(
        "auto",
        "feature extractor for evaluating samples, as in `genlab evaluate`; auto keeps evaluations below 5 % of "
        "the time",
        part="extractor",
    )
    checkpoint_every: int = option(500, "steps between checkpoints; one is also written every 5 minutes", least=1)
    logger: LoggerName = option("none", "additional logger")
    callbacks: tuple[str, ...] = option((), "own callbacks, which are notified of what happens", part="callback")
    own: dict[str, Any] = own_options()
