"""Trains a classifier on the labels of a data source, once, as a feature extractor for these data."""

import hashlib

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.nn.functional import cross_entropy

from genlab.core.device import device_of, to_device
from genlab.core.errors import UsageError
from genlab.core.optimizer import adam, set_learning_rates
from genlab.core.player import Player
from genlab.core.random import derive_seed, restart_stream
from genlab.core.schedules import RATES
from genlab.data.cache import cache_folder, keep, kept
from genlab.data.dataset import IntArray, Source, Split
from genlab.data.loader import Loader
from genlab.data.progress import bar
from genlab.metrics.extractors.classifier import SIDE, Classifier, classifier
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.extractors.resize import resize

EPOCHS, LEAST_STEPS, BATCH, LR = 4, 200, 128, 2e-3
CHUNK = 500
SEED = 0  # always the same classifier for a source


def classifier_of(source: Source, device: torch.device, *, progress: bool = True) -> Extractor:
    """Return the classifier of a source's training images, trained now or read from the cache.

    Raises:
        UsageError: the source has fewer than two classes, or no pictures.
    """
    train = source.train
    if train.spec.classes < 2 or train.spec.target.spatial != 2:
        raise UsageError(
            f"a classifier needs labelled pictures, and {source.name} has none. Sort them into folders named by "
            "class, or use another --extractor."
        )
    path = cache_folder() / "classifiers" / train.fingerprint[:32]
    network = _untrained(train, device, SEED)
    data = kept(path)
    if data is None:
        _fit(network, train, SEED, max(EPOCHS * len(train) // BATCH, LEAST_STEPS), progress=progress)
        data = save({name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()})
        keep(path, data)
    network.load_state_dict(load(data))
    network.eval().requires_grad_(False)
    return classifier(network, hashlib.sha256(data).hexdigest()[:12], device)


def fitted(train: Split, device: torch.device, seed: int, steps: int, *, flip: bool = False) -> Extractor:
    """Return a classifier of labelled images, trained now; with `flip` each is mirrored with probability 1/2."""
    network = _untrained(train, device, seed)
    _fit(network, train, seed, steps, flip=flip, progress=False)
    network.eval().requires_grad_(False)
    return classifier(network, "", device)


def accuracy(extractor: Extractor, data: Split) -> float:
    """Return the accuracy of a classifying extractor on labelled images."""
    return float((predicted(extractor, data) == data.labels).mean())


@torch.no_grad()
def predicted(extractor: Extractor, data: Split) -> IntArray:
    """Return the class of each image by a classifying extractor, (N,)."""
    named = []
    for rows in np.array_split(np.arange(len(data)), -(-len(data) // CHUNK)):
        seen = extractor(data.batch(rows).x)
        assert seen.probabilities is not None
        named.append(seen.probabilities.argmax(1))
    found: IntArray = torch.cat(named).numpy()
    return found


def _untrained(train: Split, device: torch.device, seed: int) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(seed, "classifier"))
        network = Classifier(train.spec.target.shape[0], train.spec.classes)
    to_device(network, device)
    return network


@torch.enable_grad()  # may be called while samples are drawn without gradients
def _fit(network: Classifier, train: Split, seed: int, steps: int, *, flip: bool = False, progress: bool) -> None:
    """Train the network for some steps, with a cosine learning rate."""
    optimizer, rate = adam(network, "classifier", LR, (0.9, 0.999)), RATES["cosine"](steps)
    player = Player("classifier", network, optimizer)
    with (
        torch.random.fork_rng(),
        bar(progress) as show,
        Loader(train, min(BATCH, len(train)), seed=seed, device=device_of(network), flip=flip) as batches,
    ):
        for step in show.track(range(steps), description="training a classifier"):
            restart_stream(derive_seed(seed, "dropout", step), device_of(network))
            set_learning_rates([optimizer], rate(step))
            batch = next(batches)
            images: Tensor = resize(batch.x, SIDE, "antialiased")
            with player.learning():
                player.backward(cross_entropy(network.logits(images), batch.condition["label"]))
                player.update(step)
