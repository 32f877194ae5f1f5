"""`genlab doctor`: diagnose a run, or the log of another program."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from genlab.cli.options import RUNS, Root
from genlab.core.errors import RunFailureError, UsageError

if TYPE_CHECKING:
    from genlab.diagnosis.doctor import Diagnosis


def doctor(
    target: Annotated[
        str, Parameter(help="A run, or a log of another program: .csv, .jsonl, TensorBoard events or text.")
    ] = "latest",
    *,
    map: Annotated[list[str], Parameter(negative_iterable=())] | None = None,  # noqa: A002 (its name for users)
    family: Annotated[
        str | None,
        Parameter(
            help="Family of the model in a log: gan, vae, autoencoder, flow or diffusion; by default guessed from "
            "its columns."
        ),
    ] = None,
    json: bool = False,
    root: Root = RUNS,
) -> None:
    """Find what is wrong with a run, why, and what to change. The exit code is 3 if it finds a failure.

    Parameters
    ----------
    map
        Signal and column of a log, such as discriminator_loss=errD, for columns that genlab does not recognise.
    json
        Print all findings as JSON.
    """
    import json as encoder

    from genlab.runs.diagnose import doctor as examined

    diagnosis = examined(target, mapping=_mapping(map or []), family=family, root=root)
    print(encoder.dumps(diagnosis.values(), indent=1) if json else _text(diagnosis))
    if not diagnosis.healthy:
        raise RunFailureError("")  # everything is printed already


def _mapping(pairs: list[str]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise UsageError(f'--map takes SIGNAL=COLUMN, such as discriminator_loss=errD, not "{pair}"')
        mapping[ours] = theirs
    return mapping


def _text(diagnosis: "Diagnosis") -> str:
    parts = ["\n".join(diagnosis.notes)] if diagnosis.notes else []
    if not diagnosis.findings:
        parts.append("Nothing is wrong, according to the signals of this run.")
    for finding in diagnosis.findings:
        lines = [f"{finding.severity.upper()}  {finding.symptom}, since step {finding.since:,}."]
        lines += [f"  shown by   {evidence}" for evidence in finding.evidence]
        lines += [f"  why        {finding.why}"]
        lines += [f"  try        {remedy}: {remedy.why}" for remedy in finding.remedies]
        lines += [f"  read       {finding.references}"] if finding.references else []
        parts.append("\n".join(lines))
    if diagnosis.unchecked:
        rules = "\n".join(f"  {rule}: {', '.join(needs)}" for rule, needs in diagnosis.unchecked.items())
        parts.append(f"Not checked, because these signals are missing:\n{rules}")
    return "\n\n".join(parts)
