import pytest
import torch
from torch import nn

from genlab.architectures import compose, mlp
from genlab.architectures.dropout import Dropout
from genlab.core.errors import UsageError
from genlab.core.modality import Images, Modality, Points


def weights(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("modality", [Points(2), Images(1, 28, 28), Images(3, 5, 7)])
def test_it_takes_images_of_any_shape_and_points(modality: Modality) -> None:
    assert mlp.decoder(6, modality, 9)(torch.zeros(4, 6)).shape == (4, *modality.shape)
    network, size = mlp.features(modality, 9)
    assert network(torch.zeros(4, *modality.shape)).shape == (4, size) == (4, 9)


def test_it_has_two_hidden_layers_and_by_itself_no_normalisation() -> None:
    shape = Images(1, 4, 4)
    assert weights(mlp.decoder(6, shape, 9)) == (6 * 9 + 9) + (9 * 9 + 9) + (9 * 16 + 16)
    hidden = (16 * 9 + 9) + (9 * 9 + 9)
    assert weights(compose.encoder("mlp", shape, 6, 9)) == hidden + 9 * 6 + 6
    assert weights(compose.discriminator("mlp", shape, 9)) == hidden + 9 + 1


def test_an_activation_keeps_a_fifth_of_what_is_negative() -> None:
    activation = mlp.features(Images(1, 4, 4), 9).network[-1]
    torch.testing.assert_close(activation(torch.tensor([-1.0, 2.0])), torch.tensor([-0.2, 2.0]))


def test_every_pixel_sees_every_latent() -> None:
    torch.manual_seed(0)
    latents = torch.randn(1, 6, requires_grad=True)
    image = mlp.decoder(6, Images(1, 3, 3), 16)(latents)
    for pixel in image.flatten():
        (gradient,) = torch.autograd.grad(pixel, latents, retain_graph=True)
        assert (gradient != 0).all()


def test_layer_norm_leaves_what_a_vector_says_but_not_how_loudly() -> None:
    torch.manual_seed(0)
    network, _ = mlp.features(Images(1, 4, 4), 64, norm="layer")
    images = torch.randn(5, 1, 4, 4)
    hidden = network[:3](images)  # flatten, linear without a bias, norm
    torch.testing.assert_close(hidden.mean(1), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(hidden.var(1, correction=0), torch.ones(5), atol=1e-3, rtol=0)
    torch.testing.assert_close(network(10 * images), network(images), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(network(images)[:1], network(images[:1]))  # one image does not see another


def test_batch_norm_of_vectors_is_over_the_batch() -> None:
    torch.manual_seed(0)
    network, _ = mlp.features(Images(1, 4, 4), 8, norm="batch")
    hidden = network[:3](torch.randn(50, 1, 4, 4) + 3)
    torch.testing.assert_close(hidden.mean(0), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(hidden.var(0, correction=0), torch.ones(8), atol=1e-2, rtol=0)


def test_dropout_comes_after_each_activation() -> None:
    kinds = [type(layer) for layer in mlp.features(Images(1, 4, 4), 8, dropout=0.3).network]
    assert kinds == [nn.Flatten, *(2 * [nn.Linear, nn.LeakyReLU, Dropout])]


def test_what_needs_maps_is_refused_with_the_choices() -> None:
    shape = Images(1, 4, 4)
    with pytest.raises(UsageError, match="Choices: batch, layer, none"):
        mlp.features(shape, 8, norm="instance")
    with pytest.raises(UsageError, match=r"attention.*dcgan"):
        mlp.features(shape, 8, attention=4)
    with pytest.raises(UsageError, match=r"attention.*dcgan"):
        mlp.decoder(6, shape, 8, attention=4)
    with pytest.raises(UsageError, match=r'"batch-norm".*Choices: none, concat'):
        compose.decoder("mlp", 6, shape, 8, labels="batch-norm", classes=3)
