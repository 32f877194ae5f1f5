"""Which value of an evaluation decides the best checkpoint: by rank, never by its place in a dictionary."""

from itertools import permutations

import pytest

from genlab.core.errors import GenlabError
from genlab.training.criterion import CRITERIA, criterion_of, recorded_criterion, values_of

NAMES = [row.replace("{extractor}", "pixels") for row in CRITERIA]


@pytest.mark.parametrize("rank", range(len(NAMES)))
def test_the_first_by_rank_decides_whatever_the_order(rank: int) -> None:
    for order in permutations(NAMES[rank:]):
        assert criterion_of(dict.fromkeys(order, 1.0)) == NAMES[rank]


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_without_a_rank_never_decides(name: str) -> None:
    assert criterion_of({"a new metric": 0.0, name: 1.0}) == name
    event = {"step": 5, "event": "evaluation", "a new metric": 0.0, name: 1.0, "images": 9, "best": True}
    assert recorded_criterion(event) == (name, 1.0)  # as versions recorded it that named no criterion
    assert recorded_criterion({"criterion": name, **event}) == (name, 1.0)


def test_what_was_recorded_decides_also_against_the_rank() -> None:
    event = {"bits_per_dimension": 1.0, "fd[pixels]": 2.0, "criterion": "fd[pixels]", "images": 9, "best": True}
    assert recorded_criterion(event) == ("fd[pixels]", 2.0)
    assert values_of(event) == {"bits_per_dimension": 1.0, "fd[pixels]": 2.0}


@pytest.mark.parametrize("values", [{}, {"a new metric": 0.0}])
def test_an_evaluation_that_can_decide_nothing_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(GenlabError, match="can decide which checkpoint is best") as refused:
        criterion_of(values)
    assert all(word in str(refused.value) for word in (*CRITERIA, *values))
