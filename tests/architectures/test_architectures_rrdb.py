"""The network of ESRGAN."""

import torch

from genlab.architectures.rrdb import RRDB
from genlab.core.modality import Images

SMALL, LARGE = Images(3, 8, 8), Images(3, 32, 32)


def test_each_convolution_sees_all_maps_before_it_and_blocks_add_a_fifth() -> None:
    network = RRDB(SMALL, LARGE, 8, 2)
    assert len(network.blocks) == 2
    dense = network.blocks[0].dense[0]  # type: ignore[union-attr,index]
    assert [layer.in_channels for layer in dense.layers] == [8, 12, 16, 20, 24]  # type: ignore[union-attr]
    x = torch.randn(1, 8, 5, 5)
    for layer in dense.layers[:-1]:  # type: ignore[union-attr,index]
        torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(dense.layers[-1].weight)  # type: ignore[union-attr,index]
    torch.nn.init.ones_(dense.layers[-1].bias)  # type: ignore[union-attr,index]
    torch.testing.assert_close(dense(x), x + 0.2)  # type: ignore[operator]


def test_images_of_any_size_are_enlarged() -> None:
    assert RRDB(SMALL, LARGE, 4, 1)(torch.zeros(1, 3, 5, 9)).shape == (1, 3, 20, 36)
