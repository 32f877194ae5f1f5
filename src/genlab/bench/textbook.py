"""The training loops of tutorials, with which genlab is compared.

Plain PyTorch in float32 on contiguous tensors, with a `DataLoader`, default optimizers, and losses read back in
every step. The networks are genlab's, so that both compute the same.

References:
    Inkawhich, 2018. DCGAN Tutorial. pytorch.org.
    Gulrajani et al., 2017. Improved Training of Wasserstein GANs, algorithm 1. arXiv:1704.00028.
    Miyato et al., 2018. Spectral Normalization for Generative Adversarial Networks. arXiv:1802.05957.
    Kingma and Welling, 2013. Auto-Encoding Variational Bayes. arXiv:1312.6114.
    Ho, Jain and Abbeel, 2020. Denoising Diffusion Probabilistic Models, algorithm 1. arXiv:2006.11239.
    Kingma and Dhariwal, 2018. Glow. arXiv:1807.03039.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import log, pi

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss, relu
from torch.utils.data import DataLoader, TensorDataset

from genlab.bench.textbook_translation import Step, translation
from genlab.recipes.diffusion import DiffusionRecipe
from genlab.recipes.flow import FlowRecipe
from genlab.recipes.gan import GANRecipe
from genlab.recipes.recipe import Recipe
from genlab.recipes.translation import TranslationRecipe
from genlab.recipes.vae import VAERecipe

Discriminator = Callable[[Tensor], Tensor]  # images to scores
DiscriminatorLoss = Callable[[GANRecipe, Discriminator, Tensor, Tensor], Tensor]  # of real and generated images


def textbook(recipe: Recipe, model: nn.Module, images: Tensor, sources: Tensor | None = None) -> Step:
    """Return a function that takes one step, with all discriminator updates, of the tutorial loop for a recipe.

    Args:
        recipe: gives the hyperparameters.
        model: of the recipe, on the device of the training.
        images: (N, C, H, W) in [-1, 1], in memory.
        sources: of models that translate images, one for each image.
    """
    device = next(model.parameters()).device
    if isinstance(recipe, TranslationRecipe):
        assert sources is not None
        return translation(
            recipe, model, ((x, s) for x, s in _loaded((images, sources), recipe.batch_size, device))
        )
    batches = (x for (x,) in _loaded((images,), recipe.batch_size, device))
    match recipe:
        case VAERecipe():
            return _vae(recipe, model, batches)
        case DiffusionRecipe():
            return _denoising(recipe, model, batches)
        case FlowRecipe():
            return _flow(recipe, model, batches)
        case GANRecipe():
            return _LOOPS[recipe.loss](recipe, model, batches)
        case _:
            raise ValueError(f"there is no textbook loop for {type(recipe).__name__}")


def _loaded(tensors: Sequence[Tensor], size: int, device: torch.device) -> Iterator[list[Tensor]]:
    loader = DataLoader(TensorDataset(*tensors), batch_size=size, shuffle=True, drop_last=True)
    while True:
        for batch in loader:
            yield [tensor.to(device) for tensor in batch]


def _players(recipe: GANRecipe, model: nn.Module) -> tuple[nn.Module, Discriminator, list[torch.optim.Adam]]:
    generator, discriminator = model.generator, model.discriminator
    assert isinstance(generator, nn.Module)
    assert isinstance(discriminator, nn.Module)
    optimizers = [
        torch.optim.Adam(discriminator.parameters(), lr=recipe.discriminator_lr, betas=recipe.betas),
        torch.optim.Adam(generator.parameters(), lr=recipe.generator_lr, betas=recipe.betas),
    ]
    return generator, lambda images: discriminator(images).scores, optimizers


def _gan(recipe: GANRecipe, model: nn.Module, batches: Iterator[Tensor]) -> Step:
    generator, discriminator, (of_discriminator, of_generator) = _players(recipe, model)

    def step() -> dict[str, float]:
        real = next(batches)
        fake = torch.tanh(generator(torch.randn(len(real), recipe.latent, device=real.device)))
        of_discriminator.zero_grad()
        scores = discriminator(real)
        of_real = binary_cross_entropy_with_logits(scores, torch.ones_like(scores))
        of_real.backward()
        scores = discriminator(fake.detach())
        of_fake = binary_cross_entropy_with_logits(scores, torch.zeros_like(scores))
        of_fake.backward()
        of_discriminator.step()
        of_generator.zero_grad()
        scores = discriminator(fake)
        loss = binary_cross_entropy_with_logits(scores, torch.ones_like(scores))
        loss.backward()
        of_generator.step()
        return {"discriminator": of_real.item() + of_fake.item(), "generator": loss.item()}

    return step


def _discriminator_first(
    recipe: GANRecipe, model: nn.Module, batches: Iterator[Tensor], discriminator_loss: DiscriminatorLoss
) -> Step:
    """Return a step with several updates of the discriminator, after which the generator raises its scores."""
    generator, discriminator, (of_discriminator, of_generator) = _players(recipe, model)

    def step() -> dict[str, float]:
        for _ in range(recipe.discriminator_steps):
            real = next(batches)
            fake = torch.tanh(generator(torch.randn(len(real), recipe.latent, device=real.device))).detach()
            of_discriminator.zero_grad()
            loss = discriminator_loss(recipe, discriminator, real, fake)
            loss.backward()
            of_discriminator.step()
        of_generator.zero_grad()
        of_fake = -discriminator(
            torch.tanh(generator(torch.randn(recipe.batch_size, recipe.latent, device=real.device)))
        ).mean()
        of_fake.backward()
        of_generator.step()
        return {"discriminator": loss.item(), "generator": of_fake.item()}

    return step


def _wgan_gp(recipe: GANRecipe, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Tensor:
    between = (real + torch.rand(len(real), 1, 1, 1, device=real.device) * (fake - real)).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    penalty = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    loss: Tensor = discriminator(fake).mean() - discriminator(real).mean() + recipe.gradient_penalty * penalty
    return loss


def _hinge(recipe: GANRecipe, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Tensor:
    return relu(1 - discriminator(real)).mean() + relu(1 + discriminator(fake)).mean()


_LOOPS: Mapping[str, Callable[[GANRecipe, nn.Module, Iterator[Tensor]], Step]] = {
    "non-saturating": _gan,
    "wasserstein": partial(_discriminator_first, discriminator_loss=_wgan_gp),
    "hinge": partial(_discriminator_first, discriminator_loss=_hinge),
}


def _vae(recipe: VAERecipe, model: nn.Module, batches: Iterator[Tensor]) -> Step:
    encoder, decoder = model.encoder, model.decoder
    assert isinstance(encoder, nn.Module)
    assert isinstance(decoder, nn.Module)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr, betas=recipe.betas)

    def step() -> dict[str, float]:
        real = next(batches)
        mean, log_variance = encoder(real).chunk(2, dim=1)
        latents = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        # A pre-activation a gives tanh a in [-1, 1], which is sigmoid 2a in [0, 1].
        distortion = binary_cross_entropy_with_logits(2 * decoder(latents), (real + 1) / 2, reduction="sum")
        rate = -0.5 * torch.sum(1 + log_variance - mean.square() - log_variance.exp())
        loss = (distortion + rate) / len(real)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss.item()}

    return step


def _denoising(recipe: DiffusionRecipe, model: nn.Module, batches: Iterator[Tensor]) -> Step:
    network = model.network
    assert isinstance(network, nn.Module)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr, betas=recipe.betas)
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, recipe.timesteps), 0)

    def step() -> dict[str, float]:
        real = next(batches)
        times = torch.randint(recipe.timesteps, (len(real),), device=real.device)
        noise, signal = torch.randn_like(real), kept.to(real.device)[times].view(-1, 1, 1, 1)
        noisy = signal.sqrt() * real + (1 - signal).sqrt() * noise
        loss = mse_loss(network(noisy, (times + 1) / recipe.timesteps), noise)
        return {"loss": _clipped_step(loss, optimizer, model, recipe.clip_norm)}

    return step


def _flow(recipe: FlowRecipe, model: nn.Module, batches: Iterator[Tensor]) -> Step:
    network = model.network
    assert isinstance(network, nn.Module)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr, betas=recipe.betas)

    def step() -> dict[str, float]:
        real = next(batches)
        places = 0.05 + 0.9 * ((real + 1) * 127.5 + torch.rand_like(real)) / 256
        latents, volume = network(torch.logit(places))
        slopes = torch.log(0.9 / 256 / (places * (1 - places))).flatten(1).sum(1)
        normal = -0.5 * (latents.square() + log(2 * pi)).sum(1)
        loss = -(normal + volume + slopes).mean() / (real[0].numel() * log(2))
        return {"loss": _clipped_step(loss, optimizer, model, recipe.clip_norm)}

    return step


def _clipped_step(loss: Tensor, optimizer: torch.optim.Adam, model: nn.Module, most: float | None) -> float:
    optimizer.zero_grad()
    loss.backward()
    if most is not None:
        nn.utils.clip_grad_norm_(model.parameters(), most)
    optimizer.step()
    return loss.item()
