"""The applications in `import genlab`, named as on the command line."""

import os
from pathlib import Path
from typing import Any

from genlab.applications.compare import Comparison
from genlab.applications.compare import compare as rank
from genlab.applications.evaluate import Measurement, Request, evaluate_pictures, evaluate_run, requests_for
from genlab.core.errors import UsageError
from genlab.training.run_folder import find

__all__ = ["compare", "evaluate"]


def evaluate(
    run: str | os.PathLike[str] | None = None,
    *,
    real: str | os.PathLike[str] | None = None,
    fake: str | os.PathLike[str] | None = None,
    size: int | None = None,
    again: bool = False,
    device: str = "auto",
    root: str | Path = "runs",
    **options: Any,  # noqa: ANN401 (checked by the request)
) -> Measurement:
    """Evaluate the model of a run in all that it can do, or compare the pictures `fake` with the pictures `real`.

    Args:
        run: a run folder, a name in `root`, or "latest".
        real: a source of pictures, with `fake`.
        fake: a source of pictures, with `real`; all its pictures are used.
        size: side of the pictures of `real` and `fake`; by default that of `fake`.
        again: repeat an evaluation whose result is stored already.
        device: "cpu", "cuda", "mps" or "auto".
        root: the folder in which names of runs are looked up.
        **options: `extractor`, `samples`, `split`, `resize`, `seed`, `checkpoint`, and options of sampling, as in
            `genlab evaluate --help`.

    Raises:
        UsageError: no such run, extractor or option.
        GenlabError: too few images, or weights that are not available.
    """
    if (real is None) != (fake is None) or (run is None) == (real is None):
        raise UsageError("give either a run, or both `real` and `fake` pictures")
    if real is not None and fake is not None:
        return evaluate_pictures(os.fspath(real), os.fspath(fake), Request.of(options), device, size=size)
    assert run is not None
    return evaluate_run(find(Path(run), Path(root)), Request.of(options), device, again=again)


def compare(
    *runs: str | os.PathLike[str],
    device: str = "auto",
    root: str | Path = "runs",
    **options: Any,  # noqa: ANN401
) -> Comparison:
    """Evaluate several runs by the same protocol and rank them.

    `options` are those of `evaluate`; an option of sampling applies to the runs whose models have it.

    Raises:
        UsageError: fewer than two runs, an option that applies to none of them, or an error of `evaluate`.
    """
    if len(runs) < 2:
        raise UsageError(f"a comparison needs two runs or more, not {len(runs)}")
    folders = [find(Path(run), Path(root)) for run in runs]
    requests = requests_for(folders, Request.of(options))
    return rank([evaluate_run(*each, device) for each in zip(folders, requests, strict=True)])
