"""Pairs that are none are found, and honest pairs are left alone."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import genlab
from genlab.core.errors import UsageError
from genlab.data.dataset import Array, Source, make_dataset
from genlab.data.pair_checks import colours, pair_notes, swapped
from genlab.data.wrappers import Degraded, Paired, Unpaired
from genlab.runs import train

Open = Callable[..., Source]
PAIRS = 40


def pictures(count: int, seed: int, channels: int = 3) -> Array:
    """Return smooth pictures (N, C, 16, 16) of bytes, no two alike."""
    low = np.random.default_rng(seed).integers(0, 256, (count, channels, 4, 4), np.uint8)
    return low.repeat(4, 2).repeat(4, 3)


def paired(sources: Array, targets: Array) -> Paired:
    one, two = (make_dataset(name, values, None, ()) for name, values in (("b", targets), ("a", sources)))
    return Paired(one, two)


def notes(split: Any) -> dict[str, str]:
    return pair_notes(Source("two sides", split, split, 2 * len(split)))


def write(folder: Path, images: Array, names: list[str] | None = None) -> Path:
    """Write pictures (N, C, H, W) as 00.png, 01.png, …"""
    folder.mkdir(parents=True)
    for row, image in enumerate(images):
        name = names[row] if names else f"{row:02d}"
        Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(folder / f"{name}.png")
    return folder


# exchanged sides


@pytest.mark.parametrize("apart", [0.0, 0.3, 1.0, 2.0, 6.0])
@pytest.mark.parametrize("tails", [2, 100])
def test_honest_pairs_are_never_said_to_be_exchanged(apart: float, tails: int) -> None:
    random = np.random.default_rng(int(10 * apart) + tails)
    for count in (20, 21, 50, 400):
        common = random.standard_normal((count, 6))
        sources, targets = (common + 0.4 * random.standard_t(tails, (count, 6)) for _ in range(2))
        targets[:, :3] += apart
        assert not swapped(sources, targets).any()


@pytest.mark.parametrize("share", [0.02, 0.1, 0.4])
def test_exchanged_pairs_are_found_and_no_others(share: float) -> None:
    random = np.random.default_rng(0)
    sources, targets = colours(pictures(300, 0)), colours(pictures(300, 1) // 4)
    exchanged = random.random(300) < share
    sources[exchanged], targets[exchanged] = targets[exchanged], sources[exchanged]
    found = swapped(sources, targets)
    assert not (found & ~exchanged).any()
    assert found.sum() >= 0.9 * exchanged.sum() > 0


def test_turned_negatives_are_in_order_until_some_are_exchanged() -> None:
    targets = pictures(200, 0) // 2
    sources = np.rot90(255 - targets, axes=(2, 3)).copy()
    assert notes(paired(sources, targets)) == {}
    sources[:7], targets[:7] = targets[:7].copy(), sources[:7].copy()
    (note,) = notes(paired(sources, targets)).values()
    assert note.startswith("7 of 200 pairs looked at: by their colours the source looks like a target")


def test_too_few_pairs_say_nothing_about_colours() -> None:
    bright, dark = colours(200 + pictures(8, 0) // 8), colours(pictures(8, 1) // 8)
    assert not swapped(np.concatenate([dark[:1], bright[1:]]), np.concatenate([bright[:1], dark[1:]])).any()


# what a training notes


def test_a_training_notes_identical_pairs_and_very_unequal_sides() -> None:
    sources, targets = pictures(PAIRS, 0), pictures(PAIRS, 1)
    targets[:3] = sources[:3]
    assert notes(paired(sources, targets)) == {
        "identical pairs": "3 of 40 pairs looked at: source and target are the same picture. `genlab data` names "
        "them"
    }
    many, few = (make_dataset(name, pictures(count, 0), None, ()) for name, count in (("b", 41), ("a", 10)))
    (note,) = notes(Unpaired(many, few, 0)).values()
    assert note.startswith("10 pictures in the sources, but 41 in the targets")
    assert notes(Unpaired(many, replace(many, name="a"), 0)) == {}


def test_a_training_looks_at_some_hundred_pairs_only() -> None:
    seen: list[int] = []

    def degrade(x: Any, draws: Any) -> Any:
        seen.append(len(x))
        return x

    data = make_dataset("many", pictures(2000, 0, channels=1), None, ())
    assert notes(Degraded(data, degrade, "nothing", 0))["identical pairs"].startswith("300 of 300 pairs")
    assert sum(seen) == 300


def test_data_without_sources_and_points_are_not_looked_at(opened: Open) -> None:
    data = make_dataset("photos", pictures(9, 0), None, ())
    assert notes(data) == pair_notes(opened("rotated-ring8")) == {}


def test_a_run_says_what_is_wrong_with_its_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for side in "AB":
        write(tmp_path / "data" / side, pictures(PAIRS, 0))
    told: list[Mapping[str, str]] = []
    monkeypatch.setattr(train, "_train", lambda run, quiet: told.append(run.notes))
    small = {"width": 2, "size": 16, "discriminator": "patch-16", "batch_size": 4}
    genlab.train("pix2pix", data=tmp_path / "data", root=tmp_path / "runs", quiet=True, **small)
    assert "source and target are the same picture" in told[0]["identical pairs"]


# `genlab data`


def warnings_of(*sources: Path, **options: Any) -> list[str]:
    out = sources[0].parent / "drawn.png"
    described = genlab.data(*sources, out=out, **options)
    assert described.values()["warnings"] == list(described.warnings)
    assert all(f"warning: {text}" in str(described) for text in described.warnings)
    return list(described.warnings)


def test_honest_pairs_are_described_and_drawn_side_by_side_without_a_warning(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", pictures(PAIRS, 0)), write(tmp_path / "b", 255 - pictures(PAIRS, 0))
    described = genlab.data(a, b, out=tmp_path / "x.png", size=16)
    values = described.values()
    assert values["warnings"] == []
    assert values["pairs"] == PAIRS
    assert values["accepted"] == values["total"] == 2 * PAIRS
    assert values["sides"] == {name: {"where": name, "count": PAIRS, "without_partner": 0} for name in ("a", "b")}
    drawn = np.asarray(Image.open(tmp_path / "x.png"))
    assert (drawn[:32, :32] == 255 - drawn[:32, 34:66]).all()  # source, two pixels, its target


def test_unmatched_and_identical_pairs_are_warned_of_by_name(tmp_path: Path) -> None:
    sources, targets = pictures(PAIRS, 0), pictures(PAIRS, 1)
    targets[[4, 7]] = sources[[4, 7]]
    names = [f"{row:02d}" for row in range(PAIRS)]
    folder = tmp_path / "data"
    write(folder / "A", sources, ["lone", *names[1:]])
    write(folder / "B", targets, names)
    unmatched, other, identical = warnings_of(folder)
    assert unmatched.startswith("1 file in A/ without a partner in B/: A/lone.png.")
    assert other.startswith("1 file in B/ without a partner in A/: B/00.png.")
    assert identical == "2 pairs of 39: source and target are the same picture: A/04.png, A/07.png."


def test_exchanged_pairs_are_warned_of_by_name(tmp_path: Path) -> None:
    bright, dark = 255 - pictures(PAIRS, 0) // 8, pictures(PAIRS, 1) // 8
    bright[5], dark[5] = dark[5].copy(), bright[5].copy()
    write(tmp_path / "data" / "A", bright)
    write(tmp_path / "data" / "B", dark)
    (warning,) = warnings_of(tmp_path / "data")
    assert warning == (
        "1 pair of 40: by their colours the source looks like a target, and the target like a source: A/05.png."
    )


def test_very_unequal_sides_and_copies_among_held_out_pictures_are_warned_of(tmp_path: Path) -> None:
    horses, zebras, held_out = pictures(45, 0), pictures(10, 1), pictures(4, 2)
    held_out[2] = np.minimum(horses[11].astype(int) + 3, 255)  # nearly the same
    folder = tmp_path / "data"
    write(folder / "trainA", horses, [f"horse{row}" for row in range(45)])
    write(folder / "trainB", zebras, [f"zebra{row}" for row in range(10)])
    write(folder / "testA", held_out, [f"other{row}" for row in range(4)])
    write(folder / "testB", pictures(1, 3), ["more"])
    unequal, copies = warnings_of(folder)
    assert unequal.startswith("11 pictures in trainB/ and testB/, but 49 in trainA/ and testA/")
    assert copies.startswith(
        "1 held-out picture in trainA/ and testA/ that training also has, the same or nearly: "
    )
    assert "testA/other2.png and trainA/horse11.png" in copies


def test_few_equal_names_are_no_pairs_and_that_is_said(tmp_path: Path) -> None:
    write(tmp_path / "data" / "A", pictures(20, 0), [f"a{row}" if row > 2 else f"{row}" for row in range(20)])
    write(tmp_path / "data" / "B", pictures(20, 1), [f"b{row}" if row > 2 else f"{row}" for row in range(20)])
    (warning,) = warnings_of(tmp_path / "data")
    assert warning.startswith(
        "3 file names on both sides, too few to be taken for pairs: A/0.png, A/1.png, A/2.png."
    )
    assert any("without a partner" in text for text in warnings_of(tmp_path / "data", pairs="aligned"))


def test_halves_are_two_sides(tmp_path: Path) -> None:
    folder = write(tmp_path / "wide", np.concatenate([pictures(20, 0), pictures(20, 1)], axis=3))
    described = genlab.data(folder, side_by_side=True, size=16, out=tmp_path / "x.png")
    assert described.source.train.spec.aligned
    assert described.values()["pairs"] == 20


def test_the_direction_says_which_side_is_left(tmp_path: Path) -> None:
    bright = 128 + pictures(20, 0) // 2
    write(tmp_path / "data" / "A", bright)
    write(tmp_path / "data" / "B", pictures(20, 1) // 8)
    for direction, left_is_brighter in (("a-to-b", True), ("b-to-a", False)):
        genlab.data(tmp_path / "data", direction=direction, size=16, out=tmp_path / "x.png")
        drawn = np.asarray(Image.open(tmp_path / "x.png"))
        assert (drawn[:32, :32].mean() > drawn[:32, 34:66].mean()) == left_is_brighter


@pytest.mark.parametrize("classes", [("cats", "dogs"), ("A", "B", "C")])
def test_classes_stay_classes(tmp_path: Path, classes: tuple[str, ...]) -> None:
    for seed, name in enumerate(classes):
        write(tmp_path / "data" / name, pictures(12, seed))
    described = genlab.data(tmp_path / "data", out=tmp_path / "x.png")
    assert tuple(described.source.train.spec.class_names) == classes
    assert "sides" not in described.values()


def test_data_with_one_side_have_no_direction(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two sides"):
        genlab.data(pictures(20, 0), direction="b-to-a", out=tmp_path / "x.png")
