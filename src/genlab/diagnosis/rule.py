"""A rule: one symptom, told from signals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genlab.diagnosis.finding import Finding, Remedy, Sign
from genlab.diagnosis.history import SMOOTH, History, Series

POINTS = 4  # looks in a row that a symptom must be there
LONG = 10  # of a symptom that a healthy run has for a while
FROZEN = 0.02  # of a loss: what it may move by without having learned anything
START = 0.05  # of a run: before, weights settle and samples are those of random weights


def frozen_loss(loss: Series, name: str) -> Sign | None:
    """Return the sign of a loss that has not moved from where it began."""
    smooth = loss.smooth()
    if len(smooth) < 2 * LONG:
        return None
    began = float(np.median(loss.values[:3]))
    since = smooth.held(np.abs(smooth.values - began) <= FROZEN * abs(began), 2 * LONG)
    if since is None or since > smooth.steps[SMOOTH]:
        return None
    return Sign(since, [smooth.shows(name, f"away from where it began, {began:.4g}")])


def _whatever(_changes: Mapping[str, Any]) -> bool:
    return True


@dataclass(frozen=True)
class Context:
    """What is known of a run besides its signals."""

    family: str | None = None  # "gan", "vae", "autoencoder", "diffusion", "flow"; None where nobody said
    steps: int | None = None  # planned; None where nobody said
    options: Mapping[str, Any] = field(default_factory=dict)  # of the recipe
    published: Mapping[str, Any] = field(default_factory=dict)  # of the preset that it began with
    facts: Mapping[str, float] = field(default_factory=dict)  # about the training images
    possible: Callable[[Mapping[str, Any]], bool] = _whatever  # whether the recipe can be changed so

    def share(self, history: History, part: float) -> float:
        """Return the step at which `part` of the run is over."""
        return part * (self.steps or history.step)


@dataclass(frozen=True)
class Rule:
    """When a symptom is there, why, and what helps.

    `check` is a pure function. A rule applies to the families that it names, and can be checked where each of its
    `needs` is there; a need is a signal, or several of which one is enough.
    """

    name: str
    symptom: str  # for people, without a full stop
    check: Callable[[History, Context], Sign | None]
    why: str  # two sentences
    references: str = ""
    needs: Sequence[str | Sequence[str]] = ()
    families: Sequence[str] = ("gan", "vae", "autoencoder", "diffusion", "flow")
    remedies: Sequence[Remedy] = ()

    @property
    def signals(self) -> list[str]:
        """The names of all signals that it needs or may do with."""
        return [name for need in self.needs for name in ([need] if isinstance(need, str) else need)]

    def missing(self, history: History) -> list[str]:
        """Return what `history` has not of what the rule needs."""
        lacking = []
        for need in self.needs:
            names = [need] if isinstance(need, str) else list(need)
            if not any(name in history for name in names):
                lacking.append(" or ".join(names))
        return lacking

    def __call__(self, history: History, context: Context) -> Finding | None:
        """Return the finding, if the symptom is there at the end of `history`."""
        sign = self.check(history, context)
        return None if sign is None else self.found(sign, history.step)

    def found(self, sign: Sign, step: int) -> Finding:
        """Return the finding that a sign makes at `step`."""
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
