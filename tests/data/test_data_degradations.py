"""What is done to pictures before a model restores them."""

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.core.errors import UsageError
from genlab.core.modality import Images, Points
from genlab.core.random import Draws, generator
from genlab.data.dataset import make_dataset
from genlab.data.degradations import DEGRADATIONS, chain
from genlab.data.holes import HOLES
from genlab.data.wrappers import Degraded

RNG = np.random.default_rng(0)
SMOOTH = np.kron(RNG.integers(0, 256, (6, 3, 4, 4), np.uint8), np.ones((1, 1, 8, 8), np.uint8))  # (6, 3, 32, 32)
DATA = make_dataset("squares", SMOOTH, None, ())


def draws(seed: int = 0) -> Draws:
    return Draws(generator(seed, "test"), 1)


def degraded(*words: str, seed: int = 0) -> Degraded:
    return Degraded(DATA, chain(words), " ".join(words), seed)


def test_bicubic_is_pillows_and_makes_the_source_smaller() -> None:
    split = degraded("bicubic=4")
    assert split.spec.conditions["source"] == Images(3, 8, 8)
    source = split.batch(np.arange(6)).condition["source"]
    for made, picture in zip(source, SMOOTH, strict=True):
        theirs = Image.fromarray(picture.transpose(1, 2, 0)).resize((8, 8), Image.Resampling.BICUBIC)
        assert torch.equal(((made + 1) * 127.5).round().permute(1, 2, 0), torch.tensor(np.array(theirs)).float())


def test_a_range_is_drawn_anew_for_each_picture_and_epoch_and_again_the_same() -> None:
    split, rows = degraded("noise=0:60"), np.arange(6)
    now, again, later = (
        split.batch(rows, np.full(6, epoch)).condition["source"] - split.batch(rows).x for epoch in (0, 0, 1)
    )
    assert torch.equal(now, again)
    assert not torch.equal(now, later)
    assert len({round(each.std().item(), 4) for each in now}) == 6, "each has its own strength"
    one = split.batch(rows[3:4]).condition["source"]
    assert torch.equal(one[0], split.batch(rows).condition["source"][3])


@pytest.mark.parametrize(
    ("word", "least"), [("blur=2", 0.01), ("jpeg=10", 0.001), ("grey=1", 0.01), ("noise=20", 0.01)]
)
def test_each_degradation_changes_pictures_and_leaves_their_size(word: str, least: float) -> None:
    batch = degraded(word).batch(np.arange(6))
    source = batch.condition["source"]
    assert source.shape == batch.x.shape
    assert (source - batch.x).abs().mean() > least
    assert source.abs().max() <= 1


def test_grey_keeps_the_luma() -> None:
    source = degraded("grey=1").batch(np.arange(6)).condition["source"]
    assert torch.equal(source[:, :1].expand(-1, 3, -1, -1), source)
    theirs = np.array(Image.fromarray(SMOOTH[0].transpose(1, 2, 0)).convert("L"))
    assert np.abs((source[0, 0].numpy() + 1) * 127.5 - theirs).max() < 0.51


def test_a_chain_is_applied_in_order() -> None:
    small = degraded("blur=1", "bicubic=2", "noise=5", "jpeg=60")
    assert small.spec.conditions["source"] == Images(3, 16, 16)
    first, second = (
        degraded(*words).batch(np.arange(6)).condition["source"]
        for words in (
            ("blur=1", "bicubic=2"),
            ("bicubic=2", "blur=1"),
        )
    )
    assert not torch.equal(first, second)


@pytest.mark.parametrize("kind", HOLES)
def test_holes_hide_a_part_of_the_source_and_the_mask_says_which(kind: str) -> None:
    batch = degraded(f"holes={kind}").batch(np.arange(6))
    source, mask = batch.condition["source"], batch.condition["mask"]
    assert mask.shape == (6, 1, 32, 32)
    assert {*mask.unique().tolist()} == {-1.0, 1.0}
    hole = (mask > 0).expand_as(source)
    assert torch.equal(source[~hole], batch.x[~hole])
    assert (source[hole] == 0).all()
    share = hole.float().mean((1, 2, 3))
    assert (share > 0.005).all()
    assert (share < 0.95).all()
    if kind == "centre":
        assert (share == 0.25).all()
    elif kind == "half":
        assert (share == 0.5).all()
    else:
        assert not torch.equal(mask[0], mask[1])


@pytest.mark.parametrize("kind", HOLES)
def test_holes_of_many_draws_stay_inside_pictures_of_any_sides(kind: str) -> None:
    for seed in range(20):
        for height, width in ((16, 16), (17, 40), (64, 9)):
            hole = HOLES[kind](height, width, draws(seed))
            assert hole.shape == (height, width)
            assert hole.dtype == np.bool_
            assert 0 < hole.sum() < height * width


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needs a degradation or more"),
        (["blurr=2"], 'no degradation "blurr". Did you mean "blur"?'),
        (["blur"], "needs a standard deviation in pixels after the =, such as blur=2 or blur=0:2"),
        (["bicubic=2.5"], "one whole number"),
        (["bicubic=2:4"], "one whole number"),
        (["jpeg=200"], "jpeg takes a quality, from 1 to 100"),
        (["noise=nan"], "noise takes a standard deviation in levels of 255, from 0 to 255"),
        (["noise=30:10"], "goes from high to low. Give noise=10:30"),
        (["blur=1 bicubic=4"], "is several degradations. Give them apart: --degrade blur=… bicubic=4"),
        (["blur=1,bicubic=4"], "Give them apart"),
        (["bicubic=2", "bicubic=2"], "reduces pictures twice"),
        (["bicubic=2", "holes=centre"], "reduces pictures, and makes holes; a model learns one of both"),
        (["holes=center"], 'no holes "center", nor a folder of masks. Did you mean "centre"?'),
        (["holes=centre", "blur=1"], "Holes come last"),
    ],
)
def test_a_wrong_word_is_answered_with_what_would_be_right(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        chain(words)
    assert message in str(refused.value)


def test_sides_that_cannot_be_divided_and_other_data_are_refused() -> None:
    with pytest.raises(UsageError, match="30×30 pixels cannot be reduced by 4"):
        chain(["bicubic=4"]).conditions(Images(3, 30, 30))
    with pytest.raises(UsageError, match="pictures of bytes"):
        chain(["blur=1"]).conditions(Points(2))


def test_every_row_is_tried_here() -> None:
    assert set(DEGRADATIONS) == {"bicubic", "blur", "noise", "jpeg", "grey"}
