"""Rules: each recognises one symptom by signals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genlab.diagnosis.finding import Finding, Remedy, Sign
from genlab.diagnosis.history import SMOOTH, History, Series

POINTS = 4  # values in a row that must show a symptom
LONG = 10  # values in a row for a symptom that healthy runs show for a while
FLAT = 0.02  # relative change of a loss below which there is no progress
TRANSLATION = ("pix2pix", "cyclegan", "cut", "stargan")  # families
ADVERSARIAL = ("gan", *TRANSLATION)
RESTORATION = ("restoration",)
START = 0.05  # share of a run that is ignored, in which weights settle and samples are untrained


def flat_loss(loss: Series, name: str) -> Sign | None:
    """Return a sign if a loss is still where it began."""
    smooth = loss.smooth()
    if len(smooth) < 2 * LONG:
        return None
    began = float(np.median(loss.values[:3]))
    since = smooth.true_since(np.abs(smooth.values - began) <= FLAT * abs(began), 2 * LONG)
    if since is None or since > smooth.steps[SMOOTH]:
        return None
    return Sign(since, [smooth.shows(name, f"away from where it began, {began:.4g}")])


def _any(_changes: Mapping[str, Any]) -> bool:
    return True


@dataclass(frozen=True)
class Context:
    """What is known of a run besides its signals."""

    family: str | None = None  # "gan", "vae", "autoencoder", "denoiser", "diffusion", "flow"; None if unknown
    steps: int | None = None  # planned; None if unknown
    options: Mapping[str, Any] = field(default_factory=dict)  # of the recipe
    published: Mapping[str, Any] = field(default_factory=dict)  # of its preset
    facts: Mapping[str, float] = field(default_factory=dict)  # about the training images, and `Recipe.facts`
    possible: Callable[[Mapping[str, Any]], bool] = _any  # whether these changes of the recipe are possible

    def share(self, history: History, part: float) -> float:
        """Return the step at which `part` of the run is over."""
        return part * (self.steps or history.step)


@dataclass(frozen=True)
class Rule:
    """A symptom, how it is recognised, why it happens, and what helps.

    `check` is a pure function. A rule applies to its `families`. It can be checked if the history has
    each of its `needs`; a need is the name of a signal, or several names of which one is enough.
    """

    name: str
    symptom: str  # the standard name first, without a full stop
    check: Callable[[History, Context], Sign | None]
    why: str  # two sentences
    references: str = ""
    needs: Sequence[str | Sequence[str]] = ()
    families: Sequence[str] = ()  # all if empty
    remedies: Sequence[Remedy] = ()
    after: str = ""  # the command that measures its needs, if it is not the training

    @property
    def signals(self) -> list[str]:
        """The names of all signals in its needs."""
        return [name for need in self.needs for name in ([need] if isinstance(need, str) else need)]

    def missing(self, history: History) -> list[str]:
        """Return the needs that `history` does not meet."""
        lacking = []
        for need in self.needs:
            names = [need] if isinstance(need, str) else list(need)
            if not any(name in history for name in names):
                lacking.append(" or ".join(names))
        return lacking

    def __call__(self, history: History, context: Context) -> Finding | None:
        """Return the finding if `history` ends with the symptom."""
        sign = self.check(history, context)
        return None if sign is None else self.found(sign, history.step)

    def found(self, sign: Sign, step: int) -> Finding:
        """Return the finding of a sign that was seen at `step`."""
        return Finding(
            self.name,
            self.symptom,
            sign.severity,
            sign.since,
            step,
            sign.evidence,
            self.why,
            self.references,
            self.remedies,
        )
