"""Measures likelihood: VAE and IWAE on binarised MNIST, by importance sampling with 5,000 draws.

    python benchmarks/likelihood.py --results FILE [--mnist FOLDER] [--only NAME …] [--minutes 60] [--write PAGE]

Each row trains for the same processor time of one core, with the network and the batch size of the paper: 50
latent dimensions, two hidden layers of 200, 20 images. Pixels are binarised: in each step they are drawn with
their grey level as the probability of white (Burda et al., 2015); test pixels are drawn once. The figure is −log
p(x) in nats per image, the mean over test images of −log (1/k) Σ p(x, z) / q(z | x), which decreases to the true
value as k grows. During training each row is also measured with fewer draws, which shows its progress. Results are
appended to a file, so that the benchmark can be stopped and continued.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.bench import page
from genlab.core.batch import Batch
from genlab.core.device import subnormals_flushed
from genlab.core.random import Draws, Randomness, generator
from genlab.data.loader import Loader
from genlab.data.source import open_source
from genlab.families.vae import VAE, binarised
from genlab.recipes.vae import VAERecipe
from genlab.runs.phases import build
from genlab.training.inference import inference_mode

IMAGES, DRAWS = 1000, 5000  # of the final figure
QUICK_IMAGES, QUICK_DRAWS, POINTS = 500, 100, 8  # of the curve
CHUNK = 20  # images at a time

COMMON: Mapping[str, Any] = {
    "architecture": "mlp",
    "width": 200,
    "latent": 50,
    "batch_size": 20,
    "binarise": True,
    "lr": 1e-3,
}
ROWS: Mapping[str, tuple[int, str]] = {
    "VAE": (1, "86.76"),
    "IWAE, k = 5": (5, "85.54"),
    "IWAE, k = 50": (50, "84.78"),
}


@dataclass
class Row:
    """The result of one training."""

    name: str
    steps: int = 0
    seconds: float = 0.0
    nll: float = 0.0
    standard_error: float = 0.0
    curve: list[tuple[float, int, float]] = field(default_factory=list)  # (seconds, steps, quick figure)


def measure(name: str, mnist: str, minutes: float) -> Row:
    """Train one row for some minutes, with a learning rate that falls to zero over them, and measure it."""
    samples, _ = ROWS[name]
    recipe = VAERecipe(**COMMON, importance_samples=samples)
    source = open_source(f"mnist:{mnist}" if mnist else "mnist", size=28, channels=1)
    training = build(recipe, source.train.spec, Randomness(0))
    model, row = training.model, Row(name)
    torch.set_num_threads(1)
    assert isinstance(model, VAE)
    test = _test_images(source.held_out.batch(np.arange(IMAGES)))
    budget, due = 60 * minutes, iter(np.linspace(0, 1, POINTS + 1)[1:])
    next_point = next(due)
    (optimizer,) = training.optimizers.values()
    with Loader(source.train, recipe.batch_size, seed=0) as batches:
        while row.seconds < budget:
            began = time.process_time()
            # The schedule follows the clock, so that the learning rate is 0 when the time is up.
            optimizer.param_groups[0]["lr"] = recipe.lr * 0.5 * (1 + np.cos(np.pi * row.seconds / budget))
            with subnormals_flushed():
                training.step(row.steps, batches)
            row.steps += 1
            row.seconds += time.process_time() - began
            if row.seconds >= next_point * budget:
                quick = nll(model, test[:QUICK_IMAGES], QUICK_DRAWS).mean().item()
                row.curve.append((row.seconds, row.steps, quick))
                print(f"{name}: {row.seconds:.0f} s, {row.steps} steps, {quick:.2f}", file=sys.stderr, flush=True)
                next_point = next(due, 2.0)
    values = nll(model, test, DRAWS)
    row.nll, row.standard_error = values.mean().item(), (values.std() / len(values) ** 0.5).item()
    return row


def nll(model: VAE, images: Tensor, draws: int) -> Tensor:
    """Return −log p(x) of each image in nats, estimated with `draws` samples of the posterior."""
    noise = generator(0, "likelihood")
    with inference_mode(model):
        chunks = torch.split(images, CHUNK)
        return torch.cat([-model.importance_bound(chunk, draws, generator=noise) for chunk in chunks])


def _test_images(batch: Batch) -> Tensor:
    return binarised(batch.x, Draws(generator(0, "binarised test"), len(batch)))


def main(arguments: Sequence[str]) -> None:
    """Measure the rows without a result, print the page, and write it if requested."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/likelihood.py", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--mnist", default="", help="folder of MNIST's files, if not to be downloaded")
    parser.add_argument("--only", nargs="*", choices=ROWS, help="names of rows")
    parser.add_argument("--results", type=Path, required=True, help="file of results; new ones are appended")
    parser.add_argument(
        "--minutes", type=float, default=60, help="processor time of one core to train each row (default 60)"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the page to a file")
    options = parser.parse_args(arguments)
    about = page.machine()
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    rows = {row.name: row for row in (Row(**json.loads(line)) for line in lines)}
    for name in options.only or ROWS:
        if name not in rows:
            rows[name] = measure(name, options.mnist, options.minutes)
            with options.results.open("a") as file:
                file.write(json.dumps(asdict(rows[name])) + "\n")
    shown = [word for word in arguments if word not in ("--mnist", options.mnist)]
    known = [rows[name] for name in ROWS if name in rows]
    text = _page(known, about, shlex.join(["python", "benchmarks/likelihood.py", *shown]), options.minutes)
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


def _page(rows: Sequence[Row], about: Mapping[str, str], command: str, minutes: float) -> str:
    """Return the tables as Markdown."""
    facts = "".join(f"| {name} | {value} |\n" for name, value in about.items())
    settings = json.dumps(dict(COMMON))
    body = "".join(
        f"| {row.name} | {row.nll:.2f} ± {row.standard_error:.2f} | {ROWS[row.name][1]} | {row.steps:,} "
        f"| {row.steps * COMMON['batch_size'] / 60_000:.0f} | {row.seconds / 60:.1f} |\n"
        for row in rows
    )
    curves = "".join(
        f"| {row.name} | " + " | ".join(f"{quick:.2f}" for _, _, quick in row.curve[:POINTS]) + " |\n"
        for row in rows
    )
    heads = " | ".join(f"{minutes * (point + 1) / POINTS:.3g} min" for point in range(POINTS))
    return (
        f"# Likelihood\n\n{(__doc__ or '').split(chr(10) * 2, 2)[2]}\n```console\n{command}\n```\n\n"
        f"| | |\n|---|---|\n{facts}\nAll rows: `{settings}`, 28×28 pixels, cosine learning rate. "
        f"The published figures come from longer training (Burda et al., 2015, table 1: 3,280 epochs). A step "
        f"with k draws costs nearly k passes of the decoder, so that a row with more draws sees fewer images in "
        f"the same time.\n\n"
        f"| | −log p(x), {DRAWS:,} draws, {IMAGES:,} test images | published | steps | epochs | minutes |\n"
        f"|---|--:|--:|--:|--:|--:|\n{body}\n"
        f"During training, with {QUICK_DRAWS} draws on {QUICK_IMAGES} test images:\n\n"
        f"| | {heads} |\n|---|{'--:|' * POINTS}\n{curves}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
