"""Networks that enlarge images."""

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.architectures.restorer import RESTORERS
from genlab.architectures.superres import SRCNN, enlarged, scale_of
from genlab.core.errors import UsageError
from genlab.core.modality import Images, Points
from genlab.core.pixels import LUMA

ENLARGING = ("srcnn", "fsrcnn", "edsr", "rrdb")
SMALL, LARGE = Images(3, 8, 8), Images(3, 24, 24)


def test_interpolation_is_pillows() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(
        80, 170, (13, 9, 3), np.uint8
    )  # far from black and white, at which Pillow clips each axis
    for scale in (2, 3, 4):
        theirs = np.array(Image.fromarray(picture).resize((9 * scale, 13 * scale), Image.Resampling.BICUBIC))
        x = torch.tensor(picture).permute(2, 0, 1)[None] / 127.5 - 1
        ours = ((enlarged(x, scale).clamp(-1, 1) + 1) * 127.5)[0].permute(1, 2, 0).numpy()
        assert np.abs(ours - theirs).max() < 1.8, "Pillow rounds twice"
        assert np.abs(ours - theirs).mean() < 0.5


@pytest.mark.parametrize("name", ENLARGING)
def test_training_starts_from_interpolation(name: str) -> None:
    network = RESTORERS[name](SMALL, LARGE, 6)
    x = torch.rand(2, 3, 8, 8) * 2 - 1
    torch.testing.assert_close(network(x), enlarged(x, 3))


@pytest.mark.parametrize("name", ENLARGING)
def test_a_network_takes_images_of_any_size_and_their_middle_does_not_depend_on_it(name: str) -> None:
    torch.manual_seed(0)
    network = RESTORERS[name](SMALL, LARGE, 6)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    x = torch.rand(1, 3, 40, 31) * 2 - 1
    whole, part = network(x), network(x[:, :, 5:, :])
    assert whole.shape == (1, 3, 120, 93)
    assert (whole - enlarged(x, 3)).abs().mean() > 1e-3
    torch.testing.assert_close(whole[:, :, -30:], part[:, :, -30:])


def test_networks_of_the_luma_leave_the_differences_of_colours() -> None:
    network = SRCNN(SMALL, LARGE, 6)
    torch.nn.init.normal_(network.layers[-1].weight)
    x = torch.rand(2, 3, 8, 8) * 2 - 1
    added = network(x) - enlarged(x, 3)
    assert added.abs().mean() > 0.01
    torch.testing.assert_close(added[:, :1].expand(-1, 3, -1, -1), added)
    same_luma = x + torch.tensor([LUMA[1], -LUMA[0], 0.0])[:, None, None] * 0.5
    torch.testing.assert_close(network(same_luma) - enlarged(same_luma, 3), added)


def test_what_is_no_enlargement_is_refused() -> None:
    for source, target in ((Images(3, 8, 8), Images(3, 20, 20)), (Images(1, 8, 8), LARGE), (LARGE, SMALL)):
        with pytest.raises(UsageError, match="enlarges images by a whole number"):
            scale_of(source, target)
    with pytest.raises(UsageError, match="works on pictures"):
        scale_of(Points(2), Points(2))
    with pytest.raises(UsageError, match="--blocks 3 has no effect"):
        SRCNN(SMALL, LARGE, 6, 3)
