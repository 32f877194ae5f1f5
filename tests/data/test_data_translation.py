"""Data with two sides, as a person with two folders expects them to be read."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.core.errors import DataError, GenlabError, UsageError
from genlab.data import decoding
from genlab.data.check import checked
from genlab.data.dataset import Source
from genlab.data.translation import open_sides, open_translation
from genlab.data.two_sides import TwoSides
from genlab.data.wrappers import Paired, Unpaired, WithStyle

Open = Callable[..., Source]
SIZE = 8


@pytest.fixture(name="read")
def _read(cache: Path) -> Open:
    """`open_translation` with a cache of its own."""

    def call(data: object, reads: str = "pairs", **options: object) -> Source:
        given = {"size": SIZE, "cache": cache, "progress": False} | options
        return checked(open_translation(str(data), reads, **given))  # type: ignore[arg-type]

    return call


def dot(path: Path, level: int, *, mode: str = "RGB", size: tuple[int, int] = (SIZE, SIZE)) -> None:
    """Write a picture of one level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, level).convert(mode).save(path)


def two_folders(root: Path, count: int = 20, a: str = "A", b: str = "B") -> Path:
    """Write pairs: number i has level i in A and 200 − i in B."""
    for at in range(count):
        dot(root / a / f"{at:02}.png", at)
        dot(root / b / f"{at:02}.bmp", 200 - at)
    return root


def levels(source: Source) -> list[tuple[int, int]]:
    """Return the levels of source and target of all examples."""
    found = []
    for split in (source.train, source.held_out):
        batch = split.batch(np.arange(len(split)))
        both = zip(batch.condition["source"][:, 0, 0, 0], batch.x[:, 0, 0, 0], strict=True)
        found += [(round(float(s + 1) * 127.5), round(float(x + 1) * 127.5)) for s, x in both]
    return found


def fails(read: Open, data: object, *words: str, kind: type[GenlabError] = DataError, **options: object) -> None:
    """Check that all words are in the message of the error."""
    with pytest.raises(kind) as error:
        read(data, **options)
    for word in words:
        assert word in str(error.value), (word, str(error.value))


def test_pairs_have_equal_names_and_both_are_in_the_same_split(read: Open, root: Path) -> None:
    source = read(two_folders(root))
    assert isinstance(source.train, Paired)
    assert isinstance(source.held_out, Paired)
    assert sorted(levels(source)) == [(at, 200 - at) for at in range(20)]
    assert source.domains == ("A", "B")
    assert (source.total, source.rejected) == (40, ())
    assert source.notes["pairs"] == "20 pairs by file name"
    assert source.train.spec.aligned


def test_the_direction_exchanges_source_and_target(read: Open, root: Path) -> None:
    source = read(two_folders(root), direction="b-to-a")
    assert sorted(levels(source)) == sorted((200 - at, at) for at in range(20))
    assert source.domains == ("B", "A")
    assert source.notes["direction"] == "B → A"


def test_names_are_equal_below_the_folder_without_suffix_and_case(read: Open, root: Path) -> None:
    for at in range(5):
        dot(root / "A" / "deep" / f"Café.{at}.PNG", at)
        dot(root / "B" / "Deep" / f"cafe\N{COMBINING ACUTE ACCENT}.{at}.jpg", 200 - at)
    assert len(levels(read(root))) == 5


@pytest.mark.parametrize(
    "folders",
    [
        ("trainA", "trainB", "testA", "testB"),
        ("TRAINA", "trainb", "TestA", "TESTB"),
        ("train_A", "train_B", "val_A", "val_B"),
        ("train/A", "train/B", "test/A", "test/B"),
        ("A/train", "B/train", "A/val", "B/val"),
        ("training/horses", "training/zebras", "validation/horses", "validation/zebras"),
        ("around/trainA", "around/trainB", "around/testA", "around/testB"),
    ],
)
def test_folders_for_splits_are_kept(read: Open, root: Path, folders: tuple[str, str, str, str]) -> None:
    two_folders(root, 6, *folders[:2])
    two_folders(root, 2, *folders[2:])
    source = read(root)
    assert (len(source.train), len(source.held_out)) == (6, 2)
    assert sorted(levels(source)) == sorted((at, 200 - at) for at in (*range(6), *range(2)))
    assert source.notes["split"] == "the source's own"


@pytest.mark.parametrize("folders", [("trainA", "trainB"), ("train/A", "train/B"), ("A/train", "B/train")])
def test_training_folders_alone_are_split_as_if_there_were_none(
    read: Open, root: Path, folders: tuple[str, str]
) -> None:
    source = read(two_folders(root, 12, *folders))
    assert sorted(levels(source)) == [(at, 200 - at) for at in range(12)]
    assert "hash" in source.notes["split"]


def test_two_folders_of_any_names_are_taken_in_alphabetical_order(read: Open, root: Path) -> None:
    source = read(two_folders(root, 12, "zebras", "Horses"))
    assert source.domains == ("Horses", "zebras")
    assert "alphabetical order: A is Horses/" in source.notes["sides"]
    assert all(one > two for one, two in levels(source))


def test_a_zip_is_read_as_its_folder(read: Open, root: Path, tmp_path: Path) -> None:
    two_folders(root / "inside", 12)
    archive = shutil.make_archive(str(tmp_path / "pairs"), "zip", root)
    folder, zipped = read(root), read(archive)
    assert sorted(levels(zipped)) == sorted(levels(folder))
    assert folder.train.fingerprint == zipped.train.fingerprint


def test_targets_and_sources_can_lie_in_two_places(read: Open, root: Path, tmp_path: Path) -> None:
    two_folders(root, 12, "sketches", "photos")
    archive = shutil.make_archive(str(tmp_path / "sketches"), "zip", root / "sketches")
    for source in (root / "sketches", archive):
        both = read(root / "photos", source=str(source))
        assert sorted(levels(both)) == [(at, 200 - at) for at in range(12)]
        assert both.domains == ("sketches", "photos")
        assert both.total == 24
    turned = read(root / "photos", source=str(root / "sketches"), direction="b-to-a")
    assert sorted(levels(turned)) == sorted((200 - at, at) for at in range(12))
    assert turned.domains == ("photos", "sketches")


def test_files_without_a_partner_are_listed_with_the_reason(read: Open, root: Path) -> None:
    two_folders(root, 20)
    dot(root / "A" / "alone.png", 99)
    (root / "B" / "03.bmp").write_bytes(b"damaged")
    (root / "README.txt").write_text("about")
    source = read(root, max_rejected=0.05)
    reasons = {its.path: its.reason for its in source.rejected}
    assert reasons == {
        "A/03.png": "its partner cannot be used: B/03.bmp: not an image",
        "A/alone.png": "no file of this name in B/",
        "B/03.bmp": "not an image",
        "README.txt": "not an image",
    }
    assert len(levels(source)) == 19
    assert 2 * 19 + len(source.rejected) == source.total
    assert "2 files without a partner rejected" in source.notes["pairs"]


def test_missing_partners_are_no_damage(read: Open, root: Path) -> None:
    two_folders(root, 20)
    for at in range(15):
        dot(root / "A" / f"alone{at}.png", at)
    assert len(read(root, max_rejected=0).rejected) == 15


def test_few_equal_names_are_refused_unless_pairs_are_asked_for(read: Open, root: Path) -> None:
    two_folders(root, 5)
    for at in range(10):
        dot(root / "A" / f"one{at}.png", at)
        dot(root / "B" / f"two{at}.png", at)
    fails(read, root, "5 pairs", "15 pictures in A/", "A/one0.png", "B/two0.png", "--pairs aligned", "cyclegan")
    assert len(levels(read(root, pairs="aligned"))) == 5


def test_no_equal_names_are_refused(read: Open, root: Path) -> None:
    for at in range(4):
        dot(root / "A" / f"one{at}.png", at)
        dot(root / "B" / f"two{at}.png", at)
    for pairs in ("auto", "aligned"):
        fails(read, root, "0 pairs of equal names", "cyclegan or cut", pairs=pairs)


def test_a_name_that_two_files_have_is_refused_for_pairs(read: Open, root: Path) -> None:
    two_folders(root, 10)
    dot(root / "A" / "03.jpg", 3)
    fails(read, root, "2 files in A/ share a name", "A/03.jpg, A/03.png")
    assert len(read(root, "sides").train.source) >= 8  # type: ignore[attr-defined]


def test_sides_are_unpaired_in_training_and_paired_to_measure(read: Open, root: Path) -> None:
    source = read(two_folders(root, 40), "sides")
    assert isinstance(source.train, Unpaired)
    assert isinstance(source.held_out, Paired)
    assert (source.train.spec.aligned, source.held_out.spec.aligned) == (False, True)
    train = len(source.train)
    found = levels(source)
    assert any(one + two != 200 for one, two in found[:train])
    assert all(one + two == 200 for one, two in found[train:])
    assert "--pairs unaligned" in source.notes["pairs"]


def test_pairs_decides_for_models_that_read_sides(read: Open, root: Path) -> None:
    two_folders(root, 20)
    both = [read(root, "sides", pairs=pairs) for pairs in ("aligned", "unaligned")]
    for source, kind in zip(both, (Paired, Unpaired), strict=True):
        assert isinstance(source.train, kind)
        assert isinstance(source.held_out, kind)


def test_unpaired_data_for_a_model_of_pairs_say_that_they_are_unpaired(read: Open, root: Path) -> None:
    source = read(two_folders(root), pairs="unaligned")
    assert not source.train.spec.aligned  # which the recipe refuses


def test_sides_without_equal_names_use_every_picture(read: Open, root: Path) -> None:
    for at in range(30):
        dot(root / "A" / f"one{at}.png", at)
    for at in range(12):
        dot(root / "B" / f"two{at}.png", 100 + at)
    source = read(root, "sides")
    for split in (source.train, source.held_out):
        assert isinstance(split, Unpaired)
    counts = [len(split.source) for split in (source.train, source.held_out)]  # type: ignore[attr-defined]
    assert sum(counts) == 30
    assert len(source.train) + len(source.held_out) == 12
    assert source.rejected == ()
    assert source.notes["pairs"] == "unpaired"


def test_few_held_out_names_that_differ_leave_all_unpaired(read: Open, root: Path) -> None:
    two_folders(root, 8, "trainA", "trainB")
    two_folders(root, 4, "testA", "testB")
    dot(root / "testA" / "more.png", 1)
    assert isinstance(read(root, "sides").held_out, Unpaired)


def test_one_side_in_grey_is_read_in_colour(read: Open, root: Path) -> None:
    for at in range(6):
        dot(root / "A" / f"{at}.png", at, mode="L")
        dot(root / "B" / f"{at}.png", at)
    source = read(root)
    assert source.train.spec.target == source.train.spec.conditions["source"]
    assert source.train.spec.target.shape == (3, SIZE, SIZE)
    assert source.notes["colours"].startswith("A/ is grey and read in colour")
    grey = read(root, channels=1)
    assert grey.train.spec.conditions["source"].shape == (1, SIZE, SIZE)
    assert "colours" not in grey.notes


def test_pairs_that_cropping_cuts_apart_are_refused_or_a_few_left_out(read: Open, root: Path) -> None:
    two_folders(root, 20)
    dot(root / "A" / "04.png", 4, size=(16, 8))
    fails(read, root, "1 of 20 pairs differ", "A/04.png (16x8) with B/04.bmp (8x8)", "--max-rejected 0.05")
    source = read(root, max_rejected=0.05)
    assert len(levels(source)) == 19
    assert {its.path for its in source.rejected} == {"A/04.png", "B/04.bmp"}
    assert "aspect ratio, 16x8, differs" in source.rejected[0].reason
    assert isinstance(read(root, "sides").train, Unpaired)


def test_pairs_of_other_sizes_or_a_pixel_more_stay_pairs(read: Open, root: Path) -> None:
    two_folders(root, 10)
    dot(root / "A" / "04.png", 4, size=(64, 64))
    dot(root / "A" / "05.png", 5, size=(200, 199))
    assert len(levels(read(root))) == 10


def test_typically_wider_pictures_on_one_side_are_noted(read: Open, root: Path) -> None:
    for at in range(6):
        dot(root / "A" / f"{at}.png", at, size=(16, 8))
        dot(root / "B" / f"b{at}.png", at)
    assert "2.00 in A/ and 1.00 in B/" in read(root, "sides").notes["aspect ratios"]


def side_by_side(root: Path, count: int = 12, size: tuple[int, int] = (2 * SIZE, SIZE)) -> Path:
    for at in range(count):
        picture = Image.new("RGB", size, (at, at, at))
        picture.paste((200 - at,) * 3, (size[0] // 2, 0, *size))
        root.mkdir(exist_ok=True, parents=True)
        picture.save(root / f"{at:02}.png")
    return root


def test_the_halves_of_a_picture_are_its_sides(read: Open, root: Path) -> None:
    source = read(side_by_side(root, size=(80, 40)), side_by_side=True)
    assert sorted(levels(source)) == [(at, 200 - at) for at in range(12)]
    assert source.train.spec.target.shape == (3, SIZE, SIZE)
    assert len(source.train) + len(source.held_out) == source.total == 12
    batch = source.train.batch(np.arange(len(source.train)))
    assert float(batch.x.std((2, 3)).max()) < 1e-5, "the other half bleeds in"
    turned = read(root, side_by_side=True, direction="b-to-a")
    assert sorted(levels(turned)) == sorted((200 - at, at) for at in range(12))
    assert source.domains == ("A", "B")


def test_halves_belong_together_whatever_other_files_are_called(read: Open, root: Path) -> None:
    side_by_side(root, 6)
    dot(root / "00.bmp", 50, size=(2 * SIZE, SIZE))
    assert sorted(levels(read(root, side_by_side=True))) == sorted(
        [(50, 50), *((at, 200 - at) for at in range(6))]
    )


def test_halves_in_folders_for_splits_and_in_a_zip(read: Open, root: Path, tmp_path: Path) -> None:
    side_by_side(root / "facades" / "train", 5)
    side_by_side(root / "facades" / "val", 3)
    archive = shutil.make_archive(str(tmp_path / "facades"), "zip", root)
    for data in (root, archive):
        source = read(data, "sides", side_by_side=True)
        assert (len(source.train), len(source.held_out)) == (5, 3)
        assert (type(source.train), type(source.held_out)) == (Unpaired, Paired)


def test_pictures_that_are_not_twice_as_wide_as_high_refuse_all(read: Open, root: Path) -> None:
    side_by_side(root, 6)
    dot(root / "odd.png", 1, size=(17, 8))
    assert len(levels(read(root, side_by_side=True))) == 7
    dot(root / "tall.png", 1, size=(30, 8))
    fails(read, root, "1 of 8 pictures", "tall.png (30x8)", "leave out --side-by-side", side_by_side=True)


def test_a_picture_that_its_orientation_turns_upright_is_not_twice_as_wide(read: Open, root: Path) -> None:
    side_by_side(root, 6)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90°
    Image.new("RGB", (16, 8)).save(root / "turned.jpg", exif=exif)
    fails(read, root, "turned.jpg (8x16)", side_by_side=True)


def test_styles_belong_to_no_content(read: Open, root: Path) -> None:
    source = read(two_folders(root, 12), "styles")
    assert isinstance(source.train, WithStyle)
    batch = source.train.batch(np.arange(4))
    assert batch.condition["style"].equal(batch.x)
    assert source.train.spec.conditions.keys() == {"source", "style"}
    assert all(two > 150 for _, two in levels(source))
    fails(read, root, "--pairs aligned", reads="styles", pairs="aligned", kind=UsageError)


def test_domains_are_classes(read: Open, root: Path) -> None:
    source = read(two_folders(root, 12), "domains")
    assert source.train.spec.conditions.keys() == {"label", "source", "source_label"}
    flat = side_by_side(root / "A" / "flat")
    fails(read, flat, "one sub-folder for each domain", reads="domains")


def test_a_second_opening_decodes_nothing_and_gives_the_same(
    read: Open, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read(two_folders(root), "sides")
    monkeypatch.setattr(decoding, "read_header", None)
    monkeypatch.setattr(decoding, "decode", None)
    again = read(root, "sides")
    assert first.train.fingerprint == again.train.fingerprint
    assert levels(first) == levels(again)
    paired = read(root)
    assert sorted(levels(paired)) == [(at, 200 - at) for at in range(20)]


def test_a_pair_stays_in_its_split_when_others_come(read: Open, root: Path) -> None:
    few = read(two_folders(root, 40))
    held_out = set(levels(few)[len(few.train) :])
    more = read(two_folders(root, 60))
    kept = set(levels(more)[len(more.train) :])
    assert held_out <= kept


def test_a_changed_pixel_on_either_side_changes_the_fingerprint(read: Open, root: Path) -> None:
    marks = {read(two_folders(root)).train.fingerprint}
    for file in ("A/00.png", "B/00.bmp", "A/01.png"):
        dot(root / file, 250)
        source = read(root)
        marks.add(source.train.fingerprint + source.held_out.fingerprint)
    assert len(marks) == 4


def test_two_sides_tell_how_they_match(root: Path, cache: Path) -> None:
    two_folders(root, 8)
    dot(root / "A" / "alone.png", 9)
    sides = open_sides(root, size=SIZE, cache=cache, progress=False)
    assert isinstance(sides, TwoSides)
    assert len(sides.pairs) == 8
    assert sides.likely_pairs
    lone_a, lone_b = sides.unmatched
    assert [sides.a.files[row] for row in lone_a] == ["A/alone.png"]
    assert not len(lone_b)
