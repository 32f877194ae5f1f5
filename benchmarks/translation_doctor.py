"""Tests the doctor on translations that fail for a known reason and on healthy ones, and on checkerboards.

    python benchmarks/translation_doctor.py --runs FOLDER --cifar10 ZIP --horses ZIP --faces ZIP [--only KIND …]
        [--write docs/translation-doctor.md]

As `benchmarks/doctor.py`: each run is trained once into FOLDER, then its history is replayed to the doctor line
by line; a finding counts from the step at which it is made. A failing run is found if the doctor makes a finding
that is right for its cause; a healthy run is flagged if it makes any. All runs are tiny: 16 pixels, for
checkerboards 32, a width of 8 and a few hundred steps. The runs of even seeds were used for tuning, and both
halves have the same causes on the same data, so that the other half is no test on other data. After the first
trial, in which 30 of 34 failing runs were found and 4 of 18 healthy ones flagged, two thresholds were changed:
translations that a classifier recognises by chance only ignore their domain, whatever the label changes; and a
checkerboard pattern counts from 3 grey levels on, not 2, which flagged both runs of sngan. Learning rates that
are too high, and a discriminator without updates, now count as right findings where they are what was brought
about.
"""

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from doctor import DONE, detection, examined, train
from failures import HEALTHY, Case
from genlab.bench import page
from genlab.core.files import replace
from translation_failures import KINDS, NEEDED, cases, options_of

ZIPS = {
    "cifar10": "CIFAR-10 in class folders",
    "horses": "trainA, trainB, testA and testB",
    "faces": "pictures of 64 pixels",
}
HALVES = (("unseen", "On runs not used for tuning"), ("tuning", "On the runs used for tuning"))


def chosen(only: Sequence[str], zips: Mapping[str, str]) -> Iterator[Case]:
    """Yield the runs whose pictures are there, of some kinds or of all."""
    for case in cases():
        needed = NEEDED.get(case.data)
        if (not only or case.kind in only) and (needed is None or needed in zips):
            yield case


def text_of(done: Sequence[Case], runs: Path) -> Iterator[str]:
    """Yield the sections of the page, of finished runs, and what each run of a cause was."""
    outcomes = [examined(case, runs, KINDS) for case in done]
    for half, title in HALVES:
        mine = [outcome for outcome in outcomes if outcome.case.half == half]
        if mine:
            yield f"## {title}\n\n{detection(mine, KINDS)}"
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
    return ", ".join(f"{name} {getattr(value, '__name__', value)}" for name, value in case.options.items())


def main(arguments: Sequence[str]) -> None:
    """Train the missing runs, examine all finished ones, and write the page."""
    what = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python benchmarks/translation_doctor.py", description=what)
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    for name, holds in ZIPS.items():
        parser.add_argument(f"--{name}", help=f"zip of {holds}; runs that need it are left out without it")
    parser.add_argument("--only", nargs="*", default=[], choices=(HEALTHY, *KINDS), help="only these kinds")
    parser.add_argument("--judge", action="store_true", help="only examine finished runs, train none")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the page to a file")
    options = parser.parse_args(arguments)
    zips = {name: path for name in ZIPS if (path := getattr(options, name))}
    wanted, about = list(chosen(options.only, zips)), page.machine()
    for case in () if options.judge else wanted:
        train(case, options.runs, partial(options_of, zips=zips))
    done = [case for case in wanted if (options.runs / case.name / DONE).exists()]
    method = (__doc__ or "").partition("[--write docs/translation-doctor.md]")[2].strip()
    shown = shlex.join(Path(word).name if "/" in word else word for word in arguments)
    facts = "".join(f"| {name} | {value} |\n" for name, value in about.items())
    head = f"```console\npython benchmarks/translation_doctor.py {shown}\n```\n\n| | |\n|---|---|\n{facts}"
    top = f"# The doctor, tested on translations\n\n{method} Finished: {len(done)} of {len(wanted)}.\n"
    text = "\n".join([top, head, *text_of(done, options.runs)])
    print(text)
    if options.write:
        replace(options.write, text.encode())


if __name__ == "__main__":
    main(sys.argv[1:])
