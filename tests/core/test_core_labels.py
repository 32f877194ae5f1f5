"""The classes of images that are to be made."""

import pytest
import torch

from genlab.core.errors import UsageError
from genlab.core.labels import chosen


def test_without_labels_the_classes_come_in_turn() -> None:
    turn = chosen(None, 5, 3)
    assert turn is not None
    assert turn.tolist() == [0, 1, 2, 0, 1]
    assert chosen(None, 5, 0) is None


def test_labels_that_are_classes_are_taken_as_they_are() -> None:
    labels = torch.tensor([2, 0, 2])
    assert chosen(labels, 3, 3) is labels
    none = torch.empty(0, dtype=torch.long)
    assert chosen(none, 0, 3) is none


@pytest.mark.parametrize(("classes", "knows"), [(3, "0 to 2"), (0, "none")])
@pytest.mark.parametrize("label", [-1, 3])  # 3 is a network's own word for none
def test_labels_that_are_no_class_are_refused(label: int, classes: int, knows: str) -> None:
    with pytest.raises(UsageError, match=f"the model knows {knows}"):
        chosen(torch.tensor([0, label]), 2, classes)


@pytest.mark.parametrize("labels", [torch.tensor([0]), torch.tensor(0), torch.zeros(2, 1, dtype=torch.long)])
def test_another_number_of_labels_than_of_images_is_refused(labels: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="for 2 images, which take"):
        chosen(labels, 2, 3)
