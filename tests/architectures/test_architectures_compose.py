from itertools import product
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from genlab.architectures import ARCHITECTURES, compose, dcgan, r3gan, resnet, styles
from genlab.architectures.compose import DecoderLabelsName, DiscriminatorLabelsName, MinibatchName
from genlab.architectures.conditional import JoinLabelToInput, JoinLabelToLatent
from genlab.architectures.normalization import ConditionalBatchNorm2d, NormName
from genlab.core.contract import DiscriminatorOutput
from genlab.core.errors import UsageError
from genlab.core.modality import Images, Points

SIZES = {
    "mlp": (5, 32),
    "dcgan": dcgan.SIZES,
    "dcgan-upsample": dcgan.SIZES,
    "resnet": resnet.SIZES,
    "r3gan": r3gan.SIZES,
    "stylegan": styles.SIZES,
    "stylegan2": styles.SIZES,
}
EQUALISED = ".parametrizations.weight.original"  # the name of a weight with an equalised learning rate
NORMS: tuple[NormName, ...] = ("batch", "layer", "instance", "none")
LACKING = {
    ("mlp", "instance"),
    *((name, norm) for name in ("r3gan", "progressive") for norm in NORMS if norm != "none"),
}
SMALL = Images(3, 16, 16)
CLASSES = 4
LABELS = torch.arange(8) % CLASSES


@pytest.mark.parametrize(("name", "size"), [(name, size) for name, sizes in SIZES.items() for size in sizes])
def test_every_architecture_builds_at_its_sizes_with_every_norm(name: str, size: int) -> None:
    shape = Images(3, size, size)
    with torch.device("meta"):
        images = torch.empty(2, *shape.shape)
        assert compose.decoder(name, 7, shape, 4)(torch.empty(2, 7)).shape == images.shape
        for norm in NORMS:
            if (name, norm) not in LACKING:
                assert compose.encoder(name, shape, 5, 4, norm=norm)(images).shape == (2, 5)
                output = compose.discriminator(name, shape, 4, norm=norm)(images)
                assert output.scores.shape == (2,)
                assert output.features.ndim == 2
                assert output.classes is None


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_option_of_a_discriminator_goes_with_every_other(name: str) -> None:
    attention = None if name in ("mlp", "fastgan", "progressive") else 8
    labels: tuple[DiscriminatorLabelsName, ...] = ("none", "concat", "projection", "auxiliary")
    with torch.device("meta"):
        for option, minibatch, pack in product(labels, get_args(MinibatchName), (1, 2)):
            if pack == 2 and option in ("projection", "auxiliary"):
                continue
            discriminator = compose.discriminator(
                name,
                SMALL,
                4,
                dropout=0.2,
                attention=attention,
                pack=pack,
                minibatch=minibatch,
                labels=option,
                classes=CLASSES,
            )
            scores, features, classes = discriminator(torch.empty(8, *SMALL.shape), {"label": LABELS})
            assert scores.shape == (8 // pack,)
            assert len(features) == 8 // pack
            assert (None if classes is None else classes.shape) == ((8, 4) if option == "auxiliary" else None)


@pytest.mark.parametrize(("name", "norm"), [(n, m) for n in ARCHITECTURES for m in (*NORMS, None)])
def test_a_bias_is_there_just_where_no_norm_follows(name: str, norm: NormName | None) -> None:
    """A bias right before a normalisation would be void."""
    if (name, norm) in LACKING or name == "r3gan":  # which has biases before activations alone
        return
    with torch.device("meta"):
        parameters = dict(compose.discriminator(name, SMALL, 4, norm=norm).named_parameters())
        own = dict(compose.discriminator(name, SMALL, 4, norm=ARCHITECTURES[name].norm).named_parameters())
    if norm is None:
        assert parameters.keys() == own.keys()
        return
    weights = {key for key, value in parameters.items() if value.ndim > 1 and "shortcut" not in key}
    layers = {key.removesuffix(".weight").removesuffix(EQUALISED) for key in weights}
    unbiased = {layer for layer in layers if f"{layer}.bias" not in parameters}
    if norm == "none":
        assert not unbiased
    else:
        assert unbiased
        assert "head" not in unbiased
        assert "features.0" not in unbiased or name == "mlp"  # no norm at the image


@pytest.mark.parametrize("name", ["mlp", "dcgan", "resnet", "stylegan2"])
@pytest.mark.parametrize("norm", NORMS)
def test_no_parameter_of_a_discriminator_is_without_effect(name: str, norm: NormName) -> None:
    if (name, norm) == ("mlp", "instance"):
        return
    torch.manual_seed(0)
    discriminator = compose.discriminator(name, SMALL, 4, norm=norm).double()
    discriminator(torch.randn(8, *SMALL.shape, dtype=torch.float64)).scores.sin().sum().backward()
    for key, parameter in discriminator.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().max() > 1e-9, key


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("labels", ["concat", "batch-norm"])
def test_the_label_decides_the_picture(name: str, labels: DecoderLabelsName) -> None:
    if name in ("mlp", "r3gan", "stylegan", "stylegan2", "progressive") and labels == "batch-norm":
        return
    torch.manual_seed(0)
    generator = compose.decoder(name, 7, SMALL, 4, labels=labels, classes=CLASSES)
    for module in generator.modules():
        if isinstance(module, ConditionalBatchNorm2d):
            nn.init.normal_(module.gain)
    generator.eval()
    latents = torch.randn(1, 7).expand(8, -1)
    images = generator(latents, {"label": LABELS})
    for row, label in enumerate(LABELS):
        assert torch.allclose(images[row], images[int(label)])
        assert not torch.allclose(images[row], images[(int(label) + 1) % CLASSES])
    with pytest.raises(ValueError, match='condition "label"'):
        generator(latents)


@pytest.mark.parametrize("name", ["mlp", "dcgan", "resnet", "r3gan"])
def test_an_encoder_sees_the_label_if_there_are_classes(name: str) -> None:
    torch.manual_seed(0)
    images, labelled = torch.randn(8, *SMALL.shape), {"label": LABELS}
    shifted = {"label": (LABELS + 1) % CLASSES}
    encoder = compose.encoder(name, SMALL, 5, 4, classes=CLASSES)
    assert (encoder(images, labelled) - encoder(images, shifted)).abs().amax(1).min() > 1e-4
    blind = compose.encoder(name, SMALL, 5, 4)
    assert torch.equal(blind(images, labelled), blind(images))


def test_a_label_is_at_least_16_numbers_beside_the_image_and_at_most_50_beside_the_latent() -> None:
    sizes = {(1, 1): 16, (2, 2): 4, (4, 4): 1, (16, 16): 1}
    cases = {Images(2, *size): planes for size, planes in sizes.items()}
    for modality, planes in {**cases, Points(2): 16}.items():
        join = JoinLabelToInput(modality, 3)
        images = torch.randn(4, *modality.shape)
        joined = join(images, {"label": torch.tensor([0, 1, 2, 0])})
        assert joined.shape == (4, 2 + planes, *modality.shape[1:])
        assert torch.equal(joined[:, :2], images)
        assert torch.equal(joined[0, 2:], joined[3, 2:])
        assert not torch.equal(joined[0, 2:], joined[1, 2:])
    assert [JoinLabelToLatent(classes).size for classes in (2, 10, 50, 1000)] == [2, 10, 50, 50]
    join = JoinLabelToLatent(3)
    labels = torch.tensor([2, 0])
    assert join(torch.zeros(2, 5), {"label": labels})[:, 5:].tolist() == join.vectors[labels].tolist()


def test_a_discriminator_that_joins_labels_judges_the_same_image_otherwise() -> None:
    torch.manual_seed(0)
    discriminator = compose.discriminator("dcgan", SMALL, 4, labels="concat", classes=CLASSES, norm="none")
    image = torch.randn(1, *SMALL.shape).expand(8, -1, -1, -1)
    scores = discriminator(image, {"label": LABELS}).scores
    torch.testing.assert_close(scores[:4], scores[4:])
    assert len(set(scores[:4].tolist())) == CLASSES


def test_the_projection_is_the_inner_product_of_the_features_with_the_labels_vector() -> None:
    torch.manual_seed(0)
    discriminator = compose.discriminator("mlp", SMALL, 8, labels="projection", classes=CLASSES)
    assert discriminator.projection is not None
    images, labelled = torch.randn(8, *SMALL.shape), {"label": LABELS}

    def score(embedding: Tensor) -> Tensor:
        weights = {"projection.weight": embedding}
        output: DiscriminatorOutput = torch.func.functional_call(discriminator, weights, (images, labelled))
        return output.scores

    plain = score(torch.zeros(CLASSES, 8))
    one, other = torch.randn(CLASSES, 8), torch.randn(CLASSES, 8)
    features = discriminator(images, labelled).features
    torch.testing.assert_close(plain, discriminator.head(features).squeeze(1))
    torch.testing.assert_close(
        score(2 * one - 3 * other) - plain, 2 * (score(one) - plain) - 3 * (score(other) - plain)
    )
    expected = plain + (one[LABELS] * features).sum(1)
    torch.testing.assert_close(score(one), expected)
    bound = (6 / (CLASSES + 8)) ** 0.5
    assert 0.5 * bound < discriminator.projection.weight.abs().max() <= bound


def test_an_auxiliary_discriminator_predicts_classes_without_getting_labels() -> None:
    torch.manual_seed(0)
    discriminator = compose.discriminator("dcgan", SMALL, 4, labels="auxiliary", classes=CLASSES)
    output = discriminator(torch.randn(8, *SMALL.shape))
    assert output.classes is not None
    assert output.classes.shape == (8, CLASSES)
    assert discriminator.auxiliary is not None
    torch.testing.assert_close(output.classes, discriminator.auxiliary(output.features))
    assert discriminator.auxiliary.weight.std().item() == pytest.approx(
        0.02, rel=0.2
    )  # started like every other weight


@pytest.mark.parametrize("labels", ["none", "concat"])
def test_a_packs_score_depends_on_all_its_images_and_only_those(labels: DiscriminatorLabelsName) -> None:
    torch.manual_seed(0)
    discriminator = compose.discriminator("dcgan", SMALL, 4, norm="none", pack=2, labels=labels, classes=CLASSES)
    images = torch.randn(8, *SMALL.shape, requires_grad=True)
    scores = discriminator(images, {"label": LABELS}).scores
    assert scores.shape == (4,)
    for pack, score in enumerate(scores):
        (gradient,) = torch.autograd.grad(score, images, retain_graph=True)
        touched = gradient.flatten(1).abs().amax(1) > 0
        assert touched.nonzero().flatten().tolist() == [2 * pack, 2 * pack + 1]


def test_a_pack_is_its_images_one_after_the_other_along_the_channels() -> None:
    torch.manual_seed(0)
    discriminator = compose.discriminator("mlp", Points(2), 8, pack=3)
    points = torch.randn(6, 2)
    stacked = discriminator.features(torch.stack([torch.cat(tuple(points[:3])), torch.cat(tuple(points[3:]))]))
    torch.testing.assert_close(discriminator(points).features, stacked)
    with pytest.raises(ValueError, match=r"7 images.*packs of 3"):
        discriminator(torch.zeros(7, 2))


@pytest.mark.parametrize("name", ["dcgan", "resnet"])
def test_a_packed_discriminator_takes_channels_last_images(name: str) -> None:
    torch.manual_seed(0)
    discriminator = compose.discriminator(name, SMALL, 4, norm="none", pack=2)
    images = torch.randn(4, *SMALL.shape)
    expected = discriminator(images).scores
    last = discriminator.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last)).scores
    torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["mlp", "dcgan", "resnet"])
@pytest.mark.parametrize("minibatch", ["none", "discrimination", "stddev"])
def test_a_gradient_penalty_reaches_every_part(name: str, minibatch: MinibatchName) -> None:
    torch.manual_seed(0)
    discriminator = compose.discriminator(
        name,
        SMALL,
        4,
        norm="layer",
        attention=None if name == "mlp" else 8,
        minibatch=minibatch,
        labels="projection",
        classes=CLASSES,
    )
    images = torch.randn(8, *SMALL.shape, requires_grad=True)
    scores = discriminator(images, {"label": LABELS}).scores
    (slope,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    slope.square().sum().backward()
    gradients = {key: p.grad for key, p in discriminator.named_parameters() if p.grad is not None}
    assert {"head.weight", "projection.weight"} <= gradients.keys()
    assert all(gradient.isfinite().all() for gradient in gradients.values())


@pytest.mark.parametrize("name", ["mlp", "dcgan", "resnet"])
def test_a_discriminator_with_dropout_wavers_in_training_alone(name: str) -> None:
    torch.manual_seed(0)
    discriminator, images = compose.discriminator(name, SMALL, 4, dropout=0.5), torch.randn(4, *SMALL.shape)
    assert not torch.equal(discriminator(images).scores, discriminator(images).scores)
    discriminator.eval()
    assert torch.equal(discriminator(images).scores, discriminator(images).scores)


def test_what_does_not_go_together_is_refused() -> None:
    for option in ("projection", "auxiliary"):
        with pytest.raises(UsageError, match=f'"{option}".*pack of 2'):
            compose.discriminator("dcgan", SMALL, 4, pack=2, labels=option, classes=3)
    with pytest.raises(UsageError, match='"projection" need data with classes'):
        compose.discriminator("dcgan", SMALL, 4, labels="projection")
    with pytest.raises(UsageError, match='"concat" need data with classes'):
        compose.decoder("dcgan", 7, SMALL, 4, labels="concat")
    with pytest.raises(UsageError, match=r'unknown architecture "dcgn".*"dcgan"'):
        compose.encoder("dcgn", SMALL, 7, 4)


def test_the_names_are_those_of_the_tables() -> None:
    assert get_args(MinibatchName) == tuple(compose.MINIBATCH)
