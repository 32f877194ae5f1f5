import torch

from genlab.architectures.unet import FEW, PART, Attention, UNet
from genlab.core.batch import ImageShape


def test_attention_that_is_written_out_is_that_of_the_fused_kernel() -> None:
    torch.manual_seed(0)
    attention = Attention(128)
    torch.nn.init.normal_(attention.out.weight, std=0.1)
    maps = torch.randn(3, 128, 12, 16)
    assert FEW >= 12 * 16
    exact = attention(maps)
    slope = torch.autograd.grad(exact.square().sum(), attention.inward.weight)[0]
    with torch.autocast("cpu", torch.bfloat16):
        short = attention(maps)
    slope_of_short = torch.autograd.grad(short.square().sum(), attention.inward.weight)[0]
    assert (short - exact).norm() < 0.01 * (exact - maps).norm()
    assert (slope_of_short - slope).norm() < 0.03 * slope.norm()


def test_many_images_are_seen_in_parts_where_nothing_is_learned() -> None:
    torch.manual_seed(0)
    network = UNet(ImageShape(1, 8, 8), 4, classes=3)
    torch.nn.init.normal_(network.last.weight)
    count = 2 * PART + 3
    images, times, labels = torch.randn(count, 1, 8, 8), torch.rand(count), torch.arange(count) % 4
    for told in (labels, None):
        learned = network(images, times, told)
        with torch.no_grad():
            torch.testing.assert_close(network(images, times, told), learned)
