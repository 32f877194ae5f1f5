"""`genlab doctor`: diagnose a run, or the log of another program."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genlab.core.errors import UsageError
from genlab.verbs.options import RUNS, File, RunName
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.diagnosis.doctor import Diagnosis


@verb
def doctor(
    target: RunName = "latest",
    *,
    map: Mapping[str, str] | Sequence[str] = (),  # noqa: A002 (its name for users)
    family: str | None = None,
    root: File = RUNS,
) -> "Diagnosis":
    """Find what is wrong with a run, why, and what to change. The exit code is 3 if there is a failure now.

    Args:
        target: A run, or a log of another program: .csv, .jsonl, TensorBoard events or text.
        map: Signal and column of a log, such as discriminator_loss=errD, for columns that genlab does not
            recognise.
        family: Family of the model in a log: gan, vae, autoencoder, denoiser, flow or diffusion; by default
            guessed from its columns.

    Returns:
        The findings with evidence and remedies, the resolved findings, and the rules that could not
        be checked.

    Raises:
        UsageError: there is no such run, file, signal or column.
        GenlabError: the log has no known signal.
    """
    mapping = map if isinstance(map, Mapping) else dict(_pair(each) for each in map)

    from genlab.runs.diagnose import diagnose_log, diagnose_run, is_log
    from genlab.training.run_folder import find

    name = os.fspath(target)
    if is_log(Path(name)):
        return diagnose_log(Path(name), mapping, family)
    if mapping or family:
        raise UsageError(f"--map and --family are for logs of other programs, and {name} is not one")
    return diagnose_run(find(name, Path(root)))


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not (ours and equals and theirs):
        raise UsageError(f'--map takes SIGNAL=COLUMN, such as discriminator_loss=errD, not "{text}"')
    return ours, theirs
