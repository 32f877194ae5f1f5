import pytest
import torch

from genlab.architectures.patch import PATCHES, PatchDiscriminator, patch_discriminator
from genlab.core.errors import UsageError
from genlab.core.modality import Images

PATCH_SIDES = {"patch-70": 70, "patch-34": 34, "patch-16": 16, "pixel": 1}


def network(name: str, size: int, **options: object) -> PatchDiscriminator:
    torch.manual_seed(0)
    return patch_discriminator(name, Images(3, size, size), 4, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "side"), PATCH_SIDES.items())
def test_a_score_sees_a_patch_of_the_size_in_the_name(name: str, side: int) -> None:
    net = network(name, 160, norm="none")
    image = torch.randn(1, 3, 160, 160, requires_grad=True)
    scores = net(image).scores
    across = int(scores.shape[1] ** 0.5)
    scores.view(across, across)[across // 2, across // 2].backward()
    assert image.grad is not None
    touched = image.grad[0].abs().sum(0).nonzero()
    assert (touched.amax(0) - touched.amin(0) + 1).tolist() == [side, side]


@pytest.mark.parametrize(("name", "least"), [("patch-70", 32), ("patch-34", 16), ("patch-16", 8), ("stargan", 4)])
def test_images_that_are_too_small_are_refused(name: str, least: int) -> None:
    assert network(name, least)(torch.randn(2, 3, least, least)).scores.shape[1] >= 1
    with pytest.raises(UsageError, match=f"at least {least} pixels, and these are"):
        network(name, least - 1)


@pytest.mark.parametrize("name", PATCHES)
def test_sources_are_part_of_what_is_judged(name: str) -> None:
    net = network(name, 32, sources={"source": Images(1, 32, 32)})
    image, sources = torch.randn(1, 3, 32, 32), torch.randn(2, 1, 1, 32, 32)
    first, second = (net(image, {"source": source}).scores for source in sources)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("size", "halvings"), [(8, 2), (64, 5), (128, 6), (256, 6)])
def test_the_layers_of_stargan_are_those_of_its_table(size: int, halvings: int) -> None:
    """Convolutions of 4×4 that halve the maps and double the channels, all without normalisation."""
    with torch.device("meta"):
        net = patch_discriminator("stargan", Images(3, size, size), 64, classes=5)
    last = size // 2**halvings
    shapes = [tuple(weight.shape) for name, weight in net.named_parameters() if name.endswith("weight")]
    widths = [64 * 2**level for level in range(halvings)]
    assert shapes == [
        *((outputs, inputs, 4, 4) for inputs, outputs in zip([3, *widths], widths, strict=False)),
        (1, widths[-1], 3, 3),
        (5, widths[-1], last, last),
    ]


def test_stargan_scores_each_patch_and_the_classes_once() -> None:
    output = network("stargan", 64, classes=5)(torch.randn(2, 3, 64, 64))
    assert output.scores.shape == (2, 4)
    assert output.classes is not None
    assert output.classes.shape == (2, 5)
    with pytest.raises(UsageError, match="--discriminator patch-16 does not predict classes"):
        network("patch-16", 64, classes=5)
