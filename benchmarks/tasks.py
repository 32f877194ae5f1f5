"""Measures the tasks of a benchmark, one after the other, and writes its page; it can be stopped and continued."""

import argparse
import importlib
import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from budget import Line, about, lines, work_off
from genlab.bench import page
from genlab.bench.page import Section
from genlab.core.files import replace


def run(benchmark: str, task: str, runs: Path, minutes: float) -> Line:
    """Measure a task; return a line of results."""
    folder = runs / task
    folder.mkdir(parents=True, exist_ok=True)
    return {"task": task, "minutes": minutes, **_module(benchmark, task).measure(folder, minutes)}


def overview(sections: Sequence[Section]) -> str:
    """Return a table of how many aims each section meets."""
    rows = []
    for section in sections:
        aims = [row for row in section.rows if row.least is not None or row.most is not None]
        missed = [row.what for row in aims if not row.met]
        rows.append(f"| {section.title} | {len(aims) - len(missed)} of {len(aims)} | {', '.join(missed)} |\n")
    return f"| use | aims that are met | missed |\n|---|--:|---|\n{''.join(rows)}"


def _module(benchmark: str, task: str) -> Any:  # noqa: ANN401 (a module)
    return importlib.import_module(f"{benchmark}_{task}")


def _copy_pictures(tasks: Sequence[str], runs: Path, folder: Path) -> None:
    for picture in (picture for task in tasks for picture in sorted((runs / task).glob("*.png"))):
        folder.mkdir(exist_ok=True)
        replace(folder / picture.name, picture.read_bytes())


def main(arguments: Sequence[str], benchmark: str, title: str, about_it: str, tasks: Mapping[str, float]) -> None:
    """Measure the tasks that are not in the results yet, and write the page.

    The module of a task is BENCHMARK_TASK.py, with `measure(runs, minutes)`, which returns plain values, and
    `section(line)`. Pictures that `measure` writes into `runs` are copied to the folder of the page, where the
    section finds them as BENCHMARK/NAME.png.

    Args:
        arguments: of the command line.
        benchmark: the name of its file and of its page.
        title: of the page.
        about_it: its docstring; what follows the command is the introduction of the page.
        tasks: minutes of one core by the name of the task.
    """
    program = f"python benchmarks/{benchmark}.py"
    parser = argparse.ArgumentParser(prog=program, description=about_it.partition("\n")[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--results", type=Path, required=True, help="file of results, one line each")
    parser.add_argument("--only", nargs="*", choices=tasks, default=list(tasks), help="only these tasks")
    parser.add_argument("--minutes-scale", type=float, default=1, help="factor of all training times")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the page to a file")
    options = parser.parse_args(arguments)
    done = {line["task"] for line in lines(options.results)}
    jobs = [(n, options.runs, options.minutes_scale * tasks[n]) for n in options.only if n not in done]
    every = work_off(partial(run, benchmark), jobs, options.results, options.workers)
    results = {line["task"]: line for line in every}
    found = [results[task] for task in tasks if task in results]
    sections = [_module(benchmark, line["task"]).section(line) for line in found]
    method = about_it.partition(f"[--write docs/{benchmark}.md]")[2].strip()
    text = page.page(
        f"# {title}\n\n{method}\n\n{overview(sections)}",
        f"{program} {shlex.join(Path(word).name for word in arguments)}",
        about(found),
        sections,
    )
    print(text)
    if options.write:
        replace(options.write, text.encode())
        _copy_pictures([line["task"] for line in found], options.runs, options.write.with_suffix(""))
