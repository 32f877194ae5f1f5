"""What is given with examples, and what samples are to be like."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genlab.core.batch import Batch
from genlab.core.condition import NONE, Condition, condition_rows, fill, required_conditions
from genlab.core.errors import UsageError
from genlab.core.modality import Classes, Images, Modality, Points

LABEL: dict[str, Modality] = {"label": Classes(("a", "b", "c"))}
SOURCE: dict[str, Modality] = {"source": Images(1, 2, 2)}
BOTH = {**LABEL, **SOURCE}


def pictures(count: int) -> torch.Tensor:
    return torch.linspace(-1, 1, 4 * count).view(count, 1, 2, 2)


# what samples are to be like


def test_without_labels_the_classes_come_in_turn() -> None:
    assert fill(LABEL, NONE, 5)["label"].tolist() == [0, 1, 2, 0, 1]
    assert fill({}, NONE, 5) == {}


def test_what_is_given_is_taken_as_it_is() -> None:
    given = {"label": torch.tensor([2, 0, 2]), "source": pictures(3)}
    filled = fill(BOTH, given, 3)
    assert filled.keys() == BOTH.keys()
    assert all(filled[name] is value for name, value in given.items())
    only_source = fill(BOTH, {"source": given["source"]}, 3)
    assert only_source["label"].tolist() == [0, 1, 2]
    none = torch.empty(0, dtype=torch.long)
    assert fill(LABEL, {"label": none}, 0)["label"] is none


def test_what_is_given_stays_as_it_was() -> None:
    given = {"source": pictures(3)}
    fill(BOTH, given, 3)
    assert given.keys() == {"source"}


def test_an_unknown_name_is_refused_with_the_nearest_and_all() -> None:
    with pytest.raises(UsageError) as caught:
        fill(BOTH, {"sorce": pictures(2)}, 2)
    assert str(caught.value) == (
        'this model takes no condition "sorce". Did you mean "source"? Choices: label, source.'
    )
    with pytest.raises(UsageError, match=r'no condition "xyzzy"\. Choices: label, source\.'):
        fill(BOTH, {"xyzzy": pictures(2)}, 2)


def test_a_model_without_conditions_says_so() -> None:
    with pytest.raises(UsageError, match=r'no condition "label"\. It takes none\.'):
        fill({}, {"label": torch.zeros(2, dtype=torch.long)}, 2)


def test_a_source_that_is_lacking_is_named_with_its_shape() -> None:
    with pytest.raises(UsageError, match=r'needs the condition "source": pictures of shape \(3, 1, 2, 2\)'):
        fill(BOTH, {"label": torch.tensor([0, 1, 2])}, 3)
    with pytest.raises(UsageError, match=r'needs the condition "place": points of shape \(1, 5\)'):
        fill({"place": Points(5)}, NONE, 1)
    assert required_conditions(BOTH) == ["source"]
    assert required_conditions({"place": Points(5), **BOTH}) == ["place", "source"]
    assert required_conditions(LABEL) == required_conditions({}) == []


@pytest.mark.parametrize("label", [-1, 3])  # 3 is a network's own word for none
def test_labels_that_are_no_class_are_refused(label: int) -> None:
    with pytest.raises(UsageError, match=rf"{label}.*were given; the model knows 0 to 2"):
        fill(LABEL, {"label": torch.tensor([0, label])}, 2)


@pytest.mark.parametrize("labels", [torch.tensor([0]), torch.tensor(0), torch.zeros(2, 1, dtype=torch.long)])
def test_another_number_of_labels_than_of_samples_is_refused(labels: torch.Tensor) -> None:
    with pytest.raises(UsageError, match=r"for 2 samples, which take \(2,\)"):
        fill(LABEL, {"label": labels}, 2)


@pytest.mark.parametrize("shape", [(3, 1, 2, 2), (2, 3, 2, 2), (2, 4)])
def test_a_source_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"for 2 samples; the model takes \(2, 1, 2, 2\)"):
        fill(SOURCE, {"source": torch.zeros(shape)}, 2)


@pytest.mark.parametrize("device", ["meta", torch.device("meta")])
def test_everything_lies_on_the_device(device: str | torch.device) -> None:
    filled = fill(BOTH, {"source": pictures(3)}, 3, device)
    assert {name: value.device.type for name, value in filled.items()} == {"label": "meta", "source": "meta"}
    assert filled["label"].shape == (3,)
    here = fill(BOTH, {"source": pictures(3)}, 3, "cpu")
    assert {value.device.type for value in here.values()} == {"cpu"}


# what a batch holds


def batch(count: int) -> Batch:
    """Return `count` examples, of which every part tells the row."""
    number = torch.arange(count)
    return Batch(number[:, None].float(), 10 * number, {"label": 100 * number, "source": pictures(count)})


def check_rows(found: Batch, expected: list[int], whole: Batch) -> None:
    assert len(found) == len(expected)
    assert found.x[:, 0].tolist() == expected
    assert found.index.tolist() == [10 * row for row in expected]
    assert found.condition.keys() == whole.condition.keys()
    assert found.condition["label"].tolist() == [100 * row for row in expected]
    assert torch.equal(found.condition["source"], whole.condition["source"][expected])


def test_rows_of_a_batch_belong_together() -> None:
    whole = batch(6)
    check_rows(whole[1:4], [1, 2, 3], whole)
    check_rows(whole[torch.tensor([5, 0, 5])], [5, 0, 5], whole)
    check_rows(whole[:0], [], whole)
    check_rows(whole, list(range(6)), whole)
    picked = condition_rows(whole.condition, slice(2, 3))
    assert picked["label"].tolist() == [200]
    assert condition_rows(NONE, slice(2, 3)) == {}


@given(each=st.integers(1, 5), count=st.integers(1, 5))
def test_parts_are_equal_and_in_order(each: int, count: int) -> None:
    whole = batch(each * count)
    parts = whole.parts(count)
    assert len(parts) == count
    for number, part in enumerate(parts):
        check_rows(part, list(range(number * each, (number + 1) * each)), whole)


def test_one_part_is_the_batch_itself() -> None:
    whole = batch(3)
    assert whole.parts(1)[0] is whole


def test_a_model_gets_only_the_conditions_that_it_takes() -> None:
    whole = batch(3)
    for names in ((), ("label",), ("source", "label"), ("source", "text")):
        found: Condition = whole.condition_for(names)
        assert list(found) == [name for name in names if name != "text"]
        assert all(value is whole.condition[name] for name, value in found.items())
    assert whole.condition_for(LABEL).keys() == {"label"}  # the conditions of a model are names too


def test_a_batch_moves_with_all_its_conditions() -> None:
    whole = batch(3)
    moved = whole.to(torch.device("meta"))
    assert moved.x.is_meta
    assert {name: value.shape for name, value in moved.condition.items()} == {
        name: value.shape for name, value in whole.condition.items()
    }
    assert all(value.is_meta for value in moved.condition.values())
    assert moved.index is whole.index  # a position in the data is looked up here
    assert not whole.x.is_meta
    assert not any(value.is_meta for value in whole.condition.values())
