"""Which translations a model makes."""

import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from genlab.applications.capability import spec_for
from genlab.applications.translate import (
    described,
    needed,
    returning,
    translate,
    translating_presets,
    way_into,
    ways_of,
)
from genlab.core.condition import NONE, Condition
from genlab.core.contract import TranslatesBack
from genlab.core.errors import GenlabError, UsageError
from genlab.core.modality import Classes, DataSpec, Images, Modality, Points
from genlab.recipes.presets import PRESETS

GREY, COLOUR = Images(1, 8, 8), Images(3, 8, 8)
DOMAINS = ("horse", "zebra")


class OneWay(nn.Module):
    """Inverts a picture."""

    def __init__(self, **conditions: Modality) -> None:
        super().__init__()
        self.conditions = conditions or {"source": GREY}
        self.weight = nn.Parameter(torch.ones(()))

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        return -condition["source"] * self.weight


class TwoWays(OneWay):
    """Inverts a picture, and halves it on the way back."""

    def translate_back(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        return x / 2


class ManyWays(OneWay):
    """Fills a picture with its label."""

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        return condition["label"].view(-1, 1, 1, 1).expand_as(condition["source"]).float()


LABELS = Classes(("black", "blond", "red"))
SPEC = DataSpec(GREY, {"source": GREY})


def test_a_model_translates_one_way_both_ways_or_into_each_class() -> None:
    one = ways_of(OneWay(), SPEC, DOMAINS)
    both = ways_of(TwoWays(), SPEC, DOMAINS)
    many = ways_of(ManyWays(source=GREY, label=LABELS), DataSpec(GREY, {"source": GREY, "label": LABELS}), DOMAINS)
    assert [way.name for way in one] == ["zebra"]
    assert [(way.name, way.backwards) for way in both] == [("zebra", False), ("horse", True)]
    assert [(way.name, way.label) for way in many] == [("black", 0), ("blond", 1), ("red", 2)]
    assert described(one, "horse") == ["horse to zebra"]
    assert described(both, "horse") == ["horse to zebra", "zebra to horse"]
    assert described(many, "horse") == ["pictures to black, blond, red"]
    assert returning(both, both[0]) == both[1]
    assert returning(both, both[1]) == both[0]
    assert returning(one, one[0]) is None


@pytest.mark.parametrize("preset", translating_presets())
def test_a_preset_that_learns_to_translate_translates_pictures(preset: str) -> None:
    recipe, images = replace(PRESETS[preset], width=1), Images(1, 64, 64)
    spec = spec_for(recipe, images, Classes(("a", "b")))
    model = recipe.model(spec)
    ways = needed(model, ways_of(model, spec, DOMAINS))
    names = {
        "domains": ["a", "b"],
        "sides": ["zebra", "horse"] if isinstance(model, TranslatesBack) else ["zebra"],
    }
    assert [way.name for way in ways] == names.get(recipe.reads, ["zebra"])


def test_sides_of_different_channels_are_taken_and_made_as_they_are() -> None:
    there, back = ways_of(TwoWays(source=GREY), DataSpec(COLOUR, {"source": GREY}), DOMAINS)
    assert (there.takes, there.makes) == (GREY, COLOUR)
    assert (back.takes, back.makes) == (COLOUR, GREY)


def test_each_way_is_translated_by_its_method() -> None:
    x = torch.rand(4, 1, 8, 8)
    there, back = ways_of(TwoWays(), SPEC, DOMAINS)
    assert torch.equal(translate(TwoWays(), there, x, range(4), 0), -x)
    assert torch.equal(translate(TwoWays(), back, x, range(4), 0), x / 2)
    model = ManyWays(source=GREY, label=LABELS)
    *_, red = ways_of(model, DataSpec(GREY, {"source": GREY, "label": LABELS}), DOMAINS)
    assert torch.equal(translate(model, red, x, range(4), 0), torch.full_like(x, 2))


def test_noise_depends_on_the_row() -> None:
    class Noisy(OneWay):
        def sample(
            self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None
        ) -> Tensor:
            return torch.randn(count, 1, 8, 8, generator=generator)

    x, (way,) = torch.zeros(3, 1, 8, 8), ways_of(Noisy(), SPEC, DOMAINS)
    whole = translate(Noisy(), way, x, [5, 6, 7], 1)
    assert torch.equal(whole[1:], translate(Noisy(), way, x[1:], [6, 7], 1))
    assert not torch.equal(whole, translate(Noisy(), way, x, [5, 6, 7], 2))


def test_a_domain_is_found_by_its_name() -> None:
    both = ways_of(TwoWays(), SPEC, DOMAINS)
    assert way_into(both, "Horse", "horse").backwards
    assert not way_into(both, "zebra", "horse").backwards
    with pytest.raises(UsageError, match=re.escape('no domain "zebar". Did you mean "zebra"? Choices: zebra, ho')):
        way_into(both, "zebar", "horse")
    with pytest.raises(UsageError, match="this model translates horse to zebra, not back"):
        way_into(both[:1], "horse", "horse")


@pytest.mark.parametrize(
    ("model", "spec", "error", "words"),
    [
        (
            nn.Linear(1, 1),
            DataSpec(GREY),
            GenlabError,
            "it was trained without sources.*such as pix2pix",
        ),
        (OneWay(label=LABELS), DataSpec(GREY, {"label": LABELS}), GenlabError, "does not translate"),
        (OneWay(source=GREY, style=GREY), SPEC, UsageError, "style of another one: use genlab stylize"),
        (OneWay(source=GREY, mask=GREY), SPEC, UsageError, "more than a source: source, mask"),
        (OneWay(source=Points(2)), DataSpec(Points(2)), UsageError, "points to points, not pictures to pictures"),
        (OneWay(source=Images(1, 4, 4)), SPEC, UsageError, "pictures of 4x4 to 8x8 pixels"),
    ],
)
def test_a_model_that_does_not_translate_pictures_is_refused_with_the_next_step(
    model: nn.Module, spec: DataSpec, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        needed(model, ways_of(model, spec, DOMAINS))
