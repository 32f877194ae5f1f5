"""Variational autoencoders, with options for β, annealing, free bits, importance weighting and conditions.

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
from genlab.core.condition import NONE, Condition, fill
from genlab.core.contract import Signals
from genlab.core.modality import DataSpec
from genlab.core.random import Draws, Randomness, normal
from genlab.core.schedules import Schedule
from genlab.families.posterior import Posterior, usage
from genlab.families.single import SingleObjectiveTraining
from genlab.objectives.divergence import free_bits
from genlab.objectives.likelihood import importance_bound
from genlab.objectives.reconstruction import DrawsExamples, Reconstruction

CHUNK = 4096  # examples that `VAE.importance_bound` decodes at a time


class VAE(nn.Module):
    """An encoder that outputs a posterior, a decoder, and the prior N(0, 1) over `latent` dimensions.

    The encoder has 2·latent outputs: means, then log-variances. `reconstruction` is −log p(x | z).

    With the condition "label" both networks get the class: q(z | x, y) and p(x | z, y), with y uniform. Labels
    that are not given are inferred for examples (`classify`) and cycle through the classes for latents.
    """

    uses_sigma = False

    def __init__(
        self,
        spec: DataSpec,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        reconstruction: Reconstruction,
        *,
        importance_samples: int = 1,
    ) -> None:
        super().__init__()
        self.modality, self.conditions = spec.target, spec.conditions
        self.classes = spec.classes
        self.encoder = encoder
        self.decoder = decoder
        self.latent = latent
        self.reconstruction = reconstruction
        self.importance_samples = importance_samples

    @property
    def levels(self) -> None:
        """None: the likelihood is of real numbers, for all data."""
        return None

    def posterior(self, x: Tensor, condition: Condition = NONE) -> Posterior:
        """Return q(z | x, y) for examples (B, *shape)."""
        mean, log_variance = self.encoder(x, self._inferred(x, condition)).chunk(2, dim=1)
        return Posterior(mean, log_variance)

    def encode(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the latents (B, latent) of examples (B, *shape): the posterior means."""
        return self.posterior(x, condition).mean

    def decode(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the examples (B, *shape) of latents (B, latent)."""
        condition = fill(self.conditions, condition, latents.shape[0], latents.device)
        return self.modality.squash(self.decoder(latents, condition))

    def reconstruct(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the reconstructions of examples (B, *shape): decode(encode(x))."""
        condition = self._inferred(x, condition)
        return self.decode(self.encode(x, condition), condition)

    def denoise(self, x: Tensor, sigma: Tensor | None = None, condition: Condition = NONE) -> Tensor:
        """Return the reconstructions of noisy examples (B, *shape): few latents have no room for noise."""
        return self.reconstruct(x, condition)

    def resample(self, x: Tensor, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return the reconstructions of examples (B, *shape), each from one draw of its posterior."""
        condition = self._inferred(x, condition)
        noise = self.prior(x.shape[0], generator)
        return self.decode(self.posterior(x, condition).sample(noise), condition)

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` draws from the prior N(0, 1), (count, latent)."""
        device = next(self.parameters()).device
        return normal(generator, count, self.latent).to(device)

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` new examples (count, *shape): decoded latents, or draws of p(x | z) for rows of tables.

        Labels that are not given cycle through the classes.

        Raises:
            UsageError: a condition that the model does not take, a value that does not fit, or a missing condition
                without a default.
        """
        latents = self.prior(count, generator)
        likelihood: object = self.reconstruction
        if not isinstance(likelihood, DrawsExamples):
            return self.decode(latents, condition)
        condition = fill(self.conditions, condition, count, latents.device)
        noise = normal(generator, count, *self.modality.shape).to(latents.device)
        return likelihood.draw(self.decoder(latents, condition), noise)

    def classify(self, x: Tensor) -> Tensor:
        """Return the class with the highest evidence lower bound for each example, (B,).

        The bound is computed at the posterior mean, so that the same example always gets the same class.
        """
        bounds = []
        for condition in self._each_class(x):
            posterior = self.posterior(x, condition)
            distortion = self.distortion(posterior.mean[None], x, condition)[0]
            bounds.append(-distortion - posterior.kl().sum(1))
        return torch.stack(bounds).argmax(0)

    def distortion(self, latents: Tensor, x: Tensor, condition: Condition) -> Tensor:
        """Return −log p(x | z, y) for k latents of each example, (k, B), given latents (k, B, latent)."""
        count = latents.shape[0]
        repeated = {name: torch.cat([value] * count) for name, value in condition.items()}
        outputs = self.decoder(latents.flatten(0, 1), repeated)
        wanted = x.expand(count, *x.shape).flatten(0, 1)
        return self.reconstruction(outputs, wanted).view(count, x.shape[0])

    def evidence_bound(
        self, x: Tensor, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the evidence lower bound of each example in nats, (B,): E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)).

        The expectation is by one draw of z. With `importance_samples` above 1, or without the labels of a
        conditional model, it is `importance_bound` with as many draws. log p(x | z) is −`reconstruction`: if that
        omits a constant, so does the bound.
        """
        if self.importance_samples > 1 or self._unlabelled(condition):
            return self.importance_bound(x, self.importance_samples, condition, generator)
        distortion, rate = self.distortion_and_rate(x, condition, generator)
        return -distortion - rate

    def distortion_and_rate(
        self, x: Tensor, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return E_q[−log p(x | z)] by one draw of z, and KL(q(z | x) ‖ p(z)), of each example in nats, (B,)."""
        condition = self._inferred(x, condition)
        posterior = self.posterior(x, condition)
        latents = posterior.sample(self.prior(x.shape[0], generator))
        return self.distortion(latents[None], x, condition)[0], posterior.kl().sum(1)

    def importance_bound(
        self,
        x: Tensor,
        samples: int,
        condition: Condition = NONE,
        generator: torch.Generator | None = None,
        *,
        chunk: int = CHUNK,
    ) -> Tensor:
        """Return the importance-weighted bound with `samples` draws, of each example in nats, (B,).

        It is log (1/k) Σᵢ p(x | zᵢ) p(zᵢ) / q(zᵢ | x) with k draws of z; its mean increases with k to log p(x).
        Without the labels of a conditional model there are k draws for each class, and it is the bound of the
        mixture (1/K) Σ_y p(x | y).

        Args:
            x: examples (B, *shape).
            samples: k.
            condition: may hold the label, (B,).
            generator: of the draws.
            chunk: about how many examples are decoded at a time, so that the memory does not depend on k.
        """
        most, weights = max(1, chunk // x.shape[0]), []
        for given in self._each_class(x) if self._unlabelled(condition) else [condition]:
            posterior = self.posterior(x, given)
            for start in range(0, samples, most):
                count = min(most, samples - start)
                flat = self.prior(x.shape[0] * count, generator)
                noise = flat.view(x.shape[0], count, self.latent).transpose(0, 1)
                distortion = self.distortion(posterior.sample(noise), x, given)
                weights.append(posterior.log_ratio(noise) - distortion)
        return importance_bound(torch.cat(weights))

    def _unlabelled(self, condition: Condition) -> bool:
        """Whether the model takes a label and none is given."""
        return self.classes > 0 and "label" not in condition

    def _inferred(self, x: Tensor, condition: Condition) -> Condition:
        """Return the condition; if a conditional model is given no label, with the inferred one."""
        return {**condition, "label": self.classify(x)} if self._unlabelled(condition) else condition

    def _each_class(self, x: Tensor) -> list[Condition]:
        """Return, for each class, the condition that all examples belong to it."""
        return [{"label": torch.full((x.shape[0],), label, device=x.device)} for label in range(self.classes)]


@dataclass(eq=False, kw_only=True)
class VAETraining(SingleObjectiveTraining[VAE]):
    """Minimises the negative evidence lower bound with a weight β on the rate: distortion + β·rate.

    The distortion is E[−log p(x | z)], the rate E[KL(q(z | x) ‖ p(z))], both in nats per example. With free bits,
    the rate of a dimension counts as at least `floor` nats, so that collapsing it gains nothing. If the model's
    `importance_samples` is above 1, the importance-weighted bound is maximised instead, without β.
    """

    beta: Schedule
    floor: float = 0.0
    binarise: bool = False

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and its signals."""
        model, x, rows = self.model, batch.x, len(batch)
        if self.binarise:
            x = binarised(x, randomness.draws(rows, "binarise", step))
        condition = batch.condition_for(model.conditions)
        posterior = model.posterior(x, condition)
        draws = randomness.draws(rows, "posterior", step)
        noise = draws.normal(model.importance_samples, model.latent).transpose(0, 1)
        distortion = model.distortion(posterior.sample(noise), x, condition)
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
    """Return images whose pixels are 1 (white) with probability (x + 1)/2, their grey level, else −1.

    References:
        Salakhutdinov and Murray, 2008. On the Quantitative Analysis of Deep Belief Networks. ICML.
        Burda, Grosse and Salakhutdinov, 2015, section 5.1. arXiv:1509.00519.
    """
    white = 2 * draws.uniform(*images.shape[1:]) - 1 < images
    return white.to(images.dtype) * 2 - 1
