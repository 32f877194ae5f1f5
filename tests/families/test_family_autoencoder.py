import torch

from genlab.architectures import mlp
from genlab.core.batch import Batch, ImageShape
from genlab.core.descent import adam
from genlab.families.autoencoder import Autoencoder, AutoencoderTraining
from genlab.objectives.reconstruction import mse

SHAPE = ImageShape(1, 4, 4)


def test_what_is_minimised_is_the_error_of_what_is_shown() -> None:
    torch.manual_seed(0)
    images = torch.rand(6, *SHAPE) * 2 - 1
    model = Autoencoder(mlp.encoder(SHAPE, 2, 8), mlp.decoder(2, SHAPE, 8))
    with torch.no_grad():
        error = (model.reconstruct(images) - images).square().flatten(1).sum(1).mean()
        spread = model.encode(images).std()
    training = AutoencoderTraining(model, adam(model, "autoencoder", 1e-3, (0.9, 0.999)), mse)
    signals = training.step(0, iter([Batch(images, torch.arange(6))]))
    torch.testing.assert_close(signals["loss"], error)
    torch.testing.assert_close(signals["latent_spread"], spread)


def test_a_few_images_are_learned_by_heart() -> None:
    torch.manual_seed(0)
    images = torch.rand(4, *SHAPE) * 1.6 - 0.8
    model = Autoencoder(mlp.encoder(SHAPE, 4, 32), mlp.decoder(4, SHAPE, 32))
    training = AutoencoderTraining(model, adam(model, "autoencoder", 1e-2, (0.9, 0.999)), mse)
    for step in range(300):
        training.step(step, iter([Batch(images, torch.arange(4))]))
    assert (model.reconstruct(images) - images).abs().mean() < 0.03
