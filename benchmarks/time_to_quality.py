"""Trains one model in three ways and measures its quality over training time.

    python benchmarks/time_to_quality.py [--minutes 3] [--seeds 2] [--write docs/time-to-quality.md]

The preset dcgan on Fashion-MNIST at 32 pixels, batch size 64: with genlab in bf16, with genlab in float32, and
with the textbook loop, all with the same networks. They take turns of some steps, so that a busy machine slows
them equally; only the training time of each is counted. After each turn the Fréchet distance of 2,000 samples to
2,000 held-out pictures is measured, in the features of a classifier that was trained on the data.
"""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeAlias

import torch
from matplotlib.figure import Figure

from genlab.bench import page
from genlab.bench.cases import TEXTBOOK, Driven, ours, theirs
from genlab.bench.measure import seconds
from genlab.core.device import PRECISIONS
from genlab.data.dataset import Split
from genlab.data.source import open_source
from genlab.metrics.extractors.extractor import Extractor
from genlab.recipes.gan import GANRecipe
from genlab.recipes.presets import PRESETS
from genlab.runs.classifier import classifier_of
from genlab.training.inference import inference_mode
from precision import distance

CPU = torch.device("cpu")
STEPS = 100  # in a turn
MARKS = (1000, 600, 400)  # distances to reach

Curve: TypeAlias = list[tuple[float, float]]  # seconds of training, distance


def follow(seed: int, budget: float) -> dict[str, Curve]:
    """Train each way for `budget` seconds and return its curve of distances."""
    source = open_source("fashion-mnist", size=32)
    data = source.train
    extractor = classifier_of(source, CPU)
    recipe = replace(PRESETS["dcgan"], batch_size=64)
    assert isinstance(recipe, GANRecipe)
    with ExitStack() as stack:
        ways: dict[str, Driven] = {
            f"genlab, {name}": stack.enter_context(ours(recipe, data, CPU, dtype, seed))
            for name, dtype in PRECISIONS.items()
        }
        ways[TEXTBOOK] = theirs(recipe, data, CPU, seed)
        for way in ways.values():
            way(2)  # warm-up
        curves: dict[str, Curve] = {name: [] for name in ways}
        while unfinished := [name for name, curve in curves.items() if not curve or curve[-1][0] < budget]:
            for name in unfinished:
                spent = (curves[name][-1][0] if curves[name] else 0.0) + seconds(partial(ways[name], STEPS))
                found = _quality(ways[name], extractor, source.held_out)
                curves[name].append((spent, found))
                print(f"seed {seed}, {name}: {spent:.0f} s, {found:.0f}", file=sys.stderr, flush=True)
    return curves


def _quality(way: Driven, extractor: Extractor, held_out: Split) -> float:
    with inference_mode(way.model):
        return distance(way.model, extractor, held_out)


def draw(curves: Sequence[Mapping[str, Curve]], path: Path) -> None:
    """Write a plot of the curves of all seeds."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    for place, name in enumerate(curves[0]):
        for number, each in enumerate(curves):
            label = None if number else name
            axes.plot(*zip(*each[name], strict=True), label=label, color=f"C{place}", marker=".", linewidth=1)
    axes.set(xlabel="seconds of training", ylabel="distance to held-out pictures", yscale="log")
    axes.legend()
    figure.savefig(path, dpi=100)


def table(curves: Sequence[Mapping[str, Curve]], budget: float) -> str:
    """Return a table of the median time to each mark and the median distance at the end, over seeds."""
    lines = [f"| | {' | '.join(f'to {mark}' for mark in MARKS)} | distance after {budget:.0f} s |\n|---|"]
    lines.append("--:|" * (len(MARKS) + 1) + "\n")
    for name in curves[0]:
        cells = []
        for mark in MARKS:
            first = [next((t for t, value in each[name] if value <= mark), None) for each in curves]
            reached = [t for t in first if t is not None]
            cells.append(f"{median(reached):.0f} s" if len(reached) == len(first) else "not with all seeds")
        ends = [min(each[name], key=lambda point: abs(point[0] - budget))[1] for each in curves]
        lines.append(f"| {name} | {' | '.join(cells)} | {median(ends):.0f} |\n")
    return "".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Train, print the page, and write it with its plot if requested."""
    summary, _, rest = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(prog="python benchmarks/time_to_quality.py", description=summary)
    parser.add_argument("--minutes", type=float, default=3, help="of training for each way and seed")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the page, with its plot next to it")
    options = parser.parse_args(arguments)
    about = page.machine()
    curves = [follow(seed, 60 * options.minutes) for seed in range(options.seeds)]
    about["busy after the last measurement"] = page.busy()
    command = shlex.join(["python", "benchmarks/time_to_quality.py", *arguments])
    title = "# Time to quality\n\n" + rest.partition("\n\n")[2]
    text = page.page(title, command, about, []) + "\n" + table(curves, 60 * options.minutes)
    if options.write:
        picture = options.write.with_suffix(".png")
        draw(curves, picture)
        text += f"\n![Distance over seconds of training]({picture.name})\n"
        options.write.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
