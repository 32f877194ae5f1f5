"""Trains models in bf16 and in float32, with several seeds and the same number of steps, to compare quality.

    python benchmarks/precision.py --results FILE [--only PRESET …] [--seeds 3] [--write PAGE]

Fashion-MNIST at 32 pixels. A model is measured by the Fréchet distance of 2,000 samples to 2,000 held-out
pictures, in the features of a classifier that was trained on the data, and a VAE also by its bound on the
likelihood. Both are measured in float32. Results are appended to a file, so that the benchmark can be stopped and
continued. Time is processor time.
"""

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from torch import Tensor

import genlab
from genlab.architectures.mixed import compute_in
from genlab.bench import page
from genlab.core.device import PRECISIONS
from genlab.core.random import generator
from genlab.data.dataset import IntArray, Split
from genlab.data.source import open_source
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.feature_statistics import feature_statistics
from genlab.metrics.frechet import frechet_distance, gaussian
from genlab.runs.classifier import classifier_of

SAMPLES, CHUNK = 2000, 250
ROWS: Mapping[str, Mapping[str, Any]] = {
    "dcgan": {"width": 32, "batch_size": 64, "steps": 1500},
    "sngan": {"width": 32, "batch_size": 32, "steps": 400},
    "conv-vae": {"batch_size": 64, "steps": 1500},
}
RARELY = {"log_every": 100, "preview_every": 10**6, "evaluate_every": 10**6, "checkpoint_every": 10**6}


def train(preset: str, precision: str, seed: int) -> dict[str, Any]:
    """Train and measure one run."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        options = {**RARELY, **ROWS[preset], "data": "fashion-mnist", "size": 32, "extractor": "pixels"}
        run = genlab.train(preset, quiet=True, root=place, precision=precision, seed=seed, **options)
        seconds = time.process_time() - began
        model: Any = genlab.load(run, checkpoint="last")
    compute_in(torch.float32, model)
    result = {"preset": preset, "precision": precision, "seed": seed, "seconds": seconds}
    source = open_source("fashion-mnist", size=32)
    result["distance"] = distance(model, classifier_of(source, torch.device("cpu")), source.held_out)
    if preset == "conv-vae":
        bounds = model.evidence_bound(source.held_out.batch(np.arange(1000)).x, generator=generator(0, "bound"))
        result["bound"] = -float(bounds.mean())
    return result


def distance(model: Any, extractor: Extractor, held_out: Split) -> float:  # noqa: ANN401 (a module that samples)
    """Return the Fréchet distance of samples to held-out pictures in the features of `extractor`."""
    noise = generator(0, "precision")
    rows = np.split(np.arange(SAMPLES), SAMPLES // CHUNK)
    fake = feature_statistics(extractor, [lambda: model.sample(CHUNK, generator=noise)] * len(rows))
    real = feature_statistics(extractor, [partial(_images, held_out, some) for some in rows])
    return frechet_distance(gaussian(real.features, "real"), fake.features)


def _images(data: Split, rows: IntArray) -> Tensor:
    return data.batch(rows).x


def main(arguments: Sequence[str]) -> None:
    """Train the runs without a result, then print and write the page."""
    parser = argparse.ArgumentParser(prog="python benchmarks/precision.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, required=True, help="file of results; new ones are appended")
    parser.add_argument("--only", nargs="*", choices=ROWS, default=list(ROWS), help="presets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the page to a file")
    options = parser.parse_args(arguments)
    about = page.machine()
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    results = [json.loads(line) for line in lines]
    known = {(r["preset"], r["precision"], r["seed"]) for r in results}
    for seed in range(options.seeds):
        for preset in options.only:
            for precision in PRECISIONS:
                if (preset, precision, seed) in known:
                    continue
                results.append(train(preset, precision, seed))
                with options.results.open("a") as file:
                    file.write(json.dumps(results[-1]) + "\n")
                print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    command = shlex.join(["python", "benchmarks/precision.py", *arguments])
    title = "# bf16 and float32\n\n" + (__doc__ or "").split("\n\n", 2)[2]
    text = page.page(title, command, about, []) + "\n" + _table(results)
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


def _table(results: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for preset, options in ROWS.items():
        for precision in PRECISIONS:
            mine = [r for r in results if (r["preset"], r["precision"]) == (preset, precision)]
            if mine:
                figures = [
                    _figure([r[name] for r in mine if name in r]) for name in ("distance", "bound", "seconds")
                ]
                command = f"{preset} {' '.join(f'--{name} {value}' for name, value in options.items())}"
                lines.append(f"| `{command}` | {precision} | {' | '.join(figures)} | {len(mine)} |\n")
    return (
        "Mean ± standard deviation over seeds.\n\n"
        "| run | precision | distance | negative bound, nats | CPU seconds | seeds |\n"
        "|---|---|--:|--:|--:|--:|\n" + "".join(lines)
    )


def _figure(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.1f}" if values else ""
    return f"{mean(values):.1f} ± {stdev(values):.1f}"


if __name__ == "__main__":
    main(sys.argv[1:])
