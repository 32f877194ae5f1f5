"""Tables: what their entries become as numbers with a density, and as the values of their columns."""

import json

import pytest
import torch

import tables
from genlab.core.column import Column
from genlab.core.modality import DataSpec
from genlab.core.table import WIDEST, Table

ROWS = tables.rows(200, 0)
DRAWS = torch.rand(ROWS.shape, generator=torch.Generator().manual_seed(0))
YEAR = 0.1  # the entry of a year of age, which is a whole number


def test_rows_come_back_from_the_middle_of_their_intervals() -> None:
    torch.testing.assert_close(tables.TABLE.quantise(tables.TABLE.dequantise(ROWS, 0.5)[0]), ROWS)


def test_every_draw_rounds_to_the_same_row() -> None:
    numbers, _ = tables.TABLE.dequantise(ROWS, DRAWS)
    torch.testing.assert_close(tables.TABLE.snap(tables.TABLE.quantise(numbers)), ROWS)


def test_entries_are_spread_over_intervals_that_do_not_overlap() -> None:
    numbers, _ = tables.TABLE.dequantise(ROWS, DRAWS)
    assert torch.equal(numbers[:, 2:5] >= 0, ROWS[:, 2:5] > 0)
    assert numbers[:, 2:5].abs().max() <= 1
    present = ROWS[:, 1] < 0
    moved = (numbers - ROWS)[present, 0]
    assert moved.abs().max() <= YEAR / 2 + 1e-6
    assert moved.std() == pytest.approx(YEAR / 12**0.5, rel=0.15)
    assert torch.equal(numbers[:, 5], ROWS[:, 5])  # which is continuous


def test_numbers_in_place_of_missing_ones_cost_nothing_on_average() -> None:
    """The gain is −log of their density, so that exp(log p(z) + gain) is 1 for a standard normal model of them."""
    numbers, gain = tables.TABLE.dequantise(ROWS, DRAWS)
    missing = ROWS[:, 1] > 0
    model = torch.distributions.Normal(0.0, 1.0).log_prob(numbers[:, 0])
    torch.testing.assert_close((model + gain)[missing], torch.zeros(int(missing.sum())))
    assert (gain[~missing] == 0).all()


def test_snapping_rounds_limits_and_decides() -> None:
    raw = torch.tensor(
        [[9.0, -0.2, 0.1, 0.3, -0.5, 0.123, -2.0, -1.0], [0.5, 0.2, -0.9, -0.8, -0.7, 0.0, 0.4, 0.5]]
    )
    made = tables.TABLE.snap(raw)
    expected = [[6.0, -1, -1, 1, -1, 0.123, -1, 1], [0.0, 1, -1, -1, 1, 0.0, -1, 1]]  # at most 100 years; missing
    torch.testing.assert_close(made, torch.tensor(expected))
    assert torch.equal(tables.TABLE.snap(made), made)


def test_plain_values_are_those_that_a_file_returns() -> None:
    values = DataSpec(tables.TABLE).values()
    assert json.loads(json.dumps(values)) == values


def test_raw_outputs_become_mean_entries() -> None:
    raw = torch.tensor([[2.0, -50.0, 0.0, 0.0, 0.0, -3.0, 0.0, 50.0], [2.0, 50.0, 50.0, 0.0, 0.0, 7.0, 50.0, 0.0]])
    third = 2 / 3 - 1
    expected = [[2.0, -1, third, third, third, -3.0, -1, 1], [0.0, 1, 1, -1, -1, 7.0, 1, -1]]
    torch.testing.assert_close(tables.TABLE.squash(raw), torch.tensor(expected))


def test_a_rounded_number_is_never_spread_so_far_that_rare_values_are_hidden() -> None:
    table = Table((Column("calls", mean=0.1, deviation=0.1, decimals=0),))  # whole numbers are 10 deviations apart
    moved = table.dequantise(torch.zeros(100, 1), torch.linspace(0, 0.99, 100)[:, None])[0]
    assert moved.abs().max() <= WIDEST / 2
    assert moved.unique().numel() == 100
