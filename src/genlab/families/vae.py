"""The variational autoencoder: β-weighted, annealed, importance-weighted, conditional, if asked for.

References:
    Kingma and Welling, 2013. Auto-Encoding Variational Bayes. arXiv:1312.6114.
    Higgins et al., 2017. beta-VAE. ICLR.
    Burda, Grosse and Salakhutdinov, 2015. Importance Weighted Autoencoders. arXiv:1509.00519.
    Kingma et al., 2016. Improved Variational Inference with Inverse Autoregressive Flow. arXiv:1606.04934.
    Sohn, Lee and Yan, 2015. Learning Structured Output Representation using Deep Conditional Generative
    Models. NeurIPS.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.contract import Signals
from genlab.core.labels import chosen, round_robin
from genlab.core.random import Draws, Randomness
from genlab.core.schedules import Schedule
from genlab.families.posterior import Posterior, usage
from genlab.families.single import SingleObjectiveTraining
from genlab.objectives.divergence import free_bits
from genlab.objectives.likelihood import importance_bound
from genlab.objectives.reconstruction import Reconstruction

CHUNK = 4096  # images that `VAE.importance_bound` decodes at a time


class VAE(nn.Module):
    """An encoder that gives a posterior, a decoder, and the prior N(0, 1) over `latent` dimensions.

    The encoder has 2·latent outputs: means, then log-variances. `reconstruction` is −log p(x | z).

    With `classes` both networks are told the label: q(z | x, y) and p(x | z, y), with y uniform. Where no labels
    are given, those of images are inferred (`classify`), and those of latents go round the classes.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        reconstruction: Reconstruction,
        *,
        classes: int = 0,
        importance_samples: int = 1,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.latent = latent
        self.reconstruction = reconstruction
        self.classes = classes
        self.importance_samples = importance_samples

    def posterior(self, images: Tensor, labels: Tensor | None = None) -> Posterior:
        """Return q(z | x, y) for images (B, C, H, W) in [-1, 1]."""
        mean, log_variance = self.encoder(images, self._labels(images, labels)).chunk(2, dim=1)
        return Posterior(mean, log_variance)

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the posterior mean, (B, latent)."""
        return self.posterior(images, labels).mean

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1] of latents (B, latent); row i is of class i % K without labels."""
        labels = round_robin(len(latents), self.classes, latents.device) if labels is None else labels
        return torch.tanh(self.decoder(latents, labels))

    def reconstruct(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the image of the posterior mean."""
        labels = self._labels(images, labels)
        return self.decode(self.encode(images, labels), labels)

    def resample(
        self, images: Tensor, generator: torch.Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """Return the image of one draw from the posterior of each image."""
        labels = self._labels(images, labels)
        noise = self.prior(len(images), generator)
        return self.decode(self.posterior(images, labels).sample(noise), labels)

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` draws from N(0, 1), (count, latent)."""
        device = next(self.parameters()).device
        return torch.randn(count, self.latent, generator=generator).to(device)

    def sample(self, count: int, generator: torch.Generator | None = None, labels: Tensor | None = None) -> Tensor:
        """Return `count` images of latents drawn from the prior, (count, C, H, W) in [-1, 1].

        Raises:
            UsageError: labels that are none of the model's classes.
        """
        latents = self.prior(count, generator)
        return self.decode(latents, chosen(labels, count, self.classes, latents.device))

    def classify(self, images: Tensor) -> Tensor:
        """Return for each image the class of the highest evidence bound, (B,).

        The bound is taken at the posterior mean, so that the same image always gets the same class.
        """
        bounds = []
        for labels in self._each_class(images):
            posterior = self.posterior(images, labels)
            distortion = self.distortion(posterior.mean[None], images, labels)[0]
            bounds.append(-distortion - posterior.kl().sum(1))
        return torch.stack(bounds).argmax(0)

    def distortion(self, latents: Tensor, images: Tensor, labels: Tensor | None) -> Tensor:
        """Return −log p(x | z, y) of k latents (k, B, latent) for each image, (k, B)."""
        count = len(latents)
        activations = self.decoder(latents.flatten(0, 1), None if labels is None else labels.repeat(count))
        wanted = images.expand(count, *images.shape).flatten(0, 1)
        return self.reconstruction(activations, wanted).view(count, len(images))

    def evidence_bound(
        self, images: Tensor, generator: torch.Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """Return E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)) with one draw of z, in nats, (B,).

        With `importance_samples`, or without the labels of a conditional model, it is `importance_bound` with as
        many draws. log p(x | z) is −`reconstruction`, so that the bound is up to a constant where that is.
        """
        if self.importance_samples > 1 or (self.classes and labels is None):
            return self.importance_bound(images, self.importance_samples, generator, labels)
        distortion, rate = self.distortion_and_rate(images, generator, labels)
        return -distortion - rate

    def distortion_and_rate(
        self, images: Tensor, generator: torch.Generator | None = None, labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return E_q[−log p(x | z)] with one draw of z, and KL(q(z | x) ‖ p(z)), of each image in nats, (B,)."""
        labels = self._labels(images, labels)
        posterior = self.posterior(images, labels)
        latents = posterior.sample(self.prior(len(images), generator))
        return self.distortion(latents[None], images, labels)[0], posterior.kl().sum(1)

    def importance_bound(
        self,
        images: Tensor,
        samples: int,
        generator: torch.Generator | None = None,
        labels: Tensor | None = None,
        *,
        chunk: int = CHUNK,
    ) -> Tensor:
        """Return log (1/k) Σᵢ p(x | zᵢ) p(zᵢ) / q(zᵢ | x) with k = `samples` draws of z, in nats, (B,).

        Its mean rises with k to log p(x). Without the labels of a conditional model there are k draws for each
        class, and it is the bound of the mixture (1/K) Σ_y p(x | y).

        Args:
            images: (B, C, H, W) in [-1, 1].
            samples: k.
            generator: of the draws.
            labels: (B,).
            chunk: about how many images are decoded at a time: the memory that it takes does not depend on k.
        """
        unknown = self.classes and labels is None
        most, weights = max(1, chunk // len(images)), []
        for given in self._each_class(images) if unknown else [labels]:
            posterior = self.posterior(images, given)
            for start in range(0, samples, most):
                count = min(most, samples - start)
                flat = self.prior(len(images) * count, generator)
                noise = flat.view(len(images), count, self.latent).transpose(0, 1)
                distortion = self.distortion(posterior.sample(noise), images, given)
                weights.append(posterior.log_ratio(noise) - distortion)
        return importance_bound(torch.cat(weights))

    def _labels(self, images: Tensor, labels: Tensor | None) -> Tensor | None:
        """Return `labels`, inferred where a conditional model is given none."""
        return self.classify(images) if self.classes and labels is None else labels

    def _each_class(self, images: Tensor) -> list[Tensor]:
        """Return for each class the labels of `images` if they were all of that class."""
        return [torch.full((len(images),), label, device=images.device) for label in range(self.classes)]


@dataclass(eq=False, kw_only=True)
class VAETraining(SingleObjectiveTraining[VAE]):
    """Minimises the negative evidence bound, its rate weighted by β: distortion + β·rate.

    Distortion is E[−log p(x | z)] and rate E[KL(q(z | x) ‖ p(z))], both in nats per image. With free bits the rate
    of a dimension below `floor` nats counts as `floor`, so that nothing is won by giving the dimension up. With
    the model's `importance_samples` above 1 it is the importance bound that is maximised, without β.
    """

    beta: Schedule
    floor: float = 0.0
    binarise: bool = False

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and what there is to say about it."""
        model, images, rows = self.model, batch.images, len(batch)
        if self.binarise:
            images = binarised(images, randomness.draws(rows, "binarise", step))
        labels = batch.labels if model.classes else None
        posterior = model.posterior(images, labels)
        draws = randomness.draws(rows, "posterior", step)
        noise = draws.normal(model.importance_samples, model.latent).transpose(0, 1)
        distortion = model.distortion(posterior.sample(noise), images, labels)
        kl, beta = posterior.kl(), self.beta(step)
        if model.importance_samples > 1:
            loss = -importance_bound(posterior.log_ratio(noise) - distortion).mean()
        else:
            loss = distortion.mean() + beta * (free_bits(kl, self.floor) if self.floor else kl.sum(1).mean())
        return loss, {
            "loss": loss,
            "distortion": distortion.mean(),
            "rate": kl.sum(1).mean(),
            "beta": loss.new_full((), beta),
            **usage(posterior),
        }


def binarised(images: Tensor, draws: Draws) -> Tensor:
    """Return each pixel as 1 (white) with its grey level (x + 1)/2 as probability, else −1.

    References:
        Salakhutdinov and Murray, 2008. On the Quantitative Analysis of Deep Belief Networks. ICML.
        Burda, Grosse and Salakhutdinov, 2015, section 5.1. arXiv:1509.00519.
    """
    white = 2 * draws.uniform(*images.shape[1:]) - 1 < images
    return white.to(images.dtype) * 2 - 1
