"""Kinds of data: what networks, messages and files are told of each."""

import json

import numpy as np
import pytest
import torch

from genlab.core import yaml12
from genlab.core.column import Column
from genlab.core.errors import CheckpointError, UsageError
from genlab.core.modality import MODALITIES, Classes, DataSpec, Images, Modality, Points
from genlab.core.pictures import image_grid, scatter_plot
from genlab.core.table import Table

DIGITS = Classes(("no", "1", "null", "größer", "a: b"))  # names that YAML could take for something else
ROWS = Table(
    (Column("age", mean=3, missing=True, shares=(0.25, 0.75)), Column("paid by", ("cash", "", "no"))),
    header=("age", "y", "paid by", "null"),
    constants=(("null", "yes"),),
    ignored=("1",),
    label="y",
)
EVERY: tuple[Modality, ...] = (Images(3, 8, 12), Images(1, 2, 2, levels=None), Points(5), DIGITS, ROWS)
SPECS = (
    *(DataSpec(modality) for modality in EVERY),
    DataSpec(Images(1, 16, 16), {"label": DIGITS}),
    DataSpec(Points(2), {"source": Points(3), "label": Classes(()), "photo": Images(3, 4, 4, levels=None)}),
)


@pytest.mark.parametrize("spec", SPECS)
def test_a_spec_comes_back_from_its_plain_values(spec: DataSpec) -> None:
    values = spec.values()
    assert DataSpec.of(values) == spec
    assert DataSpec.of(json.loads(json.dumps(values))) == spec
    assert DataSpec.of(yaml12.read(yaml12.written(values))) == spec


def test_specs_that_differ_have_values_that_differ() -> None:
    assert all((one == other) == (one.values() == other.values()) for one in SPECS for other in SPECS)


@pytest.mark.parametrize("where", ["target", "conditions"])
def test_data_of_an_unknown_kind_are_refused_with_the_choices(where: str) -> None:
    values = DataSpec(Points(2), {"source": Points(2)}).values()
    part = values["target"] if where == "target" else values["conditions"]["source"]
    part["kind"] = "sounds"
    with pytest.raises(CheckpointError, match=f'kind "sounds".*Choices: {", ".join(MODALITIES)}'):
        DataSpec.of(values)


def test_kinds_have_their_names() -> None:
    assert {name: kind.kind for name, kind in MODALITIES.items()} == {name: name for name in MODALITIES}
    assert {type(modality) for modality in EVERY} == set(MODALITIES.values())


def test_classes_are_those_of_the_label() -> None:
    labelled = DataSpec(Images(1, 4, 4), {"label": Classes(("a", "b"))})
    assert (labelled.classes, labelled.class_names) == (2, ("a", "b"))
    for spec in (
        DataSpec(Images(1, 4, 4)),
        DataSpec(Points(2), {"label": Points(2)}),
        DataSpec(Points(2), {"style": DIGITS}),
    ):
        assert (spec.classes, spec.class_names) == (0, ())


def test_shapes_and_levels() -> None:
    assert [modality.shape for modality in EVERY] == [(3, 8, 12), (1, 2, 2), (5,), (), (5,)]
    assert [modality.levels for modality in EVERY] == [256, None, None, 5, None]
    assert [modality.spatial for modality in EVERY] == [2, 2, 0, 0, 0]


def test_channels_are_added_to_what_has_some() -> None:
    assert Images(3, 8, 12).widened(4) == Images(7, 8, 12)
    assert Images(1, 2, 2, levels=None).widened(1) == Images(2, 2, 2, levels=None)
    assert Points(5).widened(2) == Points(7)
    with pytest.raises(TypeError, match="no channels"):
        DIGITS.widened(1)


def test_raw_outputs_become_data() -> None:
    raw = torch.linspace(-9, 9, 24).view(2, 3, 2, 2)
    assert torch.equal(Images(3, 2, 2).squash(raw), torch.tanh(raw))
    assert torch.equal(Points(12).squash(raw.flatten(1)), torch.tanh(raw.flatten(1)))
    assert Classes(("a", "b", "c")).squash(torch.tensor([[0.0, 2.0, 1.0], [3.0, -1.0, 0.0]])).tolist() == [1, 0]


def test_labels_alone_can_be_invented() -> None:
    assert [None if modality is DIGITS else modality.default(3) for modality in EVERY] == [None] * 5
    assert DIGITS.default(7).tolist() == [0, 1, 2, 3, 4, 0, 1]
    assert DIGITS.default(0).dtype == torch.int64


@pytest.mark.parametrize("modality", EVERY[:3])
def test_numbers_of_another_shape_or_count_are_refused(modality: Modality) -> None:
    modality.check(torch.zeros(4, *modality.shape), 4, "source")
    for wrong in (torch.zeros(3, *modality.shape), torch.zeros(4), torch.zeros(4, 1, *modality.shape)):
        with pytest.raises(UsageError, match=r"for 4 samples; the model takes \(4, "):
            modality.check(wrong, 4, "source")


@pytest.mark.parametrize("columns", [None, 2])
def test_each_kind_is_drawn_in_its_way(columns: int | None) -> None:
    images, points = torch.rand(5, 3, 32, 32) * 2 - 1, torch.rand(5, 4) * 2 - 1
    assert np.array_equal(Images(3, 32, 32).draw(images, columns), image_grid(images, columns))
    assert np.array_equal(Points(4).draw(points, columns), scatter_plot(points))
    labels = torch.tensor([0, 1, 0, 4, 3])
    drawn = DIGITS.draw(labels, columns)
    assert drawn.shape == image_grid(torch.zeros(5, 1, 64, 64), columns).shape
    tiles = [DIGITS.draw(label[None]) for label in labels]
    assert np.array_equal(drawn[:64, :64], tiles[0])
    assert np.array_equal(tiles[0], tiles[2])
    assert all(tile.min() < 128 for tile in tiles)  # there is ink
    assert not np.array_equal(tiles[0], tiles[1])
