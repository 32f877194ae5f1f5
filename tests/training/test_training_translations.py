"""How translations are measured and drawn while a model trains: beside their truth, if known, and sources."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import NONE, Condition
from genlab.core.modality import Classes, DataSpec, Images, Modality
from genlab.core.pictures import Picture, beside, image_grid
from genlab.metrics import feature_statistics
from genlab.training import held_out as held_outs
from genlab.training.evaluation import Evaluation, evaluate, evaluate_on
from genlab.training.held_out import HeldOut
from genlab.training.preview import preview

GREY = Images(1, 16, 16)
PAIRED = DataSpec(GREY, {"source": GREY})
LABEL = Classes(("dark", "light"))
STEP = 2 / 255


class Translator(nn.Module):
    """Multiplies sources by a factor; with 1 it does nothing."""

    conditions: Mapping[str, Modality] = {"source": GREY}

    def __init__(self, factor: float = 1) -> None:
        super().__init__()
        self.factor = factor

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        return condition["source"] * self.factor


class Hiding(Translator):
    """Makes all translations grey but for a thousandth of the source, and reads that to translate back."""

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        return condition["source"] / 1000

    def translate_back(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        return x * 1000


class Both(Translator):
    """Turns to the negative and back."""

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        return -condition["source"]

    def translate_back(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        return -x


class Domains(Translator):
    """Makes images as dark or light as their domain, or does nothing."""

    conditions: Mapping[str, Modality] = {"source": GREY, "label": LABEL}

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        source, label = condition["source"], condition["label"].view(-1, 1, 1, 1)
        return source if self.factor else source.abs() * (2 * label - 1)


def images(count: int, seed: int = 0) -> Tensor:
    """Return images of bytes that are no negatives of each other."""
    draws = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 1, 16, 16), generator=draws) * STEP - 1


def negatives(count: int = 60) -> Batch:
    """Return images whose sources are their negatives."""
    truth = images(count)
    return Batch(truth, torch.arange(count), {"source": -truth})


def domains(count: int = 60) -> Batch:
    """Return dark images of the domain 0 and light ones of 1, each with a source of one of them."""
    label = torch.arange(count) % 2
    x = images(count).abs() * (2 * label.view(-1, 1, 1, 1) - 1)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(1))
    return Batch(x, torch.arange(count), {"label": label, "source": x[order], "source_label": label[order]})


def unaligned(model: nn.Module, batch: Batch) -> Evaluation:
    return evaluate_on(HeldOut(batch, 0, aligned=False), model)


def test_a_perfect_translator_reaches_the_truth_and_one_that_does_nothing_the_floor() -> None:
    perfect, nothing = (evaluate(Translator(factor), negatives(), 0).values for factor in (-1, 1))
    assert perfect["translation_l1"] == 0
    assert perfect["translation_psnr"] == pytest.approx(58.92, abs=0.01)
    assert perfect["fd[pixels]"] == pytest.approx(0, abs=1e-6)
    assert nothing["translation_l1"] == nothing["source_l1"] == perfect["source_l1"] > 0.5
    assert nothing["fd[pixels]"] == nothing["fd_source[pixels]"] == perfect["fd_source[pixels]"] > 1
    assert "cycle_l1" not in perfect


def test_the_truth_decides_only_if_a_model_has_learned_from_pairs() -> None:
    known = HeldOut(negatives(), 0)
    assert evaluate_on(known, Translator()).criterion == "translation_l1"
    unpaired = evaluate_on(known, Translator(), pairs=False)
    assert unpaired.criterion == "fd[pixels]"
    assert unpaired.values["translation_l1"] > 0.5, "it is measured all the same"


def test_nothing_is_compared_with_a_truth_that_is_unknown() -> None:
    found = unaligned(Both(), negatives())
    assert found.values.keys() == {"fd[pixels]", "fd_source[pixels]", "cycle_l1"}
    assert found.criterion == "fd[pixels]"


def test_what_is_hidden_below_a_byte_is_lost_on_the_way_back() -> None:
    assert unaligned(Both(), negatives()).values["cycle_l1"] == pytest.approx(0, abs=1e-6)
    assert unaligned(Hiding(), negatives()).values["cycle_l1"] > 0.5


def test_distances_are_within_each_domain_so_that_doing_nothing_is_no_translation() -> None:
    batch = domains()
    good, nothing = (unaligned(Domains(factor), batch) for factor in (0, 1))
    assert good.protocol["domains"] == nothing.protocol["domains"] == 2
    assert good.values["fd[pixels]"] < nothing.values["fd[pixels]"] / 4
    assert nothing.values["fd[pixels]"] == nothing.values["fd_source[pixels]"]
    pooled = unaligned(Translator(), Batch(batch.x, batch.index, {"source": batch.condition["source"]}))
    assert pooled.values["fd[pixels]"] == pytest.approx(0, abs=1e-3), "all sources are all targets"


def test_domains_of_one_image_each_have_no_floor() -> None:
    few = domains(2)
    assert unaligned(Domains(), few).values.keys() == {"fd[pixels]"}


def test_each_source_is_translated_once_and_the_floor_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []
    before = feature_statistics.feature_statistics

    def counted(extractor: Any, pieces: Any, *rest: Any) -> Any:
        measured.append(len(pieces))
        return before(extractor, pieces, *rest)

    monkeypatch.setattr(held_outs, "feature_statistics", counted)
    held_out = HeldOut(negatives(), 0)
    first, second = (evaluate_on(held_out, Translator()).values for _ in range(2))
    assert first == second
    assert measured == [1, 1, 1, 1]  # of the truth, the translations, the sources; then of the translations
    few = replace(held_out.distance, samples=20)
    assert evaluate(Translator(), negatives(), 0, few).protocol["fake"] == 20


def test_sources_of_another_size_are_resized_for_the_floor() -> None:
    batch = negatives()
    small = Batch(batch.x, batch.index, {"source": batch.x[:, :, ::2, ::2]})

    class Enlarging(Translator):
        conditions: Mapping[str, Modality] = {"source": Images(1, 8, 8)}

        def sample(
            self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None
        ) -> Tensor:
            return condition["source"].repeat_interleave(2, 2).repeat_interleave(2, 3)

    found = evaluate(Enlarging(), small, 0).values
    assert 0 < found["translation_l1"] != found["source_l1"] > 0


# previews


def columns_in(picture: Picture, columns: int) -> Iterator[Picture]:
    """Yield the columns of images of the first eight rows, which are drawn 64 pixels wide."""
    block = picture[-(8 * 66 - 2) :, : columns * 66 - 2]
    yield from (block[:, place * 66 :][:, :64] for place in range(columns))


def enlarged(x: Tensor) -> Tensor:
    times = 64 // x.shape[-1]
    return x.repeat_interleave(times, -1).repeat_interleave(times, -2)


def drawn(column: Tensor) -> Picture:
    return image_grid(enlarged(column)[:8], 1)


@pytest.mark.parametrize(
    ("model", "aligned", "shown"),
    [
        (Translator(-1), True, ("source", "made", "truth")),
        (Translator(-1), False, ("source", "made")),
        (Both(), True, ("source", "made", "truth", "back")),
        (Hiding(), False, ("source", "grey", "back")),
    ],
)
def test_a_preview_has_a_row_for_each_source(model: nn.Module, aligned: bool, shown: tuple[str, ...]) -> None:
    batch = negatives()
    source = batch.condition["source"]
    expected = {"source": source, "made": -source, "truth": batch.x, "back": source, "grey": source / 1000}
    picture = preview(model, batch, replace(PAIRED, aligned=aligned), 0)
    assert picture.shape[1] == 2 * (len(shown) * 66 - 2) + 16  # rows 8 to 15 are to the right
    for name, column in zip(shown, columns_in(picture, len(shown)), strict=True):
        assert np.array_equal(column, drawn(expected[name])), name
    assert (picture[: -(8 * 66)] < 128).any(), "headings"


def test_a_preview_shows_a_source_in_each_domain() -> None:
    batch = domains()
    spec = DataSpec(GREY, {"label": LABEL, "source": GREY, "source_label": LABEL}, aligned=False)
    source = batch.condition["source"]
    picture = preview(Domains(0), batch, spec, 0)
    wanted = (source, -source.abs(), source.abs())
    for column, expected in zip(columns_in(picture, 3), wanted, strict=True):
        assert np.array_equal(column, drawn(expected))


def test_a_preview_shows_content_and_style_before_the_result() -> None:
    batch, style = negatives(), images(60, 1)

    class Mixing(Translator):
        conditions: Mapping[str, Modality] = {"source": GREY, "style": GREY}

        def sample(
            self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None
        ) -> Tensor:
            return (condition["source"] + condition["style"]) / 2

    content = batch.condition["source"]
    given = Batch(style, batch.index, {"source": content, "style": style})
    spec = DataSpec(GREY, {"source": GREY, "style": GREY}, aligned=False)
    picture = preview(Mixing(), given, spec, 0)
    for column, expected in zip(columns_in(picture, 3), (content, style, (content + style) / 2), strict=True):
        assert np.array_equal(column, drawn(expected))


def test_few_sources_are_one_block() -> None:
    batch = negatives()[:3]
    picture = preview(Translator(-1), batch, PAIRED, 0)
    names = ["source", "translation", "truth"] * 3
    rows = torch.stack([batch.condition["source"], batch.x, batch.x], 1).flatten(0, 1)
    assert np.array_equal(picture, image_grid(enlarged(rows), 3, names))
    assert beside(picture, picture).shape[1] == 2 * picture.shape[1] + 16
