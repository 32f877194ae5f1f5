"""On one process; tests/test_distributed.py has the same over several."""

import torch
from torch import nn

from genlab.architectures.normalization import BatchNorm2d


def test_on_one_process_it_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = BatchNorm2d(3), nn.BatchNorm2d(3)
    images = torch.randn(4, 3, 5, 5) * 3 + 1
    for _ in range(2):
        assert torch.equal(ours(images), theirs(images))
    assert all(torch.equal(a, b) for a, b in zip(ours.buffers(), theirs.buffers(), strict=True))
    assert torch.equal(ours.eval()(images), theirs.eval()(images))
