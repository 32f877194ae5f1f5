"""Tests the doctor on runs that fail for a known reason and on healthy runs, and its remedies on the failing ones.

    python benchmarks/doctor.py --runs FOLDER [--cifar10 ZIP] [--only KIND …] [--presets PRESET …] [--cures]
        [--write docs/doctor.md]

Each run is trained once into FOLDER, so that the benchmark can be stopped and continued; then its history is
replayed to the doctor line by line. A finding counts from the step at which it is made. A failing run is found if
the doctor makes one of the findings that are right for its cause; a healthy run is flagged if it makes any
finding. With `--cures` each failing run is trained again with `--on-failure treat`: it is cured if it ends within
20 % of the quality of the healthy runs of that preset on those pictures, with the same budget. Quality is the
median of the last three evaluations, for healthy runs averaged over two seeds. Runs on corrupted pictures are also
measured on corrupted pictures, so that they may end well without treatment.
"""

import argparse
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

import foreign
import genlab
from failures import HEALTHY, KINDS, Case, Kind, cases, options_of
from genlab.bench import page
from genlab.core.errors import GenlabError
from genlab.diagnosis.doctor import examine
from genlab.diagnosis.history import History
from genlab.runs.diagnose import records
from genlab.training.criterion import recorded_criterion
from genlab.training.interruption import Interrupted
from genlab.training.run_folder import RunFolder

RHYTHM = {"evaluate_every": 100, "preview_every": 10**6, "checkpoint_every": 100, "extractor": "pixels"}
CLOSE = 0.2  # relative difference to the quality of the healthy runs
TREATED = "treated"
OptionsFor = Callable[..., Mapping[str, Any]]  # (case, place=) -> options
DONE = "done"  # a file in the folder of a finished run
HALVES = (
    ("unseen", "On runs not used for tuning"),
    ("later", "On healthy runs of other seeds"),
    ("tuning", "On the runs used for tuning"),
)
NOTES = {  # on a half, if it has the preset
    ("unseen", "glow"): (
        "In the first trial, none of the four flows with a too low learning rate was found: the update of the "
        "first step, in which activation normalisation is initialised from the batch, hid the small updates that "
        "followed. The rule was corrected.\n\n"
    ),
    ("unseen", "flow-matching"): (
        "In the first trial, flow-matching with a learning rate of 0.03 was not found: its loss was compared with "
        "that of predicting 0, which scaling the noisy picture already beats. Now it is compared with the best "
        "prediction from each pixel alone, and all diffusion models were trained again.\n\n"
    ),
    ("later", "feature-matching-gan"): (
        "In the first trial of the runs above, 90 of the 92 were found and 2 of the 33 healthy ones flagged: the "
        "generator's loss of a feature-matching-gan was taken for a loss of scores, and three fluctuating "
        "evaluations of a dcgan-upsample for a lack of progress. Both rules were corrected, and the healthy runs "
        "trained again.\n\n"
    ),
}


@dataclass(frozen=True)
class Outcome:
    """The doctor's findings on a run, and its quality."""

    case: Case
    found: Mapping[str, float]  # finding -> fraction of the run after which it was made
    quality: float | None  # at the end; lower is better
    expected: Sequence[str] = ()  # the findings that are right

    @property
    def right(self) -> float | None:
        """The fraction of the run after which the first right finding was made, if any."""
        shares = [share for rule, share in self.found.items() if rule in self.expected]
        return min(shares, default=None)


def train(case: Case, runs: Path, options_for: OptionsFor, *, treated: bool = False) -> None:
    """Train a case, with or without treatment, into its folder, unless it is finished already."""
    folder = runs / _name(case, treated=treated)
    if (folder / DONE).exists():
        return
    torch.set_num_threads(1)
    shutil.rmtree(folder, ignore_errors=True)
    runs.joinpath("data").mkdir(parents=True, exist_ok=True)
    options = options_for(case, place=runs / "data")
    policy = "treat" if treated else "warn"
    try:
        genlab.train(case.preset, quiet=True, root=runs, name=folder.name, on_failure=policy, **RHYTHM, **options)
    except Interrupted:
        raise
    except GenlabError as error:
        print(f"{folder.name}: {error}", file=sys.stderr)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    (folder / DONE).touch()
    print(folder.name, file=sys.stderr, flush=True)


def examined(case: Case, runs: Path, kinds: Mapping[str, Kind] = KINDS) -> Outcome:
    """Replay a run to the doctor."""
    folder = RunFolder(runs / _name(case))
    lines, context = records(folder)
    history = History(lines)
    found: dict[str, float] = {}
    steps = sorted({int(line["step"]) for line in lines})
    for step in steps:
        for finding in examine(history.until(step), context).findings:
            found.setdefault(finding.rule, step / (context.steps or step))
    expected = kinds[case.kind].expected if case.kind in kinds else ()
    return Outcome(case, found, quality(folder), expected)


def quality(folder: RunFolder) -> float | None:
    """Return the median criterion of the last three evaluations; None if the run stopped with a fault."""
    events = folder.events()
    if not events or any(event["event"] == "fault" for event in events[-3:]):
        return None
    values = [recorded_criterion(event)[1] for event in events if event["event"] == "evaluation"]
    return median(values[-3:]) if values else None


def _name(case: Case, *, treated: bool = False) -> str:
    return f"{case.name}-{TREATED}" if treated else case.name


def main(arguments: Sequence[str]) -> None:
    """Train the missing runs, examine all finished ones, and write the page."""
    parser = argparse.ArgumentParser(prog="python benchmarks/doctor.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--cifar10", default="", help="zip of CIFAR-10 in class folders; optional")
    parser.add_argument("--only", nargs="*", help=f"kinds: {HEALTHY}, {', '.join(KINDS)}")
    parser.add_argument("--presets", nargs="*", help="only these; by default all")
    parser.add_argument("--half", choices=("tuning", "unseen", "later"), help="only these runs; by default all")
    parser.add_argument("--cures", action="store_true", help="also treat the failing runs")
    parser.add_argument("--logs", action="store_true", help="also train textbook loops and diagnose their logs")
    parser.add_argument("--judge", action="store_true", help="only examine finished runs, train none")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the page to a file")
    options = parser.parse_args(arguments)
    about = page.machine()
    chosen = [
        case
        for case in cases()
        if (not options.only or case.kind in options.only)
        and (not options.presets or case.preset in options.presets)
        and options.half in (None, case.half)
        and (options.cifar10 or case.data != "cifar10")
    ]
    if not options.judge:
        jobs = [(case, False) for case in chosen]
        if options.cures:
            jobs += [(case, True) for case in chosen if case.kind != HEALTHY]
        with ProcessPoolExecutor(options.workers) as pool:
            options_for = partial(options_of, cifar10=options.cifar10)
            for job in [
                pool.submit(train, case, options.runs, options_for, treated=treated) for case, treated in jobs
            ]:
                job.result()
    there = [case for case in chosen if (options.runs / case.name / DONE).exists()]
    outcomes = [examined(case, options.runs) for case in there]
    command = shlex.join(["python", "benchmarks/doctor.py", *_shown(arguments, options)])
    text = _page(outcomes, options.runs, about, command, options.presets or ())
    if options.logs:
        with tempfile.TemporaryDirectory() as place:
            text += f"\n## Logs of other programs\n\n{foreign.section(Path(place))}"
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


def _shown(arguments: Sequence[str], options: argparse.Namespace) -> list[str]:
    """Return the arguments with shortened paths."""
    short = {str(options.runs): options.runs.name, options.cifar10: Path(options.cifar10).name}
    return [short.get(word, word) for word in arguments]


def _page(
    outcomes: Sequence[Outcome], runs: Path, about: Mapping[str, str], command: str, presets: Sequence[str]
) -> str:
    facts = "".join(f"| {name} | {value} |\n" for name, value in about.items())
    on = f" on {', '.join(presets)}" if presets else ""
    parts = [
        f"# The doctor, tested{on}\n\n{(__doc__ or '').split(chr(10) * 2, 2)[2]}",
        f"```console\n{command}\n```\n\n| | |\n|---|---|\n{facts}",
    ]
    for half, title in HALVES:
        mine = [outcome for outcome in outcomes if outcome.case.half == half]
        there = {(half, outcome.case.preset) for outcome in mine}
        notes = "".join(note for place, note in NOTES.items() if place in there)
        if mine:
            parts.append(f"## {title}\n\n{notes}{detection(mine)}{_missed(mine, runs)}")
    cures = _cures([outcome for outcome in outcomes if outcome.case.kind != HEALTHY], runs)
    if cures:
        parts.append(f"## Cures\n\n{cures}")
    return "\n".join(parts)


def detection(outcomes: Sequence[Outcome], kinds: Mapping[str, Kind] = KINDS) -> str:
    """Return what was found and flagged, as a table of the kinds of failures."""
    failing = [outcome for outcome in outcomes if outcome.case.kind != HEALTHY]
    healthy = [outcome for outcome in outcomes if outcome.case.kind == HEALTHY]
    flagged = [outcome for outcome in healthy if outcome.found]
    caught = [outcome.right for outcome in failing if outcome.right is not None]
    false = f"{len(flagged)} of {len(healthy)} healthy runs flagged ({_share(len(flagged), len(healthy))})."
    if not failing:
        return f"{false}\n{_flagged(flagged)}"
    lines = [
        f"{len(caught)} of {len(failing)} failing runs found ({_share(len(caught), len(failing))}), half of them "
        f"within the first {median(caught or [1]):.0%} of the run; {false}\n\n",
        "| cause | runs | found | after, median | right findings | other findings |\n",
        "|---|--:|--:|--:|---|---|\n",
    ]
    for kind, about in kinds.items():
        mine = [outcome for outcome in failing if outcome.case.kind == kind]
        if mine:
            shares = [outcome.right for outcome in mine if outcome.right is not None]
            after = f"{median(shares):.0%}" if shares else ""
            lines.append(
                f"| {kind} | {len(mine)} | {len(shares)} | {after} | {_counted(mine, about.expected)} "
                f"| {_counted(mine, about.expected, others=True)} |\n"
            )
    lines.append(f"| none | {len(healthy)} | | | | {_counted(healthy, (), others=True)} |\n")
    lines.append(_flagged(flagged))
    return "".join(lines)


def _missed(outcomes: Sequence[Outcome], runs: Path) -> str:
    """Return a line about each failing run that was not found."""
    lines = []
    for outcome in outcomes:
        if outcome.right is None and outcome.case.kind != HEALTHY:
            found, case = ", ".join(outcome.found) or "nothing", outcome.case
            ends = [f"{value:.3g}" if value else "not at all" for value in (outcome.quality, _healthy(case, runs))]
            lines.append(
                f"\nMissed: {case.kind}, {case.preset} on {case.data}, {dict(case.options)}: {found} found. "
                f"It ended at {ends[0]}, the healthy runs at {ends[1]}.\n"
            )
    return "".join(lines)


def _flagged(outcomes: Iterable[Outcome]) -> str:
    lines = []
    for outcome in outcomes:
        found = ", ".join(f"{rule} at {share:.0%}" for rule, share in outcome.found.items())
        lines.append(f"\nFlagged though healthy: {outcome.case.preset} on {outcome.case.data}: {found}.\n")
    return "".join(lines)


def _healthy(case: Case, runs: Path) -> float | None:
    """Return the mean quality of the healthy runs of a case's preset on its pictures."""
    well = [runs / c.name for c in cases() if (c.kind, c.preset, c.data) == (HEALTHY, case.preset, case.data)]
    found = [quality(RunFolder(folder)) for folder in well if (folder / DONE).exists()]
    return mean(value for value in found if value is not None) if any(found) else None


def _counted(outcomes: Iterable[Outcome], names: Sequence[str], *, others: bool = False) -> str:
    counts = Counter(rule for outcome in outcomes for rule in outcome.found if (rule in names) != others)
    return ", ".join(f"{rule} {count}" for rule, count in counts.most_common())


def _cures(outcomes: Sequence[Outcome], runs: Path) -> str:
    kinds = {kind: Counter[str]() for kind in KINDS}
    remedies: dict[tuple[str, str], Counter[str]] = {}
    for outcome in outcomes:
        case = outcome.case
        treated, reference = runs / _name(case, treated=True), _healthy(case, runs)
        if not (treated / DONE).exists() or reference is None:
            continue
        folder = RunFolder(treated)
        tried, ends_well = folder.events("remedy"), _close(quality(folder), reference)
        well_without = _close(outcome.quality, reference)
        kinds[case.kind].update(
            {"runs": 1, "treated": int(bool(tried)), "well": int(ends_well), "well without": int(well_without)}
        )
        for place, event in enumerate(tried):
            changes = ", ".join(
                f"`--{name.replace('_', '-')} {value}`" for name, value in event["changes"].items()
            )
            worked = ends_well and place == len(tried) - 1
            remedies.setdefault((event["rule"], changes), Counter()).update(tried=1, worked=int(worked))
    rows = [(kind, counts) for kind, counts in kinds.items() if counts["runs"]]
    if not rows:
        return ""
    by_options, by_pictures = (
        sum((counts for kind, counts in rows if bool(KINDS[kind].corruption) == corrupted), Counter[str]())
        for corrupted in (False, True)
    )
    totals = [
        ("**by options**", by_options),
        ("**by the pictures**, which no option corrects", by_pictures),
        ("**all**", by_options + by_pictures),
    ]
    return (
        "| cause | runs | treated | ends well untreated | ends well with treatment |\n"
        "|---|--:|--:|--:|--:|\n"
        + "".join(
            f"| {kind} | {c['runs']} | {c['treated']} | {_share(c['well without'], c['runs'])} "
            f"| {_share(c['well'], c['runs'])} |\n"
            for kind, c in [*rows, *totals]
        )
        + "\nHow often each remedy was tried for each finding, and how often the run then ended well without "
        "another one:\n\n| finding | remedy | tried | worked |\n|---|---|--:|--:|\n"
        + "".join(
            f"| `{rule}` | {changes} | {c['tried']} | {c['worked']} |\n"
            for (rule, changes), c in sorted(remedies.items(), key=lambda item: (item[0][0], -item[1]["tried"]))
        )
    )


def _close(quality: float | None, reference: float | None) -> bool:
    """Whether a quality is at most 20 % worse than the reference; lower is better."""
    return quality is not None and reference is not None and quality <= reference + CLOSE * abs(reference)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "–"


if __name__ == "__main__":
    main(sys.argv[1:])
