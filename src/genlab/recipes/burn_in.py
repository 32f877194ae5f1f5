"""The burn-in of a GAN: what begins elsewhere and moves to its value along a cosine over the first steps.

At first the data and the generated images hardly overlap, and both networks change quickly. Stronger penalties
keep the discriminator smooth, high learning rates and a short memory of squared gradients follow the change, and
the average follows the weights. Each function takes the number of steps, 0 for no burn-in. All five configurations
of the authors begin alike.

References:
    Huang et al., 2024. The GAN is dead; long live the GAN! A Modern GAN Baseline, appendix. arXiv:2501.05441.
"""

from genlab.core.schedules import Schedule, cosine_between

FIRST_RATE = 4.0  # times the learning rates
FIRST_GAMMA = 10.0  # times the weights of R1 and R2
FIRST_BETA2 = 0.9


def rate(steps: int) -> Schedule:
    """Return the factor on all learning rates: from 4 to 1."""
    return cosine_between(FIRST_RATE, 1.0, steps)


def gamma(steps: int) -> Schedule:
    """Return the factor on the weights of R1 and R2: from 10 to 1."""
    return cosine_between(FIRST_GAMMA, 1.0, steps)


def beta2(last: float, steps: int) -> Schedule:
    """Return β₂ of Adam: from 0.9 to `last`."""
    return cosine_between(FIRST_BETA2, last, steps)


def share(steps: int) -> Schedule:
    """Return the factor on the half-life of the average, and the probability of augmentation: from 0 to 1."""
    return cosine_between(0.0, 1.0, steps)
