"""`genlab compare`: several models, measured alike and ranked."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genlab.core.errors import UsageError
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, ExtractorName, File, RunName
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.applications.compare import Comparison
    from genlab.applications.evaluate import Request
    from genlab.training.run_folder import RunFolder

STRIP = 16


@verb
def compare(
    *runs: RunName,
    extractor: ExtractorName = "efficientnet-lite0",
    samples: int | None = None,
    split: Literal["held-out", "train"] = "held-out",
    resize: Literal["antialiased", "legacy"] = "antialiased",
    seed: int = 0,
    csv: File | None = None,
    html: File | None = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
    **sampling: Any,  # noqa: ANN401 (checked by the recipe)
) -> "Comparison":
    """Evaluate several runs in the same way and rank them; differences that may be chance are marked.

    Sampling options apply to the runs whose models have them.

    Args:
        runs: Run folders, or their names in --root.
        split: Split of the real images.
        csv: CSV file to write, with a line for each figure.
        html: HTML page to write, with samples.

    Returns:
        The evaluations, best first, with remarks on what cannot be compared.

    Raises:
        UsageError: fewer than two runs, an option that applies to none of them, or as `genlab.evaluate`.
        GenlabError: as `genlab.evaluate`.
    """
    if len(runs) < 2:
        raise UsageError(
            f"a comparison needs two runs or more, not {len(runs)}. Give their folders or names, such as dcgan vae"
        )

    from genlab.applications.compare import as_csv, as_html
    from genlab.applications.compare import compare as rank
    from genlab.applications.evaluate import Request, evaluate_run, requests_for
    from genlab.core.distributed import torchrun_shard
    from genlab.core.files import replace
    from genlab.core.text import escaped
    from genlab.training.run_folder import find

    request = Request(extractor, samples, split, resize, seed, checkpoint, sampling)
    folders = [find(os.fspath(run), Path(root)) for run in runs]
    measured = list(zip(folders, requests_for(folders, request), strict=True))
    evaluations = [evaluate_run(*each, device) for each in measured]
    comparison = rank(evaluations)
    main = torchrun_shard().rank == 0
    if csv and main:
        replace(Path(csv), escaped(as_csv(comparison)).encode())
    if html and main:
        strips = {e.subject: _strip(*each, device) for e, each in zip(evaluations, measured, strict=True)}
        ordered = {e.subject: strips[e.subject] for e in comparison.evaluations}
        page = as_html(comparison, {name: png for name, png in ordered.items() if png})
        replace(Path(html), escaped(page).encode())
    return comparison


def _strip(folder: "RunFolder", request: "Request", device: str) -> bytes:
    """Return a PNG with a row of samples below their sources, if they have any; no bytes without samples."""
    from genlab.applications.sample import sample
    from genlab.core.condition import in_turn, required_conditions
    from genlab.core.contract import Samples
    from genlab.core.pictures import png, stacked
    from genlab.runs.data import sampling_turns
    from genlab.runs.load import load_model
    from genlab.runs.recorded import spec_of
    from genlab.training.choice import choose

    model, spec = load_model(folder, request.checkpoint, device, request.sampling), spec_of(folder)
    if not isinstance(model, Samples):
        return b""
    step = choose(folder, request.checkpoint).step
    given = in_turn(sampling_turns(folder, step, model), range(STRIP))
    sources = [spec.conditions[name].draw(given[name], STRIP) for name in required_conditions(model.conditions)]
    return png(stacked([*sources, spec.target.draw(sample(model, STRIP, request.seed, given), STRIP)]))
