"""The generative adversarial network: a generator against a critic.

References:
    Goodfellow et al., 2014. Generative Adversarial Networks. arXiv:1406.2661.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.contract import Signals
from genlab.core.descent import descend, only
from genlab.core.random import Randomness
from genlab.objectives.adversarial import AdversarialLoss


class GAN(nn.Module):
    """A generator of images from N(0, 1) latents, and the critic that taught it."""

    def __init__(self, generator: nn.Module, critic: nn.Module, latent: int) -> None:
        super().__init__()
        self.generator = generator
        self.critic = critic
        self.latent = latent

    def decode(self, latents: Tensor) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1] of latents (B, latent)."""
        return torch.tanh(self.generator(latents))

    def logits(self, images: Tensor) -> Tensor:
        """Return the critic's logits of images (B, C, H, W), (B,); positive means real."""
        return torch.flatten(self.critic(images))

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` draws from N(0, 1), (count, latent)."""
        device = next(self.parameters()).device
        return torch.randn(count, self.latent, generator=generator).to(device)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` new images, (count, C, H, W) in [-1, 1]."""
        return self.decode(self.prior(count, generator))


class GANTraining:
    """Alternates `critic_steps` descents of the critic with one of the generator (algorithm 1)."""

    def __init__(
        self,
        model: GAN,
        generator_optimizer: torch.optim.Optimizer,
        critic_optimizer: torch.optim.Optimizer,
        loss: AdversarialLoss,
        randomness: Randomness,
        critic_steps: int = 1,
    ) -> None:
        self.model = model
        self.optimizers = {"critic": critic_optimizer, "generator": generator_optimizer}
        self.loss = loss
        self.randomness = randomness
        self.critic_steps = critic_steps

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Improve the critic `critic_steps` times, each on a fresh batch, then the generator once."""
        model = self.model
        with only(model.critic, among=model):
            for turn in range(self.critic_steps):
                real = next(batches).images
                with torch.no_grad():
                    fake = model.decode(self.noise(len(real), "critic", step, turn))
                real_logits, fake_logits = model.logits(real), model.logits(fake)
                critic_loss, _ = self.loss(real_logits, fake_logits)
                critic_norm = descend(critic_loss, self.optimizers["critic"])
        with only(model.generator, among=model):
            logits = model.logits(model.decode(self.noise(len(real), "generator", step)))
            _, generator_loss = self.loss(real_logits.detach(), logits)
            generator_norm = descend(generator_loss, self.optimizers["generator"])
        return {
            "critic_loss": critic_loss.detach(),
            "generator_loss": generator_loss.detach(),
            "D(x)": real_logits.detach().sigmoid().mean(),
            "D(G(z))": fake_logits.detach().sigmoid().mean(),
            "accuracy_real": (real_logits > 0).float().mean(),
            "accuracy_fake": (fake_logits < 0).float().mean(),
            "critic_gradient_norm": critic_norm,
            "generator_gradient_norm": generator_norm,
        }

    def noise(self, rows: int, *keys: int | str) -> Tensor:
        """Return latents for this process's rows, (rows, latent)."""
        return self.randomness.normal(rows, (self.model.latent,), *keys)
