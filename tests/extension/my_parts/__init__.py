"""Parts that genlab does not have: one of each kind, each in a file of its own.

    genlab train dcgan --plugin my_parts/ --architecture small-convs --loss squared-hinge --squared-hinge-margin 2

In Python: `genlab.plugin("my_parts/")`.
"""

from . import (
    architecture,
    callback,
    data,
    extractor,
    family,
    gan_loss,
    lr_schedule,
    metric,
    noise_schedule,
    reconstruction,
    regularizers,
    rule,
    sampler,
)

from . import presets  # isort: skip  (made of the parts above)

__all__ = [
    "architecture",
    "callback",
    "data",
    "extractor",
    "family",
    "gan_loss",
    "lr_schedule",
    "metric",
    "noise_schedule",
    "presets",
    "reconstruction",
    "regularizers",
    "rule",
    "sampler",
]
