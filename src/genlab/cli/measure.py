"""Commands that evaluate models and images."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from genlab.cli.options import AS_TRAINED, RUNS, Checkpoint, Device, Root, Sampling

if TYPE_CHECKING:
    from genlab.applications.compare import Comparison
    from genlab.applications.evaluate import Measurement, Request
    from genlab.training.run_folder import RunFolder

Extractor = Annotated[
    str,
    Parameter(
        help="Feature extractor: efficientnet-lite0, inception (or inception:FILE) for FID, classifier for images "
        "unlike photographs, pixels for toys."
    ),
]
Samples = Annotated[
    int,
    Parameter(
        name=["--samples", "-n"], help="Number of samples, and the most real images that are compared with them."
    ),
]
Split = Annotated[Literal["held-out", "train"], Parameter(help="Split of the real images.")]
Resize = Annotated[
    Literal["antialiased", "legacy"],
    Parameter(help="How images are resized for the extractor; legacy is for comparison with older figures."),
]
Seed = Annotated[int, Parameter(help="Seed of the samples.")]
STRIP = 16


def evaluate(
    run: Annotated[str | None, Parameter(help="A run folder, the name of one in --root, or latest.")] = None,
    *,
    real: str | None = None,
    fake: str | None = None,
    size: int | None = None,
    extractor: Extractor = "efficientnet-lite0",
    samples: Samples = 10_000,
    split: Literal["held-out", "train", "all"] | None = None,
    resize: Resize = "antialiased",
    seed: Seed = 0,
    sampling: Sampling = AS_TRAINED,
    checkpoint: Checkpoint = None,
    again: bool = False,
    json: bool = False,
    device: Device = "auto",
    root: Root = RUNS,
) -> None:
    """Evaluate a run's model with every metric that fits it, or compare two sets of images.

    `genlab evaluate RUN`, or `genlab evaluate --real photos/ --fake generated/`.

    Parameters
    ----------
    real
        Real images: a folder, zip or .npz, or a name such as digits.
    fake
        Generated images, from any program: a folder, zip or .npz.
    size
        Side in pixels to which --real and --fake are resized first. By default the side of the generated images.
    split
        Split of the real images: by default held-out for a run, all for --real.
    again
        Measure again, even if the result is stored already.
    json
        Print all figures with their protocols as JSON.
    """
    import json as encoder

    from genlab.applications.evaluate import Request, evaluate_pictures, evaluate_run
    from genlab.core.distributed import torchrun_shard
    from genlab.core.errors import UsageError
    from genlab.training.run_folder import find

    if (real is None) != (fake is None):
        raise UsageError("--real and --fake are compared with each other: give both, or a run instead")
    request = Request(extractor, samples, split, resize, seed, checkpoint, sampling.given())
    if real is not None and fake is not None:
        if run is not None:
            raise UsageError(f"give either a run ({run}) or --real and --fake, not both")
        result = evaluate_pictures(real, fake, request, device, size=size)
    else:
        if size is not None:
            raise UsageError(
                f"--size {size} is for --real and --fake; a run keeps the size of its training. Leave it out"
            )
        result = evaluate_run(find(run or "latest", root), request, device, again=again)
    if torchrun_shard().rank == 0:
        print(encoder.dumps(result.values(), indent=1) if json else _text(result))


def compare(
    *runs: str,
    extractor: Extractor = "efficientnet-lite0",
    samples: Samples = 10_000,
    split: Split = "held-out",
    resize: Resize = "antialiased",
    seed: Seed = 0,
    sampling: Sampling = AS_TRAINED,
    checkpoint: Checkpoint = None,
    json: bool = False,
    csv: Path | None = None,
    html: Path | None = None,
    device: Device = "auto",
    root: Root = RUNS,
) -> None:
    """Evaluate several runs in the same way and rank them; differences that may be chance are marked.

    Sampling options apply to the runs whose models have them.

    Parameters
    ----------
    runs
        Run folders, or their names in --root.
    json
        Print all figures with their protocols as JSON.
    csv
        CSV file to write, with a line for each figure.
    html
        HTML page to write, with samples.
    """
    import json as encoder

    from genlab.applications.compare import as_csv, as_html
    from genlab.applications.compare import compare as rank
    from genlab.applications.evaluate import Request, evaluate_run, requests_for
    from genlab.core.distributed import torchrun_shard
    from genlab.core.errors import UsageError
    from genlab.core.files import replace
    from genlab.training.run_folder import find

    if len(runs) < 2:
        raise UsageError(
            f"a comparison needs two runs or more, not {len(runs)}. Give their folders or names, such as dcgan vae"
        )
    request = Request(extractor, samples, split, resize, seed, checkpoint, sampling.given())
    folders = [find(run, root) for run in runs]
    measured = list(zip(folders, requests_for(folders, request), strict=True))
    evaluations = [evaluate_run(*each, device) for each in measured]
    comparison = rank(evaluations)
    if torchrun_shard().rank != 0:
        return
    print(encoder.dumps(comparison.values(), indent=1) if json else _comparison_text(comparison))
    if csv:
        replace(csv, as_csv(comparison).encode())
    if html:
        strips = {e.subject: _strip(*each, device) for e, each in zip(evaluations, measured, strict=True)}
        ordered = {e.subject: strips[e.subject] for e in comparison.evaluations}
        replace(html, as_html(comparison, {name: png for name, png in ordered.items() if png}).encode())


def _comparison_text(comparison: "Comparison") -> str:
    """Return the table of a comparison and the remarks on it."""
    from genlab.applications.compare import as_table

    table = _aligned(list(zip(*as_table(comparison), strict=True)))
    return "\n".join([table, "", *comparison.remarks])


def _strip(folder: "RunFolder", request: "Request", device: str) -> bytes:
    """Return a PNG with a row of samples, or no bytes if the model cannot sample without a condition."""
    from genlab.applications.sample import sample
    from genlab.core.condition import required_conditions
    from genlab.core.contract import Samples
    from genlab.core.pictures import png
    from genlab.runs.data import spec_of
    from genlab.runs.load import load_model

    model = load_model(folder, request.checkpoint, device, request.sampling)
    if not isinstance(model, Samples) or required_conditions(model.conditions):
        return b""
    return png(spec_of(folder).target.draw(sample(model, STRIP, request.seed), STRIP))


def _text(result: "Measurement") -> str:
    """Return a table of the figures; a letter refers to the parts of a protocol that not all figures share."""
    from genlab.applications.compare import written

    figures = result.figures
    common = dict(figures[0].protocol)
    for figure in figures:
        common = {n: v for n, v in common.items() if figure.protocol.get(n) == v}
    letters: dict[str, str] = {}
    lines = []
    for f in figures:
        own = ", ".join(f"{n} {v}" for n, v in f.protocol.items() if n not in common and v != "")
        letter = letters.setdefault(own, chr(ord("a") + len(letters))) if own else ""
        arrow = {"lower": "↓", "higher": "↑", "none": " "}[f.better]
        lines.append((f"{f.name} {arrow}", written(f), letter, f.note))
    shared = ", ".join(f"{n} {v}" for n, v in common.items() if v != "")
    stamps = "".join(f"{letter}  {own}\n" for own, letter in letters.items())
    took = f"in {result.seconds:.0f} s"
    if result.stored:
        took = f"measured before, {took}; --again measures again"
    return f"{result.subject}\n\n{_aligned(lines)}\n\n{stamps}all: {shared}\n{took}"


def _aligned(rows: "Sequence[tuple[str, ...]]") -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
