"""Adversarial losses: each row of the table has the discriminator's loss, the generator's, and what they assume.

The discriminator's outputs (n,) are unbounded; a higher output means more real. Every loss is a mean over them.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from torch import Tensor
from torch.nn.functional import relu, softplus

from genlab.core.distributed import all_reduce_mean
from genlab.core.errors import GenlabError, UsageError
from genlab.core.parts import Part, Table


@dataclass(frozen=True)
class AdversarialLoss:
    """The losses of the discriminator and of the generator.

    Args:
        discriminator: (outputs of real images, outputs of generated images) -> loss.
        generator: (outputs of generated images) -> loss; with `compares_real`, (outputs of real images, outputs of
            generated images) -> loss.
        log_odds: whether outputs are logits of the probability that an image is real, D = sigmoid(output).
        targets: whether the discriminator's loss has target outputs, its keywords `real_label` and `fake_label`.
        compares_real: whether the generator's loss needs the outputs of real images.
        signed: whether outputs above 0 mean real and below 0 generated; so they do with `log_odds`, too.
        unbounded: whether the discriminator's loss falls without limit as its outputs grow; then something has to
            bound its slope.

    Raises:
        GenlabError: the arguments of the two functions do not fit `targets` or `compares_real`.
    """

    discriminator: Callable[..., Tensor]
    generator: Callable[..., Tensor]
    log_odds: bool = False
    targets: bool = False
    compares_real: bool = False
    unbounded: bool = False
    signed: bool = False

    def __post_init__(self) -> None:
        targets = ["real_label", "fake_label"] if self.targets else []
        _check(self.discriminator, ["real", "fake"], f"targets={self.targets}", targets)
        _check(
            self.generator,
            ["real", "fake"] if self.compares_real else ["fake"],
            f"compares_real={self.compares_real}",
        )


def _check(
    loss: Callable[..., Tensor], outputs: list[str], declared: str, keywords: list[str] | None = None
) -> None:
    """Raise GenlabError unless `loss` takes exactly these positional and, if given, keyword arguments."""
    signature = inspect.signature(loss)
    by_keyword = {name for name, p in signature.parameters.items() if p.kind is p.KEYWORD_ONLY}
    by_position = [name for name in signature.parameters if name not in by_keyword]
    if by_position != outputs or (keywords is not None and by_keyword != set(keywords)):
        wanted = ", ".join([*outputs, "*", *keywords] if keywords else outputs)
        raise GenlabError(
            f"the loss {getattr(loss, '__name__', loss)} takes {signature}, but {declared} means ({wanted}). "
            "Change the arguments of the function, or the row of the table."
        )


def _cross_entropy(logits: Tensor, label: float) -> Tensor:
    """−E[label·log D + (1 − label)·log(1 − D)] in nats, by −log sigmoid(a) = softplus(−a)."""
    return (label * softplus(-logits) + (1 - label) * softplus(logits)).mean()


def cross_entropy_discriminator(
    real: Tensor, fake: Tensor, *, real_label: float = 1.0, fake_label: float = 0.0
) -> Tensor:
    """−E[log D(x)] − E[log(1 − D(G(z)))] in nats.

    For the optimal discriminator it is log 4 − 2·JS(data, model).

    Args:
        real: logits of real images, (n,).
        fake: logits of generated images, (n,).
        real_label: the target for real images; below 1 (label smoothing) it keeps the discriminator from becoming
            overconfident.
        fake_label: the target for generated images. Salimans et al. leave it at 0 (one-sided smoothing): above 0,
            generated images far from the data have no incentive to move.

    References:
        Goodfellow et al., 2014. Generative Adversarial Networks, equation 1. arXiv:1406.2661.
        Salimans et al., 2016. Improved Techniques for Training GANs, section 3.4. arXiv:1606.03498.
    """
    return _cross_entropy(real, real_label) + _cross_entropy(fake, fake_label)


def minimax_generator(fake: Tensor) -> Tensor:
    """E[log(1 − D(G(z)))] in nats: the generator minimises what the discriminator maximises.

    Its gradient vanishes where the discriminator is confident, so `non_saturating_generator` is the default.

    References:
        Goodfellow et al., 2014. Generative Adversarial Networks, equation 1. arXiv:1406.2661.
    """
    return -softplus(fake).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """−E[log D(G(z))] in nats.

    It has the same fixed points as `minimax_generator`, but its gradient is largest where the discriminator
    rejects generated images: for each logit it is the gradient of `minimax_generator` times (1 − D) / D.

    References:
        Goodfellow et al., 2014. Generative Adversarial Networks, section 3. arXiv:1406.2661.
    """
    return softplus(-fake).mean()


def least_squares_discriminator(
    real: Tensor, fake: Tensor, *, real_label: float = 1.0, fake_label: float = 0.0
) -> Tensor:
    """½ E[(D(x) − b)²] + ½ E[(D(G(z)) − a)²].

    Args:
        real: outputs of real images, (n,).
        fake: outputs of generated images, (n,).
        real_label: b, the target for real images.
        fake_label: a, the target for generated images.

    References:
        Mao et al., 2017. Least Squares Generative Adversarial Networks, equation 2. arXiv:1611.04076.
    """
    return 0.5 * ((real - real_label).square().mean() + (fake - fake_label).square().mean())


def least_squares_generator(fake: Tensor, *, wanted_label: float = 1.0) -> Tensor:
    """½ E[(D(G(z)) − c)²].

    With b − c = 1 and b − a = 2 the generator minimises the Pearson χ² divergence for the optimal discriminator;
    the paper trains with a = 0, b = c = 1.

    Args:
        fake: outputs of generated images, (n,).
        wanted_label: c, the generator's target for its images.

    References:
        Mao et al., 2017. Least Squares Generative Adversarial Networks, equation 2. arXiv:1611.04076.
    """
    return 0.5 * (fake - wanted_label).square().mean()


def whole_squares_generator(fake: Tensor) -> Tensor:
    """E[(D(G(x)) − 1)²], without the ½ of `least_squares_generator`: the weights of other losses are beside it.

    References:
        Zhu et al., 2017. Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, section
        4. arXiv:1703.10593.
    """
    return (fake - 1).square().mean()


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E[D(G(z))] − E[D(x)].

    Its minimum over critics with Lipschitz constant 1 is minus the earth mover's distance. Weight clipping, a
    gradient penalty or spectral normalisation has to bound the constant.

    References:
        Arjovsky, Chintala and Bottou, 2017. Wasserstein GAN. arXiv:1701.07875.
    """
    return fake.mean() - real.mean()


def wasserstein_generator(fake: Tensor) -> Tensor:
    """−E[D(G(z))], also the generator's loss for the hinge loss.

    References:
        Arjovsky, Chintala and Bottou, 2017. Wasserstein GAN. arXiv:1701.07875.
    """
    return -fake.mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 − D(x))] + E[max(0, 1 + D(G(z)))].

    References:
        Lim and Ye, 2017. Geometric GAN. arXiv:1705.02894.
        Miyato et al., 2018. Spectral Normalization for GANs, equations 16 and 17. arXiv:1802.05957.
    """
    return relu(1 - real).mean() + relu(1 + fake).mean()


def relativistic_average_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """−E[log D(x)] − E[log(1 − D(G(z)))] in nats, with each output relative to the mean of the other kind.

    D(x) = sigmoid(C(x) − E[C(G(z))]) and D(G(z)) = sigmoid(C(G(z)) − E[C(x)]), where C is the output: D is the
    probability that an image is more real than the average image of the other kind.

    References:
        Jolicoeur-Martineau, 2018. The relativistic discriminator, section 4.2. arXiv:1807.00734.
    """
    real, fake = _relative(real, fake)
    return _cross_entropy(real, 1.0) + _cross_entropy(fake, 0.0)


def relativistic_average_generator(real: Tensor, fake: Tensor) -> Tensor:
    """−E[log(1 − D(x))] − E[log D(G(z))] in nats, with D as in `relativistic_average_discriminator`.

    References:
        Jolicoeur-Martineau, 2018. The relativistic discriminator, section 4.2. arXiv:1807.00734.
    """
    real, fake = _relative(real, fake)
    return _cross_entropy(real, 0.0) + _cross_entropy(fake, 1.0)


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E[log(1 + exp(−(C(xᵢ) − C(G(zᵢ)))))] in nats, where C is the output and i runs over the pairs of a batch.

    sigmoid(C(xᵢ) − C(G(zᵢ))) is the probability that the real image of a pair is the more real one. A constant
    that is added to all outputs changes nothing. Each generated image is compared with real ones, so that the
    discriminator cannot separate them all by one threshold, which is where modes are lost. It converges with both
    `r1` and `r2` beside it, and need not without.

    Args:
        real: outputs of real images, (n,).
        fake: outputs of generated images, (n,).

    References:
        Jolicoeur-Martineau, 2018. The relativistic discriminator, section 4.1. arXiv:1807.00734.
        Huang et al., 2024. The GAN is dead; long live the GAN! A Modern GAN Baseline, section 2. arXiv:2501.05441.
    """
    return softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E[log(1 + exp(−(C(G(zᵢ)) − C(xᵢ))))] in nats: the generated image of each pair should be the more real one.

    References:
        Huang et al., 2024. The GAN is dead; long live the GAN! A Modern GAN Baseline, section 2. arXiv:2501.05441.
    """
    return softplus(real - fake).mean()


def _relative(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs of each kind minus the mean of the other, over all processes."""
    return real - all_reduce_mean(fake.mean()), fake - all_reduce_mean(real.mean())


def own_loss(part: Part, own: Mapping[str, Any]) -> AdversarialLoss:
    """Return the row of a user's own loss: an `AdversarialLoss`, or a class or object with its two functions.

    Raises:
        UsageError: it has no functions `discriminator` and `generator`.
        GenlabError: their arguments do not fit the traits.
    """
    if isinstance(part.value, AdversarialLoss):
        return replace(part.value, **part.traits)
    value = part.value() if isinstance(part.value, type) and _has_methods(part.value) else part.value
    functions = {name: getattr(value, name, None) for name in ("discriminator", "generator")}
    if not all(map(callable, functions.values())):
        raise UsageError(
            f'the GAN loss "{part.name}" needs two functions: `discriminator(real, fake)` and `generator(fake)`, '
            "of the discriminator's outputs (n,), as attributes of a class or in a genlab.AdversarialLoss."
        )
    options = {name: own.get(part.flag(name), option.default) for name, option in part.options.items()}
    bound = {name: _with_options(function, options, part.name) for name, function in functions.items()}
    traits = {
        name: getattr(value, name, False)
        for name in ("log_odds", "targets", "compares_real", "unbounded", "signed")
    }
    return AdversarialLoss(bound["discriminator"], bound["generator"], **{**traits, **part.traits})


def _has_methods(cls: type) -> bool:
    """Whether the functions of a class take the object as their first argument."""
    functions = [cls.__dict__.get(name) for name in ("discriminator", "generator")]
    return any(
        inspect.isfunction(f) and next(iter(inspect.signature(f).parameters), "") == "self" for f in functions
    )


def _with_options(function: Any, options: Mapping[str, Any], name: str) -> Callable[..., Tensor]:  # noqa: ANN401
    """Return a loss with its options bound, which checks that it returns one number."""
    takes = inspect.signature(function).parameters
    given = {option: value for option, value in options.items() if option in takes}

    @wraps(function)
    def loss(*outputs: Tensor, **targets: float) -> Tensor:
        made = function(*outputs, **given, **targets)
        if not isinstance(made, Tensor) or made.ndim:
            got = f"shape {tuple(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
            raise UsageError(
                f'the GAN loss "{name}" must return one number, a tensor of shape (), not {got}: take the mean.'
            )
        return made

    left = [p for option, p in takes.items() if option not in given]
    loss.__signature__ = inspect.Signature(left)  # type: ignore[attr-defined]
    return loss


ADVERSARIAL: Table[AdversarialLoss] = Table(
    "gan-loss",
    {
        "minimax": AdversarialLoss(cross_entropy_discriminator, minimax_generator, log_odds=True, targets=True),
        "non-saturating": AdversarialLoss(
            cross_entropy_discriminator, non_saturating_generator, log_odds=True, targets=True
        ),
        "least-squares": AdversarialLoss(least_squares_discriminator, least_squares_generator, targets=True),
        "wasserstein": AdversarialLoss(wasserstein_discriminator, wasserstein_generator, unbounded=True),
        "hinge": AdversarialLoss(hinge_discriminator, wasserstein_generator, signed=True),
        "relativistic-average": AdversarialLoss(
            relativistic_average_discriminator, relativistic_average_generator, compares_real=True
        ),
        "relativistic": AdversarialLoss(relativistic_discriminator, relativistic_generator, compares_real=True),
    },
    own_loss,
)
