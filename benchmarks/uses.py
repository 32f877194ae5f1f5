"""Measures what trained models are for, each use beside its honest baseline.

    apt install dataset-fashion-mnist
    python benchmarks/uses.py --runs FOLDER --results FILE [--only TASK …] [--minutes-scale 1]
        [--write docs/uses.md]

Each task trains what it needs for a fixed processor time, for which a short run first measures how many steps fit,
and measures on pictures or rows that were held out. Aims are those that were set before the measurement; a missed
one is shown as missed. Runs are kept in folders and results are appended to a file, so that the benchmark can be
stopped and continued.
"""

import argparse
import importlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from budget import Line, about, lines, work_off
from genlab.bench import page
from genlab.bench.page import Section
from genlab.core.files import replace

# Minutes of one core: of all trainings of a task; of each for tables and features. The module of a task is
# uses_TASK.py, with `measure(runs, minutes)`, which returns plain values, and `section(line)`. Pictures that
# `measure` writes into `runs` are copied to the folder of the page, where the section finds them as uses/NAME.png.
TASKS: Mapping[str, float] = {
    "anomalies": 60,
    "tables": 1,
    "compression": 30,
    "denoising": 40,
    "features": 4,
    "augmentation": 40,
    "projection": 20,
}


def run(task: str, runs: Path, minutes: float) -> Line:
    """Measure a task; return a line of results."""
    folder = runs / task
    folder.mkdir(parents=True, exist_ok=True)
    return {"task": task, "minutes": minutes, **_module(task).measure(folder, minutes)}


def overview(sections: Sequence[Section]) -> str:
    """Return a table of how many aims each section meets."""
    rows = []
    for section in sections:
        aims = [row for row in section.rows if row.least is not None or row.most is not None]
        missed = [row.what for row in aims if not row.met]
        rows.append(f"| {section.title} | {len(aims) - len(missed)} of {len(aims)} | {', '.join(missed)} |\n")
    return f"| use | aims that are met | missed |\n|---|--:|---|\n{''.join(rows)}"


def _module(task: str) -> Any:  # noqa: ANN401 (a module)
    return importlib.import_module(f"uses_{task}")


def _copy_pictures(tasks: Sequence[str], runs: Path, folder: Path) -> None:
    for picture in (picture for task in tasks for picture in sorted((runs / task).glob("*.png"))):
        folder.mkdir(exist_ok=True)
        replace(folder / picture.name, picture.read_bytes())


def main(arguments: Sequence[str]) -> None:
    """Measure the tasks that are not in the results yet, and write the page."""
    what = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python benchmarks/uses.py", description=what)
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--results", type=Path, required=True, help="file of results, one line each")
    parser.add_argument("--only", nargs="*", choices=TASKS, default=list(TASKS), help="only these tasks")
    parser.add_argument("--minutes-scale", type=float, default=1, help="factor of all training times")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the page to a file")
    options = parser.parse_args(arguments)
    done = {line["task"] for line in lines(options.results)}
    jobs = [(n, options.runs, options.minutes_scale * TASKS[n]) for n in options.only if n not in done]
    results = {line["task"]: line for line in work_off(run, jobs, options.results, options.workers)}
    found = [results[task] for task in TASKS if task in results]
    sections = [_module(line["task"]).section(line) for line in found]
    method = (__doc__ or "").partition("[--write docs/uses.md]")[2].strip()
    text = page.page(
        f"# What trained models are for\n\n{method}\n\n{overview(sections)}",
        f"python benchmarks/uses.py {shlex.join(Path(word).name for word in arguments)}",
        about(found),
        sections,
    )
    print(text)
    if options.write:
        replace(options.write, text.encode())
        _copy_pictures([line["task"] for line in found], options.runs, options.write.with_suffix(""))


if __name__ == "__main__":
    main(sys.argv[1:])
