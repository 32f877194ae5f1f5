"""Finds a feature extractor by its name."""

import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genlab.core.device import float16_units
from genlab.core.distributed import rank0_first
from genlab.core.errors import DataError, UsageError, suggestion
from genlab.core.files import expanded
from genlab.core.parts import Part, Table, registered
from genlab.data.cache import cache_folder
from genlab.data.dataset import Source
from genlab.data.progress import bar
from genlab.metrics.extractors.extractor import Extractor, ExtractorOutput
from genlab.metrics.extractors.resize import Resize

NAMES = ("efficientnet-lite0", "inception", "classifier", "pixels")
SECONDS = 30.0  # without a byte


def find_extractor(
    name: str,
    device: torch.device,
    source: Source | None = None,
    *,
    resize: Resize = "antialiased",
    progress: bool = True,
) -> Extractor:
    """Return an extractor by its name.

    `inception:PATH` gives the file of its weights, and `efficientnet-lite0@96` another input size. EfficientNet
    computes in float16 if the device has units for it. The others compute in float32: inception, because its
    figures are compared with published ones, the rest, because they are small.

    Args:
        name: one of `NAMES`.
        device: where it computes.
        source: the data with the labels that `classifier` is trained on.
        resize: how images are resized to the network's input.
        progress: show progress bars on a terminal.

    Raises:
        UsageError: an unknown name, or a classifier without labels.
        DataError: the weights of inception cannot be downloaded.
    """
    kind, _, path = name.partition(":")
    if kind.startswith("efficientnet-lite0") and not path:
        from genlab.metrics.extractors.efficientnet import efficientnet_lite0

        side = _side(kind)
        return efficientnet_lite0(device, "float16" if float16_units() else "float32", resize, side)
    if kind == "inception":
        from genlab.metrics.extractors.inception import inception

        weights = expanded(path) if path else rank0_first(partial(_download, progress))
        return inception(weights, device, resize)
    if name == "pixels":
        from genlab.metrics.extractors.pixels import pixels

        return pixels(device)
    if name in registered("extractor"):
        return EXTRACTORS[name](device)
    if name == "classifier":
        from genlab.runs.classifier import classifier_of

        if source is None:
            raise UsageError("the extractor classifier needs a labelled source of real pictures to learn from")
        return rank0_first(partial(classifier_of, source, device, progress=progress))
    raise _unknown(name)


def require(name: str) -> None:
    """Check that there is an extractor of this name, or that it is "auto".

    Raises:
        UsageError: there is none.
    """
    if name.partition(":")[0].partition("@")[0] not in ("auto", *EXTRACTORS):
        raise _unknown(name)


def _unknown(name: str) -> UsageError:
    near = suggestion(name.partition(":")[0], EXTRACTORS)
    return UsageError(f'no extractor "{name}".{near} Choices: {", ".join(EXTRACTORS)}.')


def own_extractor(part: Part, own: Mapping[str, Any]) -> Callable[[torch.device], Extractor]:
    """Return a function that makes a user's own extractor on a device.

    The part is a function of colour images (B, 3, H, W) in [-1, 1] that returns features (B, D), or a module class
    of one, which is built with a fixed seed and gets no gradients. Its stamp is the hash of the user's file.

    Raises:
        UsageError: it is neither; or, when images are measured, features of another shape.
    """
    value = part.value
    if not callable(value):
        raise UsageError(
            f'the extractor "{part.name}" must be a function (images) -> features (batch, dimensions), or a '
            f"torch.nn.Module or its class, not a {type(value).__name__}."
        )

    def make(device: torch.device) -> Extractor:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = value() if isinstance(value, type) else value
        if isinstance(network, torch.nn.Module):
            network.eval().requires_grad_(False).to(device)

        def features(images: Tensor) -> ExtractorOutput:
            made = network(images)
            if not isinstance(made, Tensor) or made.ndim != 2 or len(made) != len(images):
                got = f"shape {tuple(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
                raise UsageError(
                    f'the extractor "{part.name}" must return features of shape ({len(images)}, dimensions) for '
                    f"{len(images)} images, not {got}."
                )
            return ExtractorOutput(made)

        return Extractor(part.name, features, part.origin.sha256[:12], device=device)

    return make


def _built_in(name: str) -> Callable[[torch.device], Extractor]:
    return lambda device: find_extractor(name, device)


EXTRACTORS: Table[Callable[[torch.device], Extractor]] = Table(
    "extractor", {name: _built_in(name) for name in NAMES}, own_extractor
)


def _side(name: str) -> int:
    """Return the input side of `efficientnet-lite0` or `efficientnet-lite0@SIDE`."""
    from genlab.metrics.extractors.efficientnet import SIDE

    network, at, side = name.partition("@")
    if network != "efficientnet-lite0" or (at and not side.isdecimal()) or (at and not 32 <= int(side) <= 512):
        raise UsageError(f'no extractor "{name}". The side must be from 32 to 512, as in efficientnet-lite0@96.')
    return int(side) if at else SIDE


def _download(progress: bool) -> Path:
    """Return the file of Inception's weights, downloaded if it is not cached; its content is checked later."""
    from genlab.metrics.extractors.inception import URL

    path = cache_folder() / URL.rpartition("/")[2]
    if path.is_file():
        return path
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(URL, timeout=SECONDS) as reply, part.open("wb") as copy, bar(progress) as show:
            task = show.add_task("weights of Inception", total=int(reply.headers.get("Content-Length", 0)) or None)
            while block := reply.read(2**20):
                copy.write(block)
                show.advance(task, len(block))
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DataError(
            f"cannot download the weights of Inception, {URL}: {error}. Without a connection: copy that file "
            "here by other means and use --extractor inception:PATH, or measure with efficientnet-lite0, whose "
            "weights are installed with genlab."
        ) from error
    part.replace(path)
    return path
