"""Counts the modes of a mixture that each model captures, with the published protocol.

    python benchmarks/modes.py --results modes.jsonl [--only NAME …] [--seeds 10] [--mnist FOLDER] [--write PAGE]

On `ring8` and `grid25` 2,500 samples are drawn; a sample is of high quality within 3 standard deviations of its
nearest mode, and a mode is captured if it has such a sample (Srivastava et al., 2017; Lin et al., 2018). On
`stacked-mnist` 26,000 samples are drawn and a classifier reads each of their three digits. Results are appended to
a file, so that the benchmark can be stopped and continued. Time is processor time, which other programs hardly
change.
"""

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import mean, stdev
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

import genlab
from genlab.bench import page
from genlab.core.random import generator
from genlab.data.source import open_source
from genlab.metrics.modes import cover, reverse_kl
from genlab.runs.classifier import accuracy, classifier_of

FloatArray: TypeAlias = npt.NDArray[np.float32]
TOYS = ("ring8", "grid25")
SAMPLES, STACKED_SAMPLES, CHUNK = 2500, 26_000, 1000
# The same network, optimizer and budget for all rows, so that rows differ only in their parts.
TOY: Mapping[str, Any] = {
    "architecture": "mlp",
    "depth": 4,
    "width": 128,
    "latent": 2,
    "batch_size": 256,
    "steps": 3000,
    "discriminator_steps": 2,
    "optimizer": "adam",
    "generator_lr": 2e-3,
    "discriminator_lr": 4e-3,
    "betas": (0.5, 0.999),
    "lr_schedule": "cosine",
}
STACKED: Mapping[str, Any] = {"width": 32, "batch_size": 64, "steps": 10_000}

SLOPES: Mapping[str, Any] = {"r1": 5e-3, "r2": 5e-3}  # smaller than for images, because the modes are narrow
ROWS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "gan": ("gan", {}),
    "gan, R1 and R2": ("gan", SLOPES),
    "gan, R1 and R2, long": ("gan", {**SLOPES, "penalty_every": 4, "steps": 60_000}),
    "relativistic-gan": ("relativistic-gan", {"spectral_norm": "none"}),
    "relativistic-gan, R1 and R2": ("relativistic-gan", {"spectral_norm": "none", **SLOPES}),
    # The penalties begin like those above, and end ten times weaker: then scores can be steep at narrow modes.
    "R3GAN's objective": (
        "gan",
        {
            "loss": "relativistic",
            "r1": 3e-4,
            "r2": 3e-4,
            "penalty_every": 4,
            "discriminator_steps": 1,
            "generator_lr": 5e-4,
            "discriminator_lr": 1e-3,
            "betas": (0.0, 0.99),
            "burn_in": 10_000,
            "steps": 20_000,
        },
    ),
    "lsgan": ("lsgan", {}),
    "pacgan, 2": ("pacgan", {}),
    "pacgan, 4": ("pacgan", {"pack": 4}),
    # With a batch of 256 it would take an hour, and it does not learn with the others' learning rates.
    "minibatch-gan": ("minibatch-gan", {"batch_size": 64, "generator_lr": 2e-4, "discriminator_lr": 4e-4}),
    "feature-matching-gan": ("feature-matching-gan", {}),
    "wgan": ("wgan", {"optimizer": "rmsprop", "generator_lr": 5e-4, "discriminator_lr": 5e-4}),
    "wgan-gp": ("wgan-gp", {"discriminator_norm": "none", "gradient_penalty": 0.1}),
    "r1-gan": ("r1-gan", {"r1": 5e-3}),
    "sngan": ("sngan", {}),
    # The authors' learning rates and depth: gradients through Adam's steps are noisy with many weights.
    "unrolled-gan": (
        "unrolled-gan",
        {
            "unrolled_steps": 5,
            "discriminator_steps": 1,
            "depth": 2,
            "generator_lr": 1e-3,
            "discriminator_lr": 1e-4,
            "lr_schedule": "constant",
        },
    ),
}
# Each with its own network and budget, because they have no discriminator.
LIKELY_ROWS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "flow-matching": (
        "flow-matching",
        {
            "architecture": "mlp",
            "depth": 4,
            "width": 256,
            "batch_size": 512,
            "steps": 30_000,
            "lr": 1e-3,
            "lr_schedule": "cosine",
            "sampler": "heun",
        },
    ),
    "spline-flow": (
        "spline-flow",
        {"width": 128, "batch_size": 512, "steps": 20_000, "lr": 1e-3, "lr_schedule": "cosine"},
    ),
}
TOY_ROWS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    **{row: (preset, {**TOY, **options}) for row, (preset, options) in ROWS.items()},
    **LIKELY_ROWS,
}
# Without wgan-gp: its five discriminator steps would take longer than all of these together.
STACKED_ROWS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "dcgan": ("dcgan", {}),
    "pacgan, 2": ("pacgan", {}),
    "r1-gan": ("r1-gan", {}),
    "dragan": ("dragan", {}),
    "dcgan, R1 and R2": ("dcgan", {"r1": 0.1, "r2": 0.1, "penalty_every": 4}),
    "r3gan": ("r3gan", {"width": 8, "penalty_every": 4, "burn_in": 5000}),
}
PUBLISHED = """Published, with other networks and budgets (Lin et al., 2018): on ring8 a GAN captured 6.3 modes
with 98.2 % of high quality, PacGAN4 7.8 with 95.9 %; on grid25 a GAN 17.3 with 94.8 %, PacGAN4 24.8 with 93.6 %;
on stacked MNIST DCGAN 99 of 1,000 with a divergence of 3.40, VEEGAN 150, PacDCGAN2 1,000 with 0.06."""


READING = """What it shows. On the two mixtures plain GANs lose modes, different ones with each seed. Among the
GANs only those with a gradient penalty at real points (R1), or at real and generated ones (R1 and R2), capture all
modes of both mixtures: after 3,000 steps every mode has its share of samples, and after twenty times as many
nearly every sample lies on a mode. Packing captures more modes than a plain GAN, but not all, and on the grid its
samples lie between the modes with this budget. Stacked MNIST does not distinguish the GANs here: each of the five
captures 995 modes or more. A spline flow and flow matching lose no mode with any seed. As many of a spline flow's
samples lie on a mode as of draws from the mixture itself (1 − exp(−9/2) = 98.9 %); those of flow matching lie even
closer."""


def train_toy(row: str, toy: str, seed: int) -> dict[str, Any]:
    """Train a row on a toy and count the captured modes."""
    torch.set_num_threads(1)
    preset, options = TOY_ROWS[row]
    began = time.process_time()
    model = _train(preset, {**options, "data": toy, "seed": seed})
    source = open_source(toy)
    assert source.modes is not None
    assert source.mode_spread is not None
    coverage = cover(
        _points(model.sample(SAMPLES, generator=generator(seed, "modes"))), source.modes, source.mode_spread
    )
    return {
        "row": row,
        "data": toy,
        "seed": seed,
        "modes": coverage.modes,
        "of": len(source.modes),
        "high_quality": coverage.high_quality,
        "reverse_kl": coverage.reverse_kl,
        "seconds": time.process_time() - began,
    }


def _points(samples: Tensor) -> FloatArray:
    """Return points (B, 2) as an array."""
    points: FloatArray = samples.numpy()
    return points


def _perfect(toy: str) -> str:
    """Return a sentence on the quality of points of the mixture itself, the best that a model can reach."""
    source = open_source(toy)
    assert source.modes is not None
    assert source.mode_spread is not None
    points = _points(source.train.batch(np.arange(len(source.train))).x)
    share = cover(points, source.modes, source.mode_spread).high_quality
    return f" Of {len(points):,} points of the mixture itself, {share:.1%} are of high quality."


def train_stacked(row: str, mnist: str, seed: int) -> dict[str, Any]:
    """Train a row on stacked MNIST and count the different numbers that a classifier reads."""
    preset, options = STACKED_ROWS[row]
    began = time.process_time()
    data = f"stacked-mnist:{mnist}" if mnist else "stacked-mnist"
    model = _train(preset, {**STACKED, **options, "data": data, "size": 32, "seed": seed})
    digit = open_source(data.removeprefix("stacked-"), size=32, channels=1)
    reader = classifier_of(digit, torch.device("cpu"))
    noise, numbers = generator(seed, "modes"), []
    for _ in range(0, STACKED_SAMPLES, CHUNK):
        seen = reader(model.sample(CHUNK, generator=noise).reshape(-1, 1, 32, 32))
        assert seen.probabilities is not None
        digits = seen.probabilities.argmax(1).reshape(-1, 3)
        numbers.append(digits @ torch.tensor([100, 10, 1]))
    counts = np.bincount(torch.cat(numbers).numpy(), minlength=1000)
    return {
        "row": row,
        "data": "stacked-mnist",
        "seed": seed,
        "modes": int((counts > 0).sum()),
        "of": 1000,
        "reverse_kl": reverse_kl(counts),
        "accuracy": accuracy(reader, digit.held_out),
        "seconds": time.process_time() - began,
    }


def _train(preset: str, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 (a model that samples)
    rare = {"log_every": 1000, "preview_every": 10**6, "evaluate_every": 10**6, "checkpoint_every": 10**6}
    with tempfile.TemporaryDirectory() as place:
        run = genlab.train(preset, quiet=True, root=place, **rare, **options)
        return genlab.load(run, checkpoint="last")


def main(arguments: Sequence[str]) -> None:
    """Train the rows without a result, then print and write the page."""
    parser = argparse.ArgumentParser(prog="python benchmarks/modes.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, required=True, help="file of results; new ones are appended")
    parser.add_argument("--only", nargs="*", help="names of rows")
    parser.add_argument("--data", nargs="*", default=[*TOYS, "stacked-mnist"], help="which mixtures")
    parser.add_argument("--seeds", type=int, default=10, help="runs of each row on a toy (default 10)")
    parser.add_argument("--mnist", default="", help="folder of MNIST's files, if not to be downloaded")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the page to a file")
    options = parser.parse_args(arguments)
    about = page.machine()
    results = _read(options.results)
    known = {(r["row"], r["data"], r["seed"]) for r in results}
    with ProcessPoolExecutor(2) as pool:
        jobs = [
            pool.submit(train_toy, row, toy, seed)
            for seed in range(options.seeds)  # outermost, so that after a stop all rows have equally many seeds
            for row in options.only or TOY_ROWS
            for toy in options.data
            if toy in TOYS
            if (row, toy, seed) not in known
        ]
        for job in jobs:
            _add(job.result(), results, options.results)
    if "stacked-mnist" in options.data:
        for row in options.only or STACKED_ROWS:
            if row in STACKED_ROWS and (row, "stacked-mnist", 0) not in known:
                _add(train_stacked(row, options.mnist, 0), results, options.results)
    text = _page(results, about, shlex.join(["python", "benchmarks/modes.py", *arguments]))
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _add(result: dict[str, Any], results: list[dict[str, Any]], path: Path) -> None:
    results.append(result)
    with path.open("a") as file:
        file.write(json.dumps(result) + "\n")
    print(json.dumps(result), file=sys.stderr, flush=True)


def _page(results: Sequence[Mapping[str, Any]], about: Mapping[str, str], command: str) -> str:
    """Return the tables as Markdown, best rows first."""
    parts = [
        "# Modes\n\n" + (__doc__ or "").split("\n\n", 2)[2],
        f"```console\n{command}\n```\n",
        "| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in about.items()),
        PUBLISHED + "\n",
        READING + "\n",
    ]
    for data in (*TOYS, "stacked-mnist"):
        of_data = [r for r in results if r["data"] == data]
        if of_data:
            parts.append(_table(data, of_data))
    return "\n".join(parts)


def _table(data: str, results: Sequence[Mapping[str, Any]]) -> str:
    settings = TOY if data in TOYS else STACKED
    rows = {**ROWS, **LIKELY_ROWS} if data in TOYS else STACKED_ROWS
    lines = []
    for row, (preset, options) in rows.items():
        mine = [r for r in results if r["row"] == row]
        if mine:
            figures = [
                _figure([r[name] for r in mine])
                for name in ("modes", "high_quality", "reverse_kl")
                if name in mine[0]
            ]
            written = _written(options)
            cells = [
                row,
                f"`{preset} {written}`".replace(" `", "`"),
                *figures,
                str(len(mine)),
                _figure([r["seconds"] for r in mine]),
            ]
            lines.append(
                (-mean(r["modes"] for r in mine), mean(r["reverse_kl"] for r in mine), f"| {' | '.join(cells)} |")
            )
    quality = "| high quality " if data in TOYS else ""
    bar = "--:|" * (5 if data in TOYS else 4)
    accuracy = (
        f" The classifier reads {results[0]['accuracy']:.2%} of the test digits correctly."
        if data not in TOYS
        else _perfect(data)
    )
    common = _written(settings)
    return (
        f"## {data}\n\nAll GANs: `{common}`.{accuracy} Mean ± standard error.\n\n"
        f"| row | command | modes of {results[0]['of']} {quality}| reverse KL, nats | runs | CPU seconds |\n"
        f"|---|---|{bar}\n" + "\n".join(line for *_, line in sorted(lines)) + "\n"
    )


def _written(options: Mapping[str, Any]) -> str:
    """Return options as on the command line."""
    values = {n: " ".join(map(str, v)) if isinstance(v, tuple) else v for n, v in options.items()}
    return " ".join(f"--{n.replace('_', '-')} {v}" for n, v in values.items())


def _figure(values: Sequence[float]) -> str:
    middle = mean(values)  # NaN if no sample lies on a mode
    if len(values) == 1:
        return f"{middle:.3g}" if middle < 100 else f"{middle:,.0f}"
    return f"{middle:.3g} ± {stdev(values) / len(values) ** 0.5:.2g}"


if __name__ == "__main__":
    main(sys.argv[1:])
