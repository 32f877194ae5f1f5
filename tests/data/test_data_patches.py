"""Patches of pictures in their own sizes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import genlab as package
from genlab.core.errors import DataError, UsageError
from genlab.core.modality import Images
from genlab.data.dataset import Source
from genlab.data.loader import Loader
from genlab.data.patches import Patches, Ragged
from genlab.data.restoration import open_degraded

SIZES = [(40, 70), (64, 32), (33, 33), (100, 50), (32, 32), (20, 90)]  # the last is smaller than a patch


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate(SIZES):
        for title in ("train", "test"):
            (tmp_path / "photos" / title).mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
            picture.save(tmp_path / "photos" / title / f"{number}.png")
    return tmp_path / "photos"


def opened(folder: Path, *words: str, side: int = 32, **options: object) -> Source:
    return open_degraded(str(folder), words or ("blur=1",), patches=side, progress=False, **options)  # type: ignore[arg-type]


def patches_of(source: Source) -> tuple[Patches, Patches]:
    parts = tuple(split.target for split in (source.train, source.held_out))  # type: ignore[attr-defined]
    assert all(isinstance(part, Patches) for part in parts)
    return parts  # type: ignore[return-value]


def ragged(*sizes: tuple[int, int]) -> Ragged:
    """Return pictures whose pixels are all different numbers, modulo 251."""
    lengths = [3 * height * width for height, width in sizes]
    numbers = (np.arange(sum(lengths)) % 251).astype(np.uint8)
    begins = np.cumsum([0, *lengths[:-1]])
    return Ragged(numbers, np.column_stack([begins, np.array(sizes)]), 3)


def test_patches_are_parts_of_their_pictures_in_one_of_eight_symmetries() -> None:
    pictures = ragged((40, 70), (50, 33))
    data = Patches("test", pictures, 32, 0, True, "")
    assert len(data) == 2 + 1, "as many as fit without overlap"
    seen = set()
    for epoch in range(60):
        for row, patch in enumerate(data.cut(np.arange(3), np.full(3, epoch))):
            whole = np.lib.stride_tricks.sliding_window_view(pictures[data.owners[row]], (32, 32), (1, 2))
            ways = [np.rot90(patch, -way, (1, 2)) for way in range(4)]
            ways += [np.rot90(patch[..., ::-1], -way, (1, 2)) for way in range(4)]
            found = [way for way, each in enumerate(ways) if (whole == each[:, None, None]).all((0, 3, 4)).any()]
            assert len(found) == 1
            seen.add(found[0])
    assert seen == set(range(8))


def test_every_place_is_reached_and_the_same_seed_cuts_the_same() -> None:
    pictures = ragged((34, 33))
    data = Patches("test", pictures, 32, 7, False, "")
    cut = data.cut(np.zeros(200, np.int64), np.arange(200))
    assert len({patch.tobytes() for patch in cut}) == 3 * 2
    assert (cut == data.cut(np.zeros(200, np.int64), np.arange(200))).all()
    other = Patches("test", pictures, 32, 8, False, "").cut(np.zeros(200, np.int64), np.arange(200))
    assert (cut != other).any()


def test_a_folder_is_read_in_its_own_sizes(folder: Path) -> None:
    source = opened(folder)
    train, held_out = patches_of(source)
    assert source.total == 12
    assert train.spec.target == Images(3, 32, 32)
    assert [each.reason for each in source.rejected] == ["is smaller than a patch of 32 pixels"] * 2
    assert sorted(map(tuple, train.pictures.places[:, 1:].tolist())) == sorted(SIZES[:-1])
    for part, title in ((train, "train"), (held_out, "test")):
        stored = {part.pictures[row].tobytes() for row in range(5)}
        files = [np.array(Image.open(folder / title / f"{number}.png")) for number in range(5)]
        assert stored == {np.ascontiguousarray(file.transpose(2, 0, 1)).tobytes() for file in files}
    assert train.turned
    assert not held_out.turned
    assert "2 pictures left out" in source.notes["too small"]


def test_a_loader_of_patches_continues_bit_for_bit_and_degrades_what_it_cut(folder: Path) -> None:
    data = opened(folder, "bicubic=2").train
    with Loader(data, 4, seed=0) as loader:
        batches = [next(loader) for _ in range(6)]
    with Loader(data, 4, seed=0, position=4) as loader:
        later = next(loader)
    assert torch.equal(later.x, batches[4].x)
    assert torch.equal(later.condition["source"], batches[4].condition["source"])
    small = batches[0].condition["source"]
    assert small.shape == (4, 3, 16, 16)
    assert (small - torch.nn.functional.avg_pool2d(batches[0].x, 2)).abs().mean() < 0.15
    assert len({batch.x.numpy().tobytes() for batch in batches}) == 6


def test_the_fingerprint_changes_with_pixels_sizes_and_the_side(folder: Path) -> None:
    before = opened(folder).train.fingerprint
    assert opened(folder).train.fingerprint == before
    assert opened(folder, side=16).train.fingerprint != before
    assert opened(folder, "blur=2").train.fingerprint != before
    Image.new("RGB", (64, 64)).save(folder / "train" / "0.png")
    assert opened(folder).train.fingerprint != before


def test_what_cannot_be_cut_is_refused_with_the_reason(folder: Path) -> None:
    with pytest.raises(
        DataError, match="smaller than a patch of 128 pixels; the shorter side of the largest has 50"
    ):
        opened(folder, side=128)
    with pytest.raises(UsageError, match="no --patches 8"):
        opened(folder, side=8)
    with pytest.raises(UsageError, match="--size 32 has no effect"):
        opened(folder, size=32)
    with pytest.raises(UsageError, match="folders and zips of pictures, not for"):
        open_degraded("digits", ("blur=1",), patches=32)
    with pytest.raises(UsageError, match=f'no folder or zip of pictures "{folder}s". Did you mean "{folder}"'):
        open_degraded(f"{folder}s", ("blur=1",), patches=32)
    with pytest.raises(UsageError, match="32×32 pixels cannot be reduced by 3"):
        opened(folder, "bicubic=3")


def test_patches_are_described_and_drawn(folder: Path, tmp_path: Path) -> None:
    described = package.data(folder, patches=32, out=tmp_path / "patches.png")
    values = described.values()
    assert values["shape"] == [3, 32, 32]
    assert (values["total"], values["accepted"], len(values["rejected"])) == (12, 10, 2)
    assert values["splits"]["train"]["count"] == 2 + 2 + 1 + 3 + 1
    assert "cut out at random" in str(described)
    assert described.path.is_file()
    with pytest.raises(UsageError, match="--patches 32 is for one folder or zip of pictures, not for --label"):
        package.data(folder, patches=32, label="a")
    with pytest.raises(UsageError, match="so that --size 8 has no effect"):
        package.data(folder, patches=32, size=8)
