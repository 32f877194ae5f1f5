"""The checks of `translation_rules.py`: failures of translations, and checkerboard patterns."""

import numpy as np

from genlab.diagnosis.finding import Evidence, Sign
from genlab.diagnosis.history import History, Series
from genlab.diagnosis.rule import LONG, POINTS, START, Context

UNCHANGED = 0.2  # translation_change
UNMOVED = 0.8  # domain_gap of a translation that does not come nearer to the target domain
SETTLED = 0.15  # share of a run after which translations should show an effect
INVERTED = 1.3  # colour_inversion
IGNORED = 0.1  # source_effect and label_effect
CHANCE = 1.5  # class_accuracy_fake times classes
UNRELATED = 1.1  # source_match of translations that have nothing to do with their source
HIDDEN, LOST = 1.5, 0.2  # cycle_error_noisy / cycle_error, and cycle_error_noisy
VISIBLE = 3.0  # checkerboard, in grey levels
RELATED = 5.0  # deviations by which the similarity of pairs exceeds that of shuffled ones


def does_nothing(history: History, context: Context) -> Sign | None:
    """Translations stay as their sources, and no nearer to the targets."""
    change = _settled(history, context, "translation_change")
    gap = history["domain_gap"].smooth()
    known = len(gap) or "source_match" in history  # whether the sources themselves are known to be wrong
    least = UNCHANGED if known else UNCHANGED / 4
    unmoved = gap.at(change.steps) > UNMOVED if len(gap) else np.ones(len(change), dtype=np.bool_)
    since = change.true_since((change.values < least) & unmoved, POINTS)
    return None if since is None else Sign(since, [change.shows("translation_change", f"above {least}")])


def colours_inverted(history: History, context: Context) -> Sign | None:
    """Inverted translations would be nearer to the targets."""
    ratio = _settled(history, context, "colour_inversion")
    since = ratio.true_since(ratio.values > INVERTED, POINTS)
    return None if since is None else Sign(since, [ratio.shows("colour_inversion", "below 1")])


def source_ignored(history: History, context: Context) -> Sign | None:
    """Translations hardly depend on their source, or not as the pairs do."""
    effect = _settled(history, context, "source_effect")
    since = effect.true_since(effect.values < IGNORED, POINTS)
    if since is not None:
        return Sign(since, [effect.shows("source_effect", f"above {IGNORED}")])
    match = _settled(history, context, "source_match")
    inverted = history["colour_inversion"].smooth().at(match.steps) > INVERTED
    unchanged = history["translation_change"].smooth().at(match.steps) < UNCHANGED
    since = match.true_since((match.values < UNRELATED) & ~(inverted | unchanged), LONG)
    return None if since is None else Sign(since, [match.shows("source_match", f"above {UNRELATED}")])


def domain_ignored(history: History, context: Context) -> Sign | None:
    """Translations into two domains are nearly the same, or are recognised as theirs by chance only."""
    effect = _settled(history, context, "label_effect")
    since = effect.true_since(effect.values < IGNORED / 2, POINTS)
    if since is not None:
        return Sign(since, [effect.shows("label_effect", f"above {IGNORED / 2:g}")])
    accuracy = _settled(history, context, "class_accuracy_fake")
    least = CHANCE / max(context.facts.get("classes", 0), 1)
    since = accuracy.true_since(accuracy.values < least, 2 * POINTS)
    return None if since is None else Sign(since, [accuracy.shows("class_accuracy_fake", f"above {least:.2g}")])


def hidden_cycle(history: History, context: Context) -> Sign | None:
    """The way back fails as soon as a translation is rounded and gets a little noise."""
    clean, noisy = (_settled(history, context, name) for name in ("cycle_error", "cycle_error_noisy"))
    times = noisy.values / np.maximum(clean.at(noisy.steps), 1e-6)
    since = noisy.true_since((times > HIDDEN) & (noisy.values > LOST), POINTS)
    if since is None:
        return None
    near = f"near {clean.last:.2g}, the cycle error without noise"
    return Sign(since, [noisy.shows("cycle_error_noisy", near)])


def checkerboard(history: History, context: Context) -> Sign | None:
    """Samples have a periodic pattern that real images do not have, even after the first part of the run."""
    pattern = _settled(history, context, "checkerboard")
    since = pattern.true_since(pattern.values > VISIBLE, 2 * POINTS)
    return None if since is None else Sign(since, [pattern.shows("checkerboard", f"below {VISIBLE}")], "warning")


def pairs_do_not_match(history: History, context: Context) -> Sign | None:
    """Targets are as unlike the targets of similar sources as of any others."""
    relation = context.facts.get("pair_relation")
    if relation is None or relation >= RELATED:
        return None
    return Sign(0, [Evidence("pair_relation", relation, f"above {RELATED:g} standard deviations")])


def _settled(history: History, context: Context, name: str) -> Series:
    """Return a smoothed signal without the first part of the run, in which translations are untrained."""
    return history[name].smooth().after(context.share(history, max(SETTLED, START)))
