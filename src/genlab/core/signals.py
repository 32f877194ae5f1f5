"""The table of signals: every number that a run reports, what it means and how it is plotted.

A run reports signals in history.jsonl (losses, gradient norms, probes …) and in its evaluations (bounds, errors,
distances). Curves, the terminal, the report, the rules of the diagnosis and the reader of other programs' logs
look signals up here.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache

from genlab.core.signal_kinds import CRITERION, INDEX, Kind, Signal
from genlab.core.signals_evaluations import EVALUATIONS
from genlab.core.signals_probes import PROBES
from genlab.core.signals_training import TRAINING

SIGNALS: Sequence[Signal] = (*TRAINING, *PROBES, *EVALUATIONS)

# The names of signals in logs of other programs: lower case, letters and digits only.
ALIASES: Mapping[str, Sequence[str]] = {
    "discriminator_loss": (
        *("dloss", "lossd", "errd", "ld", "dlosstotal", "discloss", "lossdisc", "disloss", "lossdis"),
        *("discriminatorloss", "lossdiscriminator", "criticloss", "losscritic", "closs", "lossc", "derr"),
    ),
    "generator_loss": (
        *("gloss", "lossg", "errg", "lg", "glosstotal", "genloss", "lossgen", "generatorloss", "lossgenerator"),
        *("gerr",),
    ),
    "D(x)": ("dx", "dreal", "realprob", "dofx", "probreal", "dxmean"),
    "D(G(z))": ("dgz", "dgz1", "dfake", "fakeprob", "dofgz", "probfake"),
    "score_real": ("scorereal", "realscore", "realscores", "scoresreal", "realvalidity", "logitsreal"),
    "score_fake": ("scorefake", "fakescore", "fakescores", "scoresfake", "fakevalidity", "logitsfake"),
    "accuracy_real": ("accuracyreal", "realacc", "accreal", "drealacc", "realaccuracy"),
    "accuracy_fake": ("accuracyfake", "fakeacc", "accfake", "dfakeacc", "fakeaccuracy"),
    "generator_gradient_norm": ("generatorgradientnorm", "gradnormg", "ggradnorm", "gnorm", "generatorgradnorm"),
    "discriminator_gradient_norm": (
        *("discriminatorgradientnorm", "criticgradientnorm", "gradnormd", "dgradnorm", "dnorm"),
        *("discriminatorgradnorm",),
    ),
    "gradient_norm": ("gradientnorm", "gradnorm", "totalnorm"),
    CRITERION: (
        *("fid", "fid50k", "fid50kfull", "metricsfid50kfull", "fid10k", "fid5k", "kid", "validfid", "testfid"),
    ),
    "loss": (
        *("loss", "trainloss", "totalloss", "losstotal", "trainingloss", "losstrain", "negelbo"),
        *("bpd", "trainbpd", "bitsperdim"),
    ),
    "validation_loss": (
        "validationloss",
        "valloss",
        "validloss",
        "testloss",
        "lossval",
        "evalloss",
        "heldoutloss",
    ),
    "distortion": (
        *("distortion", "recon", "reconloss", "reconstructionloss", "rec", "recloss", "lossrecon", "lossrec"),
        *("reconstruction", "nll", "mse", "mseloss", "bce", "bceloss"),
    ),
    "rate": ("rate", "kl", "kld", "klloss", "kldloss", "losskl", "losskld", "kldiv", "kldivergence"),
}


@cache
def signal(name: str) -> Signal:
    """Return the row of a reported name; an unknown name, such as a plugin's, gets a new row."""
    matching = [row for row in SIGNALS if row.pattern.fullmatch(name)]
    exact = [row for row in matching if row.name == name]
    own = re.sub(r"\[\d+\]$", INDEX, name)
    return next(iter(exact + matching), Signal(own, Kind(own.removesuffix(INDEX)), "none", ""))
