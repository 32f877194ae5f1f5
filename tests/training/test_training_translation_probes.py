"""The probes of translators, on translators whose answers are known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from genlab.core.batch import Batch
from genlab.core.condition import NONE, SOURCE, STYLE, Condition
from genlab.core.modality import Classes, Images, Modality
from genlab.training.model_probes import ProbeInput
from genlab.training.translation_probes import cycles, energy_distance, translations

SIDE, COUNT = 16, 32
TARGET = Images(1, SIDE, SIDE)
DOMAINS = Classes(("day", "night"))
LEVEL = 1 / 127.5  # a byte


def pictures(seed: int, low: float = -0.9, high: float = 0.9) -> Tensor:
    """Return images of 4 × 4 blocks, which differ in their colours."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(COUNT, 1, 4, 4, generator=random) * (high - low) + low
    return coarse.repeat_interleave(4, 2).repeat_interleave(4, 3)


SOURCES, TARGETS = pictures(0, high=0.1), pictures(1, low=-0.1)


@dataclass
class Translating:
    """Translates by a function of the sources and labels."""

    there: Callable[[Tensor, Tensor], Tensor]
    conditions: Mapping[str, Modality] = field(default_factory=lambda: {SOURCE: TARGET})

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        return self.there(condition[SOURCE], condition.get("label", torch.zeros(count)))


@dataclass
class TwoWays(Translating):
    """Translates there, and back by a function of the translations."""

    back: Callable[[Tensor], Tensor] = lambda x: x

    def translate_back(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        return self.back(x)


LABELLED: Mapping[str, Modality] = {SOURCE: TARGET, "label": DOMAINS}


def given(model: Translating, real: Tensor = TARGETS, *, aligned: bool = False) -> ProbeInput:
    labels = torch.arange(COUNT) % 2
    batch = Batch(real, torch.arange(COUNT), {SOURCE: SOURCES, "label": labels})
    return ProbeInput(model, batch, batch, TARGET, 0, 20, aligned)


def look(model: Translating, real: Tensor = TARGETS, *, aligned: bool = False) -> dict[str, float]:
    return {name: float(value) for name, value in translations(given(model, real, aligned=aligned)).items()}


def test_copying_the_source_changes_nothing_and_comes_no_nearer() -> None:
    seen = look(Translating(lambda x, _: x))
    assert seen["translation_change"] == 0
    assert seen["domain_gap"] == pytest.approx(1)
    assert seen["source_effect"] > 0.5


def test_perfect_translations_of_pairs_match_their_own_truth() -> None:
    truth = SOURCES.rot90(dims=(2, 3)) + 0.8
    seen = look(Translating(lambda x, _: x.rot90(dims=(2, 3)) + 0.8), truth, aligned=True)
    assert seen["translation_change"] == pytest.approx(1)
    assert seen["source_match"] > 100
    assert seen["colour_inversion"] < 0.01
    assert "domain_gap" not in seen


def test_translations_that_have_nothing_to_do_with_their_source_match_no_truth() -> None:
    other = TARGETS.roll(3, 0)
    seen = look(Translating(lambda x, _: other[: len(x)]), aligned=True)
    assert seen["source_match"] == pytest.approx(1, abs=0.1)


def test_sides_of_one_kind_have_no_gap() -> None:
    assert "domain_gap" not in look(Translating(lambda x, _: x), SOURCES.roll(5, 0))


def test_one_picture_for_all_sources_ignores_them() -> None:
    assert look(Translating(lambda x, _: TARGETS[:1].expand(len(x), -1, -1, -1)))["source_effect"] == 0


@pytest.mark.parametrize("aligned", [True, False])
def test_inverted_translations_are_nearer_to_the_targets_if_inverted(aligned: bool) -> None:
    wrong = look(Translating(lambda x, _: -TARGETS[: len(x)]), aligned=aligned)
    well = look(Translating(lambda x, _: TARGETS[: len(x)]), aligned=aligned)
    assert wrong["colour_inversion"] > 2
    assert well["colour_inversion"] < 0.5


def test_a_domain_has_an_effect_or_none() -> None:
    obeying = look(Translating(lambda x, y: x + 0.5 * y[:, None, None, None], LABELLED))
    ignoring = look(Translating(lambda x, _: x + 0.5, LABELLED))
    assert obeying["label_effect"] > 0.5
    assert ignoring["label_effect"] == 0
    assert "label_effect" not in look(Translating(lambda x, _: x))


def test_sides_of_different_shapes_are_compared_by_their_source_alone() -> None:
    colour = TARGETS.expand(-1, 3, -1, -1)
    assert set(look(Translating(lambda x, _: x.expand(-1, 3, -1, -1)), colour)) == {"source_effect"}


def test_models_of_styles_and_a_few_images_are_not_looked_at() -> None:
    styled: Mapping[str, Modality] = {SOURCE: TARGET, STYLE: TARGET}
    assert not look(Translating(lambda x, _: x, styled))
    two = given(Translating(lambda x, _: x))
    few = ProbeInput(two.model, two.real, two.unseen[:2], TARGET, 0, 20)
    assert not translations(few)


def cycle(model: TwoWays) -> tuple[float, float]:
    seen = {name: float(value) for name, value in cycles(given(model)).items()}
    return seen["cycle_error"], seen["cycle_error_noisy"]


def test_an_open_cycle_hardly_suffers_from_noise() -> None:
    clean, noisy = cycle(TwoWays(lambda x, _: -x, back=lambda x: -x))
    assert clean == 0
    assert noisy < 0.1


def test_a_source_that_is_hidden_below_a_byte_is_lost_with_rounding_and_noise() -> None:
    """The translation is grey but for a hundredth of a grey level of the source."""
    clean, noisy = cycle(TwoWays(lambda x, _: 0.01 * LEVEL * x, back=lambda x: (100 * x / LEVEL).clamp(-1, 1)))
    assert clean < 1e-3
    assert noisy > 1


def test_the_energy_distance_of_sets_of_one_distribution_is_about_0() -> None:
    random = torch.Generator().manual_seed(0)
    one, two = torch.randn(2, 500, 4, generator=random)
    assert energy_distance(one, two) == pytest.approx(0, abs=0.02)
    assert energy_distance(one, two + 3) > 3
