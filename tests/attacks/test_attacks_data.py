"""Damaged caches, pictures and archives: no traceback, no hang, no other picture than the right one."""

import gzip
import random
import shutil
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import safetensors.torch
from attempts import Ended, attempt, call
from mutations import DAMAGE, contents, copy, mutate
from PIL import Image

FORMATS: Mapping[str, Mapping[str, object]] = {
    "png": {},
    "jpg": {},
    "gif": {},
    "bmp": {},
    "webp": {"lossless": True},
    "tiff": {"compression": "tiff_lzw"},
    "ppm": {},
    "tga": {},
    "ico": {"sizes": [(24, 24)]},
}
BYTES = ("flip", "cut", "lose", "grow", "swap")  # the damage that a single file of a data set is tried with
OPTIONS = ["--size", "16", "--batch-size", "4", "--steps", "2", "--width", "8", "--latent", "3", "--device", "cpu"]


def picture(seed: int, channels: int = 3, side: int = 24) -> np.ndarray:
    """Return a picture with structure: a square of one colour on a gradient."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(0, 255, side)[:, None, None] * rng.random(channels)
    drawn = np.repeat(rows, side, 1)
    drawn[4:12, 6:18] = rng.integers(0, 256, channels)
    return drawn.astype(np.uint8)


def photos(folder: Path) -> Path:
    for number in range(24):
        place = folder / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number)).save(place / f"{number}.png")
    return folder


def archives(folder: Path) -> Mapping[str, Path]:
    """Write one archive of each kind and return them by name."""
    folder.mkdir(parents=True)
    images = np.stack([picture(number, 1)[:, :, 0] for number in range(24)])
    with zipfile.ZipFile(folder / "photos.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(photos(folder / "photos").rglob("*.png")):
            archive.write(path, path.relative_to(folder / "photos"))
    shutil.rmtree(folder / "photos")
    np.savez(folder / "plain.npz", images=images, labels=np.arange(24) % 3)
    np.savez_compressed(folder / "packed.npz", images=images)
    np.save(folder / "array.npy", images)
    idx = struct.pack(">BBBB3I", 0, 0, 8, 3, *images.shape) + images.tobytes()
    for name in ("train", "t10k"):
        kind = folder / "idx" / f"{name}-images-idx3-ubyte"
        kind.parent.mkdir(exist_ok=True)
        kind.write_bytes(idx)
        labels = struct.pack(">BBBBI", 0, 0, 8, 1, 24) + bytes(number % 3 for number in range(24))
        Path(f"{kind.parent}/{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    return {path.name: path for path in folder.iterdir()}


def train(data: Path, root: Path) -> list[str]:
    return ["train", "autoencoder", "--data", str(data), "--root", str(root), "--name", "run", "--quiet", *OPTIONS]


def weights(root: Path) -> bytes:
    tensors = safetensors.torch.load_file(root / "run" / "checkpoints" / "last" / "model.safetensors")
    return b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors))


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, tuple[Path, bytes]]]:
    """A cache with an entry of a folder of pictures and of each archive, and the weights that each trains to."""
    root = tmp_path_factory.mktemp("cached")
    sources = {"photos": photos(root / "photos"), **archives(root / "archives")}
    trained = {}
    for name, source in sources.items():
        ended = attempt(train(source, root / "runs" / name), cache=root / "cache")
        assert (ended.codes, ended.fault) == ([0], ""), ended.said
        trained[name] = source, weights(root / "runs" / name)
    return root / "cache", trained


def attack_cache(cached: tuple[Path, Mapping[str, tuple[Path, bytes]]], place: Path, seed: int) -> str:
    """Damage a file of a copy of the cache, train with it, and return what went wrong, "" if nothing did."""
    rng = random.Random(seed)
    (place / "outside").mkdir(parents=True)
    (place / "outside" / "precious.txt").write_text("precious")
    before = contents(place / "outside")
    cache = copy(cached[0], place / "cache")
    path = rng.choice(sorted(path for path in cache.rglob("*") if path.is_file()))
    what = f"seed {seed}: {mutate(path, rng)} {path.relative_to(cache)}"
    for name, (source, right) in cached[1].items():
        ended = attempt(train(source, place / name), cache=cache)
        if ended.fault or ended.codes != [0]:
            return f"{what}: {name}: {ended.fault or ended.said}"
        if weights(place / name) != right:
            return f"{what}: {name}: trained on other pictures"
    return "" if contents(place / "outside") == before else f"{what}: changed files outside"


def attack_pictures(place: Path, seed: int, number: int) -> str:
    """Open whole pictures among `number` damaged ones, and return what went wrong, "" if nothing did."""
    rng = random.Random(seed)
    place.mkdir(parents=True)
    for at in range(number):
        form = rng.choice(sorted(FORMATS))
        path = place / f"damaged-{at:03}.{form}"
        Image.fromarray(picture(rng.randrange(1000))).save(path, **FORMATS[form])
        DAMAGE[rng.choice(BYTES)](path, rng)
    for at in range(8):
        Image.fromarray(picture(at)).save(place / f"whole-{at}.png")
    ended = call(_open_pictures, str(place), cache=place.parent / "cache")
    return f"seed {seed}: {ended.fault}" if ended.fault else ""


def _open_pictures(ended: Ended, folder: str) -> None:
    import genlab

    with mock.patch("os.cpu_count", return_value=2):
        source = genlab.as_source(folder, size=24, channels=3, max_rejected=1.0)
    values = [
        *source.train.batch(np.arange(len(source.train))).x,
        *source.held_out.batch(np.arange(len(source.held_out))).x,
    ]
    there = {
        bytes(np.asarray(((value + 1) * 127.5).round(), np.uint8).transpose(1, 2, 0).tobytes()) for value in values
    }
    missing = [at for at in range(8) if picture(at).tobytes() not in there]
    assert not missing, f"whole pictures {missing} are not there, or others"


def attack_archive(sources: Mapping[str, Path], place: Path, seed: int) -> str:
    """Describe a damaged copy of an archive, and return what went wrong, "" if nothing did."""
    rng = random.Random(seed)
    name = rng.choice(sorted(sources))
    copied = place / name
    place.mkdir(parents=True)
    if sources[name].is_dir():
        copy(sources[name], copied)
        path = rng.choice(sorted(copied.iterdir()))
    else:
        path = Path(shutil.copy(sources[name], copied))
    way = rng.choice(BYTES)
    DAMAGE[way](path, rng)
    ended = attempt(["data", str(copied), "--out", str(place / "drawn.png")], cache=place / "cache")
    return f"seed {seed}: {way} {path.relative_to(place)}: {ended.fault}" if ended.fault else ""


def failures(attack: Callable[[int], str], seeds: range) -> list[str]:
    return [failure for seed in seeds if (failure := attack(seed))]


def test_a_damaged_cache_is_built_again(
    cached: tuple[Path, Mapping[str, tuple[Path, bytes]]], tmp_path: Path
) -> None:
    assert failures(lambda seed: attack_cache(cached, tmp_path / str(seed), seed), range(1)) == []


def test_damaged_pictures_are_rejected_and_change_no_other(tmp_path: Path) -> None:
    assert failures(lambda seed: attack_pictures(tmp_path / str(seed) / "in", seed, 20), range(1)) == []


def test_damaged_archives_give_clear_errors(tmp_path: Path) -> None:
    sources = archives(tmp_path / "whole")
    assert failures(lambda seed: attack_archive(sources, tmp_path / str(seed), seed), range(10)) == []


@pytest.mark.slow
def test_a_cache_that_was_damaged_two_hundred_times_is_built_again(
    cached: tuple[Path, Mapping[str, tuple[Path, bytes]]], tmp_path: Path
) -> None:
    assert failures(lambda seed: attack_cache(cached, tmp_path / str(seed), seed), range(100, 300)) == []


@pytest.mark.slow
def test_two_thousand_damaged_pictures_change_no_other(tmp_path: Path) -> None:
    assert failures(lambda seed: attack_pictures(tmp_path / str(seed) / "in", seed, 50), range(100, 140)) == []


@pytest.mark.slow
def test_three_hundred_damaged_archives_give_clear_errors(tmp_path: Path) -> None:
    sources = archives(tmp_path / "whole")
    assert failures(lambda seed: attack_archive(sources, tmp_path / str(seed), seed), range(100, 400)) == []
