"""Compares the speed of genlab with pythae, a library of autoencoders: same networks, pictures and batch size.

    pip install pythae==0.1.2
    python benchmarks/peers.py [--repeats 5] [--write docs/peers.md]

Both train in turns on 1,024 pictures in the usual way: pythae with `BaseTrainer.train`, which reads a DataLoader,
shows a bar and saves the model at the end; genlab with `fit`, including its loader, its checks and the log, in
bf16 and in float32. The networks are pythae's: its perceptron (512 hidden units; 4 epochs) and its convolutions
for MNIST (128 to 1,024 channels; 1 epoch), with a latent of 16 dimensions, on random grey pictures of 28×28.

References:
    Chadebec, Vincent and Allassonnière, 2022. Pythae: Unifying Generative Autoencoders in Python.
    arXiv:2206.08309.
"""

import argparse
import contextlib
import io
import logging
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genlab.architectures.mixed import MixedSequential
from genlab.bench import page
from genlab.bench.cases import Case, ours, pictures
from genlab.bench.measure import Spread, interleaved, ratios, seconds
from genlab.bench.page import Row, Section
from genlab.core import device as devices
from genlab.core.modality import DataSpec
from genlab.families.vae import VAE
from genlab.objectives.reconstruction import RECONSTRUCTION
from genlab.recipes.vae import VAERecipe

BATCH, LATENT, SIDE = 64, 16, 28
CPU = torch.device("cpu")
AIMS = {"perceptron": 12.0, "convolutions": 6.0}
PYTHAE = "pythae"
EPOCHS = {"perceptron": 4, "convolutions": 1}  # at least a second


class Heads(nn.Module):
    """Concatenates means and log-variances, as genlab's VAE expects."""

    def __init__(self, mean: nn.Module, log_variance: nn.Module) -> None:
        super().__init__()
        self.mean, self.log_variance = mean, log_variance

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, 2 · latent)."""
        return torch.cat([self.mean(features), self.log_variance(features)], dim=1)


class Halved(nn.Module):
    """Halves its input: pythae's sigmoid x is genlab's (1 + tanh x/2)/2."""

    def forward(self, logits: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        return logits / 2


def networks(kind: str) -> Any:  # noqa: ANN401 (pythae has no types)
    """Return pythae's encoder and decoder."""
    from pythae.models import VAEConfig
    from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST
    from pythae.models.nn.default_architectures import Decoder_AE_MLP, Encoder_VAE_MLP

    config = VAEConfig(input_dim=(1, SIDE, SIDE), latent_dim=LATENT, reconstruction_loss="bce")
    if kind == "perceptron":
        return Encoder_VAE_MLP(config), Decoder_AE_MLP(config)
    return Encoder_Conv_VAE_MNIST(config), Decoder_Conv_AE_MNIST(config)


@dataclass(frozen=True)
class Theirs(VAERecipe):
    """A VAE of genlab around the layers of pythae's networks."""

    kind: str = "perceptron"

    def model(self, spec: DataSpec) -> nn.Module:
        """Return a `VAE` without the decoder's last sigmoid, which is part of the loss."""
        encoder, decoder = networks(self.kind)
        heads = Heads(encoder.embedding, encoder.log_var)
        first, *middle, (last, _) = decoder.layers
        if self.kind == "perceptron":
            inward = [nn.Flatten(), *encoder.layers, heads]
            outward = [first, last, nn.Unflatten(1, spec.target.shape), Halved()]
        else:
            inward = [*encoder.layers, nn.Flatten(), heads]
            outward = [first, nn.Unflatten(1, (1024, 4, 4)), *middle, last, Halved()]
        encoding, decoding = MixedSequential(*inward), MixedSequential(*outward)
        return VAE(DataSpec(spec.target), encoding, decoding, LATENT, RECONSTRUCTION["bce"](spec.target))


def measure(kind: str, repeats: int) -> list[Row]:
    """Time both libraries for `EPOCHS` epochs."""
    data = pictures(Case("vae", 1, SIDE))
    steps = EPOCHS[kind] * len(data) // BATCH
    recipe = Theirs(kind=kind, batch_size=BATCH, latent=LATENT, lr=1e-3)
    with contextlib.ExitStack() as stack:
        works: dict[str, Callable[[], object]] = {
            name: partial(stack.enter_context(ours(recipe, data, CPU, dtype)), steps)
            for name, dtype in devices.precisions(CPU).items()
        }
        place = stack.enter_context(tempfile.TemporaryDirectory())
        works[PYTHAE] = partial(_train, kind, data.batch(np.arange(len(data))).x, Path(place))
        found = interleaved({name: partial(seconds, work) for name, work in works.items()}, repeats)
    speeds = {name: [steps * BATCH / value for value in values] for name, values in found.items()}
    return [
        *(Row(f"{kind}: {name}", Spread.of(values), "images/s") for name, values in speeds.items()),
        *(
            Row(
                f"{kind}: {name} to {PYTHAE}",
                ratios(speeds[name], speeds[PYTHAE]),
                "times",
                least=AIMS[kind] if name == "bf16" else None,
            )
            for name in devices.precisions(CPU)
        ),
    ]


def _train(kind: str, images: Tensor, place: Path) -> None:
    """Train pythae's VAE with its own trainer, without output on the terminal."""
    from pythae import models
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    logging.disable(logging.INFO)
    encoder, decoder = networks(kind)
    config = models.VAEConfig(input_dim=(1, SIDE, SIDE), latent_dim=LATENT, reconstruction_loss="bce")
    options: Mapping[str, Any] = {
        "output_dir": str(place),
        "num_epochs": EPOCHS[kind],
        "per_device_train_batch_size": BATCH,
        "learning_rate": 1e-3,
        "no_cuda": True,
    }
    data = BaseDataset((images + 1) / 2, torch.zeros(len(images)))
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        trainer = BaseTrainer(models.VAE(config, encoder, decoder), data, None, BaseTrainerConfig(**options))
        trainer.train()
    logging.disable(logging.NOTSET)


def main(arguments: Sequence[str]) -> None:
    """Measure, print the page, and write it if requested."""
    summary, _, rest = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(prog="python benchmarks/peers.py", description=summary)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    options = parser.parse_args(arguments)
    about = page.machine()
    rows = [row for kind in EPOCHS for row in measure(kind, options.repeats)]
    method = rest.partition("\n\n")[2]
    command = shlex.join(["python", "benchmarks/peers.py", *arguments])
    text = page.page("# Another library\n", command, about, [Section("pythae 0.1.2", method.strip(), rows)])
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
