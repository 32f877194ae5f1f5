"""On one process; test_architectures_distributed.py has two."""

import pytest
import torch

from genlab.architectures import ARCHITECTURES
from genlab.architectures.dropout import Dropout
from genlab.core.modality import Images


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_a_share_is_dropped_and_the_mean_stays(p: float) -> None:
    torch.manual_seed(0)
    ones = torch.ones(100, 500)
    result = Dropout(p)(ones)
    assert result.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)], rel=2**-15)
    assert abs((result == 0).float().mean() - p) < 0.01
    assert abs(result.mean() - 1) < 0.02
    assert (result == 0).float().mean(1).std() < 0.05  # elements, not whole rows
    assert not torch.equal(result[0] == 0, result[1] == 0)


def test_in_evaluation_it_is_the_identity_and_draws_nothing() -> None:
    given = torch.randn(4, 5)
    before = torch.get_rng_state()
    assert torch.equal(Dropout(0.5).eval()(given), given)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_gradient_passes_where_the_value_did_and_the_type_stays() -> None:
    torch.manual_seed(0)
    given = torch.ones(6, 7, dtype=torch.bfloat16, requires_grad=True)
    result = Dropout(0.5)(given)
    result.sum().backward()
    assert result.dtype == torch.bfloat16
    assert given.grad is not None
    assert torch.equal(given.grad, result)


@pytest.mark.parametrize(("name", "layers"), [("mlp", 2), ("dcgan", 3), ("resnet", 1)])
def test_features_have_as_many_of_them_as_activations_or_one_before_the_head(name: str, layers: int) -> None:
    shape = Images(1, 32, 32)
    for dropout, expected in ((0.0, 0), (0.4, layers)):
        network, _ = ARCHITECTURES[name].features(shape, 4, dropout=dropout)
        found = [m for m in network.modules() if isinstance(m, Dropout)]
        assert len(found) == expected
        assert all(m.p == dropout for m in found)
