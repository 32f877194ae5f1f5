"""Measures the spine of genlab: start-up, data, the loop, and what happens between steps.

    python benchmarks/spine.py [--only NAME] [--repeats N] [--json] [--write docs/benchmarks.md]

Every figure is a median with its range over several repeats; alternatives are measured in turns.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import events
import loading
import loop
import measuring
import preparation
import startup
from genlab.bench import page

TITLE = """# Benchmarks

What genlab costs besides the mathematics: starting, preparing and feeding data, the loop around a step, and what
happens between steps. This page is written by the command below; `make bench` writes it anew. Alternatives are
measured in turns within one run, and a ratio is that of measurements of the same round. Each figure is the median
of {repeats} repeats, with the least and the greatest beside it; what several repeats cannot say (a size, a count)
stands alone.
"""

SECTIONS: Mapping[str, Callable[[int], page.Section]] = {
    "start-up": startup.measure,
    "preparation": preparation.measure,
    "loader": loading.measure,
    "loop": loop.measure,
    "events": events.measure,
    "measuring": measuring.measure,
}


def main(arguments: Sequence[str]) -> None:
    """Measure what `arguments` ask for, print it, and write the page if it is wanted."""
    parser = argparse.ArgumentParser(prog="python benchmarks/spine.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=SECTIONS, help="measure one part")
    parser.add_argument("--repeats", type=int, default=7, help="measurements of each figure (default 7)")
    parser.add_argument("--json", action="store_true", help="print values instead of the page")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page to a file as well")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")
    about = page.machine()
    sections = {}
    for name in [options.only] if options.only else SECTIONS:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        sections[name] = SECTIONS[name](options.repeats)
    about["busy after the last measurement"] = page.busy()
    command = shlex.join(["python", "benchmarks/spine.py", *arguments])
    text = page.page(TITLE.format(repeats=options.repeats), command, about, list(sections.values()))
    values = {"command": command, "machine": about, **{name: asdict(part) for name, part in sections.items()}}
    print(json.dumps(values, indent=1, ensure_ascii=False) if options.json else text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
