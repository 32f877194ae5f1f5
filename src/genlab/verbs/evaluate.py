"""`genlab evaluate`: the figures of a model, or of images compared with real ones."""

import os
from typing import TYPE_CHECKING, Any, Literal

from genlab.core.errors import UsageError
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, ExtractorName, File, RunName, SourceName
from genlab.verbs.using import located
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.applications.measurement import Measurement


@verb
def evaluate(
    run: RunName | None = None,
    *,
    real: SourceName = None,
    fake: SourceName = None,
    size: int | None = None,
    range: tuple[float, float] | None = None,  # noqa: A002 the word that users expect
    max_rejected: float | None = None,
    extractor: ExtractorName = "efficientnet-lite0",
    samples: int | None = None,
    split: Literal["held-out", "train", "all"] | None = None,
    resize: Literal["antialiased", "legacy"] = "antialiased",
    seed: int = 0,
    again: bool = False,
    data: SourceName = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
    **sampling: Any,  # noqa: ANN401 (checked by the recipe)
) -> "Measurement":
    """Evaluate a run's model with every metric that fits it, or compare two sets of images.

    `genlab evaluate RUN`, or `genlab evaluate --real photos/ --fake generated/`.

    Args:
        real: Real images: a folder, zip or .npz, or a name such as digits.
        fake: Generated images, from any program: a folder, zip or .npz.
        size: Side in pixels of the squares to which --real and --fake are resized first, without cropping. By
            default the generated images stay as they are, and the real ones get their size.
        range: Values of black and white in those of --real and --fake that are an .npz or .npy, such as 0 1. By
            default recognised if certain.
        max_rejected: Largest share of unusable files of --real and of --fake, by default 0.01; sets with more are
            refused.
        split: Split of the real images: by default held-out for a run, all for --real.
        data: The data of the run, if they are at another place now; they must be the same. Of a model that
            restores pictures, also other pictures, such as set5/: they are measured whole and in their own size,
            after they were degraded as in training.
        again: Measure again, even if the result is stored already.

    Returns:
        The figures, each with its error and protocol.

    Raises:
        UsageError: no such run, extractor or option, or one of `real` and `fake` without the other.
        GenlabError: too few images, or weights that are not available.
    """
    if (real is None) != (fake is None):
        raise UsageError("--real and --fake are compared with each other: give both, or a run instead")
    if real is not None and run is not None:
        raise UsageError(f"give either a run ({os.fspath(run)}) or --real and --fake, not both")
    if real is not None and data is not None:
        raise UsageError("--data are those of a run; --real and --fake take none. Leave it out")
    if real is None and size is not None:
        raise UsageError(
            f"--size {size} is for --real and --fake; a run keeps the size of its training. Leave it out"
        )
    if real is None and max_rejected is not None:
        raise UsageError("--max-rejected is for --real and --fake; a run keeps that of its training. Leave it out")
    if real is None and range is not None:
        raise UsageError("--range is for --real and --fake; a run keeps that of its training. Leave it out")

    from genlab.applications.evaluate import Request, evaluate_run
    from genlab.applications.pictures import evaluate_pictures

    folder = None
    if real is None:
        folder, checkpoint = located(os.fspath(run or "latest"), root, checkpoint)
    request = Request(extractor, samples, split, resize, seed, checkpoint, sampling)
    if folder:
        return evaluate_run(folder, request, device, data=data, again=again)
    most = 0.01 if max_rejected is None else max_rejected
    names = os.fspath(real), os.fspath(fake)
    return evaluate_pictures(*names, request, device, size=size, range=range, max_rejected=most)
