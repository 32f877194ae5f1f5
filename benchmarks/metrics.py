"""Shows what each metric detects: real pictures, corrupted more and more, are compared with uncorrupted ones.

    python benchmarks/metrics.py --data cifar10.zip [--extractor efficientnet-lite0] [--images 2000] [--write PAGE]

The "generated" pictures are training pictures of the source, in each row corrupted in one way; the real ones are
the same number of its held-out pictures. A good metric gets steadily worse down a group of rows. The first row is
without corruption: the value for two sets of real pictures.
"""

import argparse
import io
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from genlab.bench import page
from genlab.core.pictures import to_bytes
from genlab.core.random import generator
from genlab.data.dataset import Source
from genlab.data.source import open_source
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.feature_statistics import FeatureStatistics, feature_statistics
from genlab.metrics.figures import Figure
from genlab.metrics.neighbours import memorisation
from genlab.metrics.sets import compare
from genlab.metrics.similarity import likeness
from genlab.runs.extractors import find_extractor
from genlab.runs.statistics import random_rows, real_statistics

CHUNK = 250
COLUMNS = ("fd", "kd", "score", "precision", "recall", "density", "coverage", "ms_ssim", "nearest", "copies")


def blur(images: Tensor, sigma: float) -> Tensor:
    """Return images blurred by a Gaussian of `sigma` pixels."""
    place = torch.arange(-int(3 * sigma + 1), int(3 * sigma + 1) + 1, dtype=torch.float32)
    weights = torch.exp(-(place**2) / (2 * sigma**2))
    weights = (weights / weights.sum()).expand(images.shape[1], 1, 1, -1)
    half, channels = len(place) // 2, images.shape[1]
    padded = torch.nn.functional.pad(images, (half, half, half, half), mode="replicate")
    along = torch.nn.functional.conv2d(padded, weights, groups=channels)
    return torch.nn.functional.conv2d(along, weights.transpose(2, 3), groups=channels)


def noise(images: Tensor, deviation: float) -> Tensor:
    """Return images with Gaussian noise."""
    drawn = torch.randn(images.shape, generator=generator(0, "noise"))
    return (images + deviation * drawn).clamp(-1, 1)


def jpeg(images: Tensor, quality: float) -> Tensor:
    """Return images after being stored as JPEG."""
    again = []
    for image in to_bytes(images):
        file = io.BytesIO()
        Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(file, "jpeg", quality=int(quality))
        stored = np.asarray(Image.open(file), np.float32)
        again.append(np.atleast_3d(stored).transpose(2, 0, 1) / 127.5 - 1)
    return torch.from_numpy(np.stack(again))


def crop(images: Tensor, share: float) -> Tensor:
    """Return the middle of images, enlarged to their size."""
    side = images.shape[-1]
    inner = round(side * share)
    start = (side - inner) // 2
    middle = images[..., start : start + inner, start : start + inner]
    return interpolate(middle, (side, side), mode="bicubic", antialias=True).clamp(-1, 1)


CORRUPTIONS: Mapping[str, tuple[Callable[[Tensor, float], Tensor], Sequence[float]]] = {
    "blur, σ = {} pixels": (blur, (0.5, 1.0, 2.0)),
    "noise, σ = {} of [-1, 1]": (noise, (0.05, 0.1, 0.2, 0.4)),
    "JPEG, quality {}": (jpeg, (75, 30, 10)),
    "middle, {} of the side": (crop, (0.9, 0.75, 0.5)),
}
READING = """What the rows show. The Fréchet distance (fd) detects every corruption and copies, but two missing
classes of ten only barely. The kernel distance (kd) detects the same corruptions, but hardly copies. The score
falls with quality; it does not detect copies of 500 pictures, and copies of 20 pictures or half the classes less
than JPEG at quality 30. Precision detects noise and strong blur; it does not detect missing classes, and rises
when pictures are cropped or copied, as does density. Recall falls with everything that reduces variety, to 0 for
copies. Coverage detects what precision and recall detect together. Only the last two columns detect memorised
pictures: the median distance to the nearest training picture, divided by that of new pictures (1 for new
pictures), and the fraction of copies. MS-SSIM, the similarity of random pairs, rises with strong blur and the
strongest collapse, and detects nothing else. Pictures of this source are already JPEG: stored again at quality 75
they are the same."""
CLASSES_KEPT = (8, 5, 2, 1)
COPIED = (500, 100, 20)  # number of different training pictures among the copies


def rows(source: Source, count: int) -> Iterator[tuple[str, Tensor]]:
    """Yield the name of each row and its pictures, (count, C, H, W)."""
    images = source.train.batch(random_rows(len(source.train), count)).x
    yield "uncorrupted", images
    for title, (corruption, grades) in CORRUPTIONS.items():
        for grade in grades:
            yield title.format(grade), corruption(images, grade)
    labels = source.train.labels
    if labels is not None:
        order = np.random.default_rng(0).permutation(len(labels))
        for kept in CLASSES_KEPT:
            some = order[labels[order] < kept][:count]
            yield f"{kept} of {source.train.spec.classes} classes", source.train.batch(some).x
    for different in COPIED:
        again = torch.arange(count) % different
        yield f"copies of {different} training pictures", images[again]
    yield "copies of held-out pictures", source.held_out.batch(random_rows(len(source.held_out), count)).x


def main(arguments: Sequence[str]) -> None:
    """Measure every row and print the table."""
    parser = argparse.ArgumentParser(prog="python benchmarks/metrics.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="source of pictures; rows of missing classes need labels")
    parser.add_argument("--extractor", default="efficientnet-lite0")
    parser.add_argument("--images", type=int, default=2000, help="pictures of each row (default 2000)")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the page to a file")
    options = parser.parse_args(arguments)
    about = page.machine()
    source = open_source(options.data)
    extractor = find_extractor(options.extractor, torch.device("cpu"), source)
    train = real_statistics(source.train, extractor, options.images)
    # One half of the held-out pictures is the real set, the other shows how close new pictures are to the data.
    held_out = source.held_out.batch(random_rows(len(source.held_out), 2 * options.images)).x
    real, unseen = (_statistics(extractor, part) for part in torch.chunk(held_out, 2))
    table = {}
    for name, images in rows(source, options.images):
        print(f"measuring {name}", file=sys.stderr, flush=True)
        fake = _statistics(extractor, images)
        figures = {f.name.partition("[")[0]: f for f in compare(real, fake, extractor, {})}
        copied = memorisation(train.features, unseen.features, fake.features)
        table[name] = {
            **figures,
            "ms_ssim": Figure("ms_ssim", likeness(images).value),
            "nearest": Figure("nearest", copied.ratio),
            "copies": Figure("copies", copied.copies),
        }
    data = Path(options.data).name
    shown = [data if word == options.data else word for word in arguments]
    text = _page(table, about, shlex.join(["python", "benchmarks/metrics.py", *shown]), extractor.stamp)
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


def _statistics(extractor: Extractor, images: Tensor) -> FeatureStatistics:
    return feature_statistics(extractor, [partial(torch.clone, part) for part in torch.split(images, CHUNK)])


def _page(
    table: Mapping[str, Mapping[str, Figure]], about: Mapping[str, str], command: str, stamp: Mapping[str, str]
) -> str:
    facts = "".join(f"| {name} | {value} |\n" for name, value in {**about, **stamp}.items())
    columns = [name for name in COLUMNS if all(name in figures for figures in table.values())]
    body = "".join(
        f"| {name} | {' | '.join(page.number(figures[column].value) for column in columns)} |\n"
        for name, figures in table.items()
    )
    return (
        f"# What each metric detects\n\n{(__doc__ or '').split(chr(10) * 2, 2)[2]}\n```console\n{command}\n```\n\n"
        f"| | |\n|---|---|\n{facts}\n"
        f"{READING}\n\n| pictures | {' | '.join(columns)} |\n|---|{'--:|' * len(columns)}\n{body}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
