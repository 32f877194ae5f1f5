"""`genlab doctor`: what is wrong with a run, or with the log of another program."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from genlab.cli.options import RUNS, Root
from genlab.core.errors import RunFailureError, UsageError

if TYPE_CHECKING:
    from genlab.diagnosis.doctor import Diagnosis


def doctor(
    target: Annotated[str, Parameter(help="A run, or a log: .csv, .jsonl, TensorBoard events, text.")] = "latest",
    *,
    map: Annotated[list[str], Parameter(negative_iterable=())] | None = None,  # noqa: A002 (its name for users)
    family: Annotated[str | None, Parameter(help="Of a log: gan, vae, autoencoder, flow or diffusion.")] = None,
    json: bool = False,
    root: Root = RUNS,
) -> None:
    """Say what is wrong with a run, why, and what to change. Exit code 3 where something is a failure.

    Parameters
    ----------
    map
        Which column of a log is which signal, such as discriminator_loss=errD, where its name does not say so.
    json
        Print everything that was found.
    """
    import json as encoder

    from genlab.runs.diagnose import doctor as examined

    diagnosis = examined(target, mapping=_mapping(map or []), family=family, root=root)
    print(encoder.dumps(diagnosis.values(), indent=1) if json else _text(diagnosis))
    if not diagnosis.healthy:
        raise RunFailureError("")  # all that is to be said was said


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
        parts.append("Nothing is wrong, as far as its signals say.")
    for finding in diagnosis.findings:
        lines = [f"{finding.severity.upper()}  {finding.symptom}, since step {finding.since:,}."]
        lines += [f"  shown by   {evidence}" for evidence in finding.evidence]
        lines += [f"  why        {finding.why}"]
        lines += [f"  try        {remedy}: {remedy.why}" for remedy in finding.remedies]
        lines += [f"  read       {finding.references}"] if finding.references else []
        parts.append("\n".join(lines))
    if diagnosis.unchecked:
        rules = "\n".join(f"  {rule}: {', '.join(needs)}" for rule, needs in diagnosis.unchecked.items())
        parts.append(f"Not checked, for want of a signal:\n{rules}")
    return "\n\n".join(parts)
