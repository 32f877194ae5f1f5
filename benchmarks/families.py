"""Trains the families of generative models with the same budget, and compares common claims with the measurements.

    python benchmarks/families.py --runs FOLDER --results FILE [--minutes 40] [--seeds 3] [--write PAGE]

Fashion-MNIST at 32 pixels. Each run has the same processor time of one core, by default 40 minutes (20 minutes of
two cores): a short run first measures how many steps fit into it, so that learning-rate schedules are completed.
Then 2,000 samples are compared with 2,000 test pictures in the features of a classifier that was trained on the
data: Fréchet distance, precision, recall and coverage. Sharpness is the mean absolute Laplacian of the samples
divided by that of test pictures: below 1 samples are blurred, above 1 they are noisy. Likelihood is in bits per
dimension (1,024 per picture): exact up to the dequantisation for a flow, a bound for a diffusion model; a VAE's is
not in this unit here. An autoencoder does not sample; a normal distribution is fitted to the codes of training
pictures (Ghosh et al., 2020, arXiv:1903.12436). Speed is that of one core in the short run, memory the peak of the
process during training, including PyTorch, and a run is healthy if the doctor finds no failure. Runs are kept in
folders and results are appended to a file, so that the benchmark can be stopped and continued. On another
processor the same minutes are a different budget: there a run takes as many steps as the first run of its preset,
and its speed and memory are omitted. Its distances are also in the features of another classifier, since each
machine trains its own: trained again with only the rounding of sums changed, it gave distances that were 2 and 5 %
lower for two runs of Glow (AMD EPYC, 2026-11-23). From step 846 on two processes trained `ddpm` with seed 1, which
only changes the rounding.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

import genlab
from bits import bits_of
from budget import Line, about, here, lines, train_for, work_off
from claims import compared, table
from genlab.applications.sample import sample
from genlab.bench import page
from genlab.core.condition import NONE, Condition
from genlab.core.contract import BoundsLikelihood, Decodes, Encodes, Reconstructs, Samples
from genlab.core.files import write
from genlab.core.modality import Modality
from genlab.core.pictures import image_grid, png
from genlab.data.source import open_source
from genlab.metrics.feature_statistics import feature_statistics
from genlab.metrics.sets import compare
from genlab.metrics.similarity import mse
from genlab.runs.classifier import classifier_of

SIDE, SAMPLES, SHOWN, CHUNK = 32, 2000, 16, 250
STEPS_50: Mapping[str, Any] = {
    "width": 32,
    "batch_size": 64,
    "lr": 1e-3,  # the published 2e-4 is for 250 times as many steps
    "lr_schedule": "cosine",
    "sampling_steps": 50,
}
ROWS: Mapping[str, Mapping[str, Any]] = {
    "autoencoder": {},
    "conv-vae": {},
    "dcgan": {"batch_size": 64},
    # The published five discriminator steps at 2e-4 are for 14 times as many generator steps.
    "sngan": {"width": 32, "discriminator_steps": 1, "generator_lr": 5e-4, "discriminator_lr": 1e-3},
    "glow": {"width": 64, "flow_steps": 8, "lr_schedule": "cosine"},
    "ddpm": {**STEPS_50, "sampler": "ddim"},
    "flow-matching": STEPS_50,
}
COLUMNS = (
    ("runs", ".0f"),
    ("distance", ".0f"),
    ("precision", ".2f"),
    ("recall", ".2f"),
    ("coverage", ".2f"),
    ("sharpness", ".2f"),
    ("bits", ".2f"),
    ("error", ".4f"),
    ("healthy", ".0%"),
)
COSTS = (
    ("images_per_second", ",.0f"),
    ("steps", ",.0f"),
    ("seconds_per_1000", ".2f"),
    ("megabytes", ",.0f"),
    ("weights", ",.0f"),
)
OF_PROCESSOR = ("images_per_second", "seconds_per_1000", "megabytes")
READING = """With this budget `dcgan` makes the best pictures by distance, recall and coverage, `conv-vae` makes
the most blurred ones, and every run is healthy, also those of the GANs. The number of passes over the training set
decides: `ddpm` makes 3, `flow-matching` 4, `sngan` 10 to 12, `glow` 18 to 21, `dcgan` 24, `conv-vae` about 90 and
`autoencoder` 320. The deviations of `ddpm`, `sngan` and `flow-matching` are not only chance: in the same time one
run of each took a quarter, a fifth and an eighth more steps than the other two, and made the best pictures of the
three. The claims about diffusion models come from far longer training: the published DDPM saw 500 to 630 times as
many pictures (800,000 steps of 128). So this page shows what a family achieves in little time, not what it can
achieve in the end. Speed and memory are those of these networks, this code and this machine: a Glow with 0.3
million weights and a U-Net with 2.2 million, while the published Glow has couplings of width 512 and 32 steps at
each of its levels. Bits of diffusion models are a bound, so that the lead of `glow` may be smaller than the
figures show."""
LEFT_OUT = "Without `autoencoder`: it is no generative model until a distribution is fitted to its codes."
HEADS: Mapping[str, str] = {
    "bits": "bits per dimension",
    "error": "squared error of reconstructions",
    "images_per_second": "images per second in training",
    "seconds_per_1000": "seconds for 1,000 samples",
    "megabytes": "peak memory, MB",
}


class Fitted(nn.Module):
    """An autoencoder that samples codes from N(μ, Σ), fitted to the codes of some images."""

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        super().__init__()
        assert isinstance(model, Encodes)
        assert isinstance(model, Decodes)
        self.model = model
        self.conditions: Mapping[str, Modality] = {}
        codes = torch.cat([model.encode(part) for part in torch.split(images, CHUNK)])
        self.mean, deviations = codes.mean(0), codes - codes.mean(0)
        spread = deviations.T @ deviations / len(codes) + 1e-6 * torch.eye(codes.shape[1])
        self.root = torch.linalg.cholesky(spread)

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` images, decoded from codes of N(μ, Σ)."""
        return self.model.decode(self.mean + torch.randn(count, len(self.mean), generator=generator) @ self.root.T)


def measure(
    preset: str, seed: int, minutes: float, runs: Path, pictures: Path, steps: int | None = None
) -> dict[str, Any]:
    """Train a preset or continue its training, and return the measurements.

    With `steps` the run takes that many, and its speed and memory on this processor are omitted.
    """
    options = {**ROWS[preset], "data": "fashion-mnist", "size": SIDE, "seed": seed}
    run = train_for(minutes, preset, runs / f"{preset}-{seed}", options, steps)
    diagnosis, model = genlab.doctor(run.folder), genlab.load(run.folder, checkpoint="last")
    measured = {
        "preset": preset,
        "seed": seed,
        "minutes": minutes,
        "steps": run.steps,
        "images_per_second": run.images / (60 * minutes),
        "weights": sum(parameter.numel() for parameter in model.parameters()),
        "megabytes": run.megabytes,
        "healthy": diagnosis.healthy,
        "findings": [finding.rule for finding in diagnosis.findings],
        **_quality(model, pictures / f"{preset}.png" if seed == 0 else None),
    }
    return {name: value for name, value in measured.items() if not (steps and name in OF_PROCESSOR)}


@torch.no_grad()
def _quality(model: nn.Module, strip: Path | None) -> dict[str, Any]:
    """Return the quality of samples, reconstructions and likelihood; write a strip of samples."""
    source = open_source("fashion-mnist", size=SIDE)
    real, train = (each.batch(np.arange(SAMPLES)).x for each in (source.held_out, source.train))
    quality: dict[str, Any] = {}
    if isinstance(model, Reconstructs):
        errors = [mse(part, model.reconstruct(part)) for part in torch.split(real, CHUNK)]
        quality["error"] = float(torch.cat(errors).mean())
    if isinstance(model, BoundsLikelihood) and model.levels:
        quality["bits"] = float(bits_of(model, real).mean())
    sampler = model if isinstance(model, Samples) else Fitted(model, train)
    began = time.process_time()
    fake = sample(sampler, SAMPLES, seed=0)
    quality["seconds_per_1000"] = (time.process_time() - began) * 1000 / SAMPLES
    if strip:
        write(strip, png(image_grid(fake[:SHOWN], columns=SHOWN)))
    extractor = classifier_of(source, torch.device("cpu"))
    ours, theirs = (
        feature_statistics(extractor, [partial(_same, p) for p in torch.split(x, CHUNK)]) for x in (fake, real)
    )
    figures = {figure.name.partition("[")[0]: figure.value for figure in compare(theirs, ours, extractor, {})}
    names = {"distance": "fd", "precision": "precision", "recall": "recall", "coverage": "coverage"}
    return quality | {n: figures[f] for n, f in names.items()} | {"sharpness": _edges(fake) / _edges(real)}


def _same(images: Tensor) -> Tensor:
    return images


def _edges(images: Tensor) -> float:
    """Return the mean absolute Laplacian of images."""
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    return float(conv2d(images, kernel[None, None]).abs().mean())


def main(arguments: Sequence[str]) -> None:
    """Train and measure the runs without a result, then write the page."""
    parser = argparse.ArgumentParser(prog="python benchmarks/families.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--results", type=Path, required=True, help="file of results; new ones are appended")
    parser.add_argument("--only", nargs="*", choices=ROWS, default=list(ROWS), help="presets")
    parser.add_argument("--minutes", type=float, default=40, help="processor time of one core (default 40)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="runs at once, one core each (default 2)")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the page to a file")
    options = parser.parse_args(arguments)
    pictures = (options.write or options.results).with_suffix("")
    pictures.mkdir(parents=True, exist_ok=True)
    there = lines(options.results)
    done = {(line["preset"], line["seed"]) for line in there}
    todo = [(p, seed) for seed in range(options.seeds) for p in options.only if (p, seed) not in done]
    steps = _steps(there, {preset for preset, _ in todo}, parser)
    jobs = [(*one, options.minutes, options.runs, pictures, steps.get(one[0])) for one in todo]
    results = work_off(measure, jobs, options.results, options.workers)
    command = shlex.join(["python", "benchmarks/families.py", *arguments])
    asked = [row for row in results if row["seed"] < options.seeds]
    text = _page(asked, command, pictures.name)
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


def _steps(there: Sequence[Line], todo: Collection[str], parser: argparse.ArgumentParser) -> dict[str, int]:
    """Return the steps of each preset on the processor of the first line, if that is not this one."""
    processor = there[0]["processor"] if there else here()["processor"]
    if processor == here()["processor"]:
        return {}
    first = {line["preset"]: line["steps"] for line in reversed(there) if line["processor"] == processor}
    if unknown := sorted(set(todo) - set(first)):
        parser.error(
            f"--results has no line of {', '.join(unknown)}, and its first is of {processor}: on "
            f"{here()['processor']} the same minutes are a different budget. Use another file."
        )
    return first


def _page(results: Sequence[Line], command: str, pictures: str) -> str:
    rows = {preset: [r for r in results if r["preset"] == preset] for preset in ROWS}
    rows = {preset: [{**r, "runs": len(some)} for r in some] for preset, some in rows.items() if some}
    title = "# The families\n\n" + (__doc__ or "").split("\n\n", 2)[2]
    strips = "\n".join(f"**{preset}**\n\n![samples of {preset}]({pictures}/{preset}.png)\n" for preset in rows)
    options = "".join(f"- `{p}`: " + ", ".join(f"{k} {v}" for k, v in ROWS[p].items()) + "\n" for p in rows)
    return "\n".join(
        [
            page.page(title, command, about(results), []),
            "## Quality\n\nMean ± standard deviation over seeds, one run each.\n",
            table(rows, COLUMNS, HEADS),
            "\n## Cost\n\nOf the runs on the processor that is first above.\n",
            table(rows, COSTS, HEADS),
            f"\n## Common claims\n\n{LEFT_OUT}\n\n{compared(rows)}",
            f"\n## What it shows\n\n{READING}\n",
            "\n## Samples\n\nOf the first seed, not selected.\n\n" + strips,
            "## Options that differ from the presets\n\n" + options,
        ]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
