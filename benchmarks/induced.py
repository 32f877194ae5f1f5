"""Runs of one task that fail for a known reason, and healthy ones: trains them, and examines what is found.

Each cause is a run with each of two seeds. Thresholds are tuned on the even seeds and results reported on the odd
ones.
"""

import argparse
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doctor import DONE, detection, examined, train
from failures import HEALTHY, Case, Kind
from genlab.bench import page
from genlab.core.files import replace

HALVES = (("unseen", "On runs not used for tuning"), ("tuning", "On the runs used for tuning"))


@dataclass(frozen=True)
class Cause:
    """What makes a run fail: its options, or pictures that are corrupted."""

    preset: str
    data: str
    options: Mapping[str, Any] = field(default_factory=dict)
    corruption: str = ""


@dataclass(frozen=True)
class Trial:
    """The runs of one task.

    Args:
        causes: of each kind of failure.
        expected: the findings that are right for it.
        healthy: runs without a fault.
        options_of: returns all options of a case: (case, zips, place); `place` is a folder for its files.
        needed: the name of the archive that data come from; data without one need none.
        zips: what each archive holds.
    """

    causes: Mapping[str, Sequence[Cause]]
    expected: Mapping[str, Sequence[str]]
    healthy: Sequence[Cause]
    options_of: Callable[[Case, Mapping[str, str], Path], Mapping[str, Any]]
    needed: Mapping[str, str]
    zips: Mapping[str, str]

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """The kinds of failures."""
        return {
            kind: Kind(
                self.expected[kind], [cause.preset for cause in causes], [cause.options for cause in causes]
            )
            for kind, causes in self.causes.items()
        }

    def cases(self) -> Iterator[Case]:
        """Yield all runs, those for tuning first: each cause with two seeds."""
        for half in range(2):
            for kind, causes in ((HEALTHY, self.healthy), *self.causes.items()):
                for place, cause in enumerate(causes):
                    seed = 2 * place + half
                    yield Case(kind, cause.preset, cause.data, seed, cause.options, cause.corruption)

    def chosen(self, options: argparse.Namespace, zips: Mapping[str, str]) -> Iterator[Case]:
        """Yield the runs whose pictures are there, of some kinds and one half, or of all."""
        for case in self.cases():
            needed = self.needed.get(case.data)
            wanted = (not options.only or case.kind in options.only) and options.half in (None, case.half)
            if wanted and (needed is None or needed in zips):
                yield case


def text_of(done: Sequence[Case], runs: Path, kinds: Mapping[str, Kind]) -> Iterator[str]:
    """Yield the sections of the page, of finished runs, and what each run of a cause was."""
    outcomes = [examined(case, runs, kinds) for case in done]
    for half, title in HALVES:
        mine = [outcome for outcome in outcomes if outcome.case.half == half]
        if mine:
            yield f"## {title}\n\n{detection(mine, kinds)}"
    rows = "".join(
        f"| {case.kind} | {case.preset} | {case.data} {case.corruption} | {_flags(case)} "
        f"| {', '.join(f'{rule} {share:.0%}' for rule, share in outcome.found.items())} |\n"
        for case, outcome in zip(done, outcomes, strict=True)
    )
    yield (
        "## All runs\n\nEach finding with the share of the run after which it was made.\n\n"
        f"| cause | preset | pictures | options | findings |\n|---|---|---|---|---|\n{rows}"
    )


def _flags(case: Case) -> str:
    return ", ".join(f"{name} {_shown(value)}" for name, value in case.options.items())


def _shown(value: object) -> str:
    words = value if isinstance(value, tuple) else (getattr(value, "__name__", value),)
    return " ".join(map(str, words))


def main(arguments: Sequence[str], task: str, title: str, about_it: str, trial: Trial) -> None:
    """Train the missing runs, examine all finished ones, and write the page.

    Args:
        arguments: of the command line.
        task: the program is TASK_doctor.py, the page docs/TASK-doctor.md.
        title: of the page.
        about_it: the docstring of the program; what follows the command is the introduction of the page.
        trial: the runs.
    """
    program = f"python benchmarks/{task}_doctor.py"
    parser = argparse.ArgumentParser(prog=program, description=about_it.partition("\n")[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    for name, holds in trial.zips.items():
        parser.add_argument(f"--{name}", help=f"zip of {holds}; runs that need it are left out without it")
    parser.add_argument("--only", nargs="*", default=[], choices=(HEALTHY, *trial.kinds), help="only these kinds")
    parser.add_argument("--half", choices=("tuning", "unseen"), help="only these runs; by default both")
    parser.add_argument("--judge", action="store_true", help="only examine finished runs, train none")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the page to a file")
    options = parser.parse_args(arguments)
    zips = {name: path for name in trial.zips if (path := getattr(options, name))}
    wanted, about = list(trial.chosen(options, zips)), page.machine()
    for case in () if options.judge else wanted:
        train(case, options.runs, lambda case, place: trial.options_of(case, zips, place))
    done = [case for case in wanted if (options.runs / case.name / DONE).exists()]
    method = about_it.partition(f"[--write docs/{task}-doctor.md]")[2].strip()
    shown = shlex.join(Path(word).name if "/" in word else word for word in arguments)
    facts = "".join(f"| {name} | {value} |\n" for name, value in about.items())
    head = f"```console\n{program} {shown}\n```\n\n| | |\n|---|---|\n{facts}"
    top = f"# {title}\n\n{method} Finished: {len(done)} of {len(wanted)}.\n"
    text = "\n".join([top, head, *text_of(done, options.runs, trial.kinds)])
    print(text)
    if options.write:
        replace(options.write, text.encode())
