"""A small classifier, trained once on a labelled source, that names the class of a sample."""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from genlab.core.random import generator
from genlab.data.cache import cache_folder
from genlab.data.dataset import Dataset, Source
from genlab.data.loader import Loader

EPOCHS, BATCH, CHUNK = 4, 128, 500


class Classifier(nn.Module):
    """Three convolutions and two linear layers, for grey images of 32 pixels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(32), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(64), nn.MaxPool2d(2)),
            *(nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(128), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Dropout(0.3), nn.Linear(128 * 16, 128), nn.ReLU()),
        )
        self.head = nn.Linear(128, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, classes) of images (B, 1, 32, 32) in [-1, 1]."""
        logits: Tensor = self.head(self.body(images))
        return logits

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Return what the head sees, (N, 128), of many images."""
        return torch.cat([self.body(chunk) for chunk in torch.split(images, CHUNK)])

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """Return the class of each of many images, (N,)."""
        return torch.cat([self(chunk).argmax(1) for chunk in torch.split(images, CHUNK)])


def classifier(source: Source) -> tuple[Classifier, float]:
    """Return the classifier of a source, trained now or from the cache, and its accuracy on held-out images."""
    path = cache_folder() / "classifiers" / f"{source.train.fingerprint[:16]}.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Classifier(len(source.train.classes)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if path.exists():
            model.load_state_dict(load_file(path))
        else:
            print(f"training a classifier of {source.name}", file=sys.stderr)
            _train(model, source.train)
            _save(model, path)
    model.eval().requires_grad_(False)
    return model, _accuracy(model, source.held_out)


def _train(model: Classifier, data: Dataset) -> None:
    steps = EPOCHS * len(data) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    with Loader(data, BATCH, seed=0) as batches:
        for _ in range(steps):
            batch = next(batches)
            assert batch.labels is not None
            optimizer.zero_grad()
            cross_entropy(model(batch.images), batch.labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()


def _save(model: Classifier, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)


def _accuracy(model: Classifier, data: Dataset) -> float:
    batch = data.batch(np.arange(len(data)))
    assert batch.labels is not None
    return float((model.predict(batch.images) == batch.labels).float().mean())


def diversity(features: Tensor, seed: int = 0) -> float:
    """Return the mean distance of two images in feature space, over 20,000 random pairs of (N, F)."""
    rows = torch.randint(len(features), (2, 20_000), generator=generator(seed, "pairs"))
    distances = torch.linalg.vector_norm(features[rows[0]] - features[rows[1]], dim=1)
    return float(distances.mean())
