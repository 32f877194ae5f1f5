"""Trains every GAN, VAE and autoencoder on the same pictures for the same time, and compares them.

    python benchmarks/zoo.py --results zoo.jsonl [--minutes 4] [--only NAME …] [--write docs/zoo.md]

Fashion-MNIST at 32 pixels. Presets train one after the other with their own settings, except for two: the width of
convolutions is the same for all, small enough for a CPU, and the number of steps is what fits into the time,
measured in a short run first, so that schedules are completed. Then 10,000 samples of the published weights are
compared with the 10,000 test pictures in the features of a classifier trained on the training pictures: the
Fréchet distance, and the diversity, which is the mean distance of two samples divided by that of two test
pictures. Results are appended to a file, so that the benchmark can be stopped and continued.
"""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import genlab
from genlab.applications.sample import sample
from genlab.bench import page
from genlab.core.contract import Corrupts, Reconstructs, Samples
from genlab.core.files import write
from genlab.core.pictures import image_grid, png
from genlab.core.random import generator
from genlab.data.dataset import Split
from genlab.data.source import open_source
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.frechet import frechet_distance
from genlab.recipes.presets import PRESETS
from genlab.recipes.summaries import SUMMARIES
from genlab.runs.classifier import accuracy, classifier_of

DATA, SIDE, WIDTH = "fashion-mnist", 32, 32
SAMPLES, PAIRS, SHOWN, CHUNK = 10_000, 20_000, 16, 500
PROBE = 1 / 24  # fraction of the time that is spent before to measure how many steps fit into it
FLOOR = "training pictures"  # the best row that a model can be expected to reach
BASE = {"gan": "gan", "vae": "gan", "autoencoder": "autoencoder"}  # the plain preset of each family
SHOWN_HERE = [preset for preset, recipe in PRESETS.items() if recipe.family in BASE]  # others: see families.py
EARLIER = """Measured with the classifier of an earlier version of this benchmark; genlab's has the same layers but
other weights, so that these distances compare with each other, not with those of families.md or of new runs."""
# Why a row is worse than the plain preset of its family, judging by its samples and its number of {steps}.
EARLY = "only {steps} steps fit into the time, because "
BLUR = (
    "pixels that are independent given the latent make smooth pictures, which the classifier can distinguish from "
    "real ones"
)
WHY: Mapping[str, str] = {
    "denoising-autoencoder": "it never gets a clean picture in training; it is made for the next column.",
    "conv-vae": f"{BLUR}.",
    "cyclical-vae": f"{BLUR}.",
    "beta-vae": f"{BLUR}, and four times the weight of the KL divergence keeps less of each picture.",
    "iwae": f"{BLUR}; it is trained on binarised pixels and draws their probabilities.",
    "acgan": "the pictures of a class are nearly the same (compare columns ten apart), a known weakness of "
    "auxiliary classifiers.",
    "feature-matching-gan": "by less than 1 %, which is not significant.",
    "dragan": "its gradient penalty slows learning down; {steps} steps are few for it.",
    "r1-gan": "its gradient penalty slows learning down; {steps} steps are few for it.",
    "relativistic-gan": "its spectral norm keeps scores close to each other; {steps} steps are few for it.",
    "wgan": f"{EARLY}each has five discriminator steps, and weight clipping slows learning down.",
    "wgan-gp": f"{EARLY}each has five discriminator steps, all with second derivatives.",
    "sngan": f"{EARLY}each has five discriminator steps with a residual network.",
    "sagan": f"{EARLY}its networks are residual and have attention.",
    "projection-gan": f"{EARLY}each has five discriminator steps with a residual network.",
    "unrolled-gan": f"{EARLY}each differentiates through five steps of the discriminator.",
}


def measure(preset: str, minutes: float, pictures: Path, extractor: Extractor) -> dict[str, Any]:
    """Train a preset, draw a strip of samples or reconstructions, and return its row."""
    recipe = PRESETS[preset]
    with tempfile.TemporaryDirectory() as place:
        short = _train(preset, Path(place) / "short", minutes=minutes * PROBE, steps=10**6).progress
        fitting = round(60 * minutes * short.step / short.seconds)
        run = _train(preset, Path(place) / "long", steps=fitting)
        model = genlab.load(run, checkpoint="last")
    source = open_source(DATA, size=SIDE)
    real = _images(source.held_out, len(source.held_out))
    row = {
        "preset": preset,
        "family": recipe.family,
        "minutes": run.progress.seconds / 60,
        "steps": run.progress.step,
        "images": run.progress.batches * recipe.batch_size,
        "weights": sum(parameter.numel() for parameter in model.parameters()),
    }
    write(pictures / f"{preset}.png", png(image_grid(_strip(model, real), columns=SHOWN)))
    if isinstance(model, Samples):
        row |= _distances(extractor, real, sample(model, SAMPLES, seed=0))
    if isinstance(model, Reconstructs):
        row["reconstruction_mse"] = _error(model, real, corrupted=False)
    if isinstance(model, Corrupts):
        row["denoising_mse"] = _error(model, real, corrupted=True)
    return row


def _train(preset: str, place: Path, **length: float) -> Any:  # noqa: ANN401 (a run)
    recipe = PRESETS[preset]
    width = recipe.width if recipe.architecture == "mlp" else WIDTH
    rare = {"preview_every": 10**6, "evaluate_every": 10**6, "checkpoint_every": 10**6}
    return genlab.train(preset, quiet=True, data=DATA, size=SIDE, width=width, root=place, **rare, **length)


def _floor(extractor: Extractor) -> dict[str, Any]:
    """Return the row of the training pictures, with the accuracy of the classifier on the test pictures."""
    source = open_source(DATA, size=SIDE)
    real, fake = _images(source.held_out, len(source.held_out)), _images(source.train, SAMPLES)
    known = accuracy(extractor, source.held_out)
    return {"preset": FLOOR, "accuracy": known, **_distances(extractor, real, fake)}


def _distances(extractor: Extractor, real: Tensor, fake: Tensor) -> dict[str, float]:
    ours, theirs = extractor(fake).features, extractor(real).features
    distance = frechet_distance(theirs, ours)
    return {"fd[classifier]": distance, "diversity": diversity(ours) / diversity(theirs)}


def diversity(features: Tensor) -> float:
    """Return the mean distance of two images in feature space, over random pairs of (N, F)."""
    rows = torch.randint(len(features), (2, PAIRS), generator=generator(0, "pairs"))
    return float(torch.linalg.vector_norm(features[rows[0]] - features[rows[1]], dim=1).mean())


@torch.no_grad()
def _error(model: nn.Module, real: Tensor, *, corrupted: bool) -> float:
    """Return the mean squared error per pixel in [-1, 1] of reconstructions, or of restored images."""
    assert isinstance(model, Reconstructs)
    noise, errors = generator(0, "zoo"), []
    for images in torch.split(real, CHUNK):
        given = model.corrupt(images, noise) if corrupted and isinstance(model, Corrupts) else images
        errors.append((model.reconstruct(given) - images).square().mean())
    return torch.stack(errors).mean().item()


@torch.no_grad()
def _strip(model: nn.Module, real: Tensor) -> Tensor:
    """Return a row of samples; for models that do not sample, a row of inputs above a row of their outputs."""
    if isinstance(model, Samples):
        return sample(model, SHOWN, seed=0)
    assert isinstance(model, Reconstructs)
    given = real[:SHOWN]
    if isinstance(model, Corrupts):
        given = model.corrupt(given, generator(0, "zoo"))
    return torch.cat([given, model.reconstruct(given)])


def main(arguments: Sequence[str]) -> None:
    """Train the presets without a result, then write the page."""
    parser = argparse.ArgumentParser(prog="python benchmarks/zoo.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, required=True, help="file of results; new ones are appended")
    parser.add_argument("--minutes", type=float, default=4, help="of training for each preset (default 4)")
    parser.add_argument("--only", nargs="*", choices=SHOWN_HERE, help="names of presets")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the page and its strips")
    options = parser.parse_args(arguments)
    about = page.machine()
    pictures = options.write.with_suffix("") if options.write else options.results.with_suffix("")
    pictures.mkdir(parents=True, exist_ok=True)
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    results = [json.loads(line) for line in lines]
    known = {row["preset"] for row in results}
    if todo := [name for name in (FLOOR, *(options.only or SHOWN_HERE)) if name not in known]:
        extractor = classifier_of(open_source(DATA, size=SIDE), torch.device("cpu"))
        if any(row.get("classifier") != extractor.weights for row in results):
            parser.error(
                f"--results {options.results} has lines measured with another classifier than that of this "
                "machine and version, which cannot be compared. Use another file."
            )
        for name in todo:
            print(f"measuring {name}", file=sys.stderr, flush=True)
            row = _floor(extractor) if name == FLOOR else measure(name, options.minutes, pictures, extractor)
            results.append({**row, "classifier": extractor.weights})
            with options.results.open("a") as file:
                file.write(json.dumps(results[-1]) + "\n")
    command = shlex.join(["python", "benchmarks/zoo.py", *arguments])
    text = _page(results, about, command, pictures.name)
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


def _images(data: Split, count: int) -> Tensor:
    return data.batch(np.arange(count)).x


def _page(rows: Sequence[Mapping[str, Any]], about: Mapping[str, str], command: str, pictures: str) -> str:
    floor = next(row for row in rows if row["preset"] == FLOOR)
    results = [row for row in rows if row["preset"] != FLOOR]
    facts = "".join(f"| {name} | {value} |\n" for name, value in about.items())
    parts = [
        "# The zoo\n\n" + (__doc__ or "").split("\n\n", 2)[2],
        *([] if "classifier" in floor else [f"{EARLIER}\n"]),
        f"```console\n{command}\n```\n",
        f"| | |\n|---|---|\n{facts}| training | {_range([r['minutes'] for r in results])} minutes each |\n"
        f"| width of convolutions | {WIDTH} |\n| accuracy of the classifier | {floor['accuracy']:.1%} |\n",
        "## Models that sample\n\nThe lowest distance to the test pictures first.\n\n"
        "| preset | distance | diversity | images seen | steps | weights |\n|---|--:|--:|--:|--:|--:|",
        f"| *{FLOOR}* | {floor['fd[classifier]']:.1f} | {floor['diversity']:.2f} | | | |",
    ]
    sampling = sorted((r for r in results if "fd[classifier]" in r), key=lambda r: r["fd[classifier]"])
    parts += [
        f"| `{r['preset']}` | {r['fd[classifier]']:.1f} | {r['diversity']:.2f} | {r['images']:,} | {r['steps']:,} "
        f"| {r['weights'] / 1e6:.1f} M |"
        for r in sampling
    ]
    others = [r for r in results if "reconstruction_mse" in r]
    parts += [
        "\n## Models that reconstruct\n\nMean squared error per pixel in [-1, 1] on the test pictures.\n\n"
        "| preset | reconstruction | denoising | images seen |\n|---|--:|--:|--:|",
        *(
            f"| `{r['preset']}` | {r['reconstruction_mse']:.4f} "
            f"| {format(r['denoising_mse'], '.4f') if 'denoising_mse' in r else ''} | {r['images']:,} |"
            for r in sorted(others, key=lambda r: r["reconstruction_mse"])
        ),
        "\n## Samples and reconstructions\n",
    ]
    for r in [*sampling, *(r for r in others if "fd[classifier]" not in r)]:
        first = SUMMARIES[r["preset"]].partition("\n")[0]
        strip = f"![{r['preset']}]({pictures}/{r['preset']}.png)"
        parts.append(f"**{r['preset']}** {first}{_why(r, results)}\n\n{strip}\n")
    return "\n".join(parts)


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}"


def _why(row: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> str:
    """Return why a row is worse than the plain preset of its family, if it is."""
    base = next((r for r in results if r["preset"] == BASE[row["family"]]), None)
    figure = "fd[classifier]" if "fd[classifier]" in row else "reconstruction_mse"
    if base is None or row[figure] <= base[figure]:
        return ""
    reason = WHY.get(row["preset"], "**the reason is not known yet.**")
    return f" Worse than `{base['preset']}` here: {reason.format(steps=format(row['steps'], ','))}"


if __name__ == "__main__":
    main(sys.argv[1:])
