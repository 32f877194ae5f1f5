"""Scores examples one after the other, and measures the scores if it is known which examples are anomalies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from genlab.applications.normals import Calibrated
from genlab.applications.rows import Rows
from genlab.applications.scores import BASELINES, Numbers, Tools, embedded
from genlab.core.errors import UsageError, suggestion
from genlab.core.text import counted, few
from genlab.data.dataset import Rejected
from genlab.data.defects import normal_classes
from genlab.data.originals import Original, Originals, stacked
from genlab.data.progress import bar
from genlab.metrics.ranking import chance_error, f1_at, ranking

Threshold: TypeAlias = float | Literal["f1"]
Truth: TypeAlias = npt.NDArray[np.bool_]

BACKWARDS = "anomalies-reconstruct-better"
BY_ERROR = "reconstruction"
LIKELY = 2.0  # standard errors


@dataclass
class Done:
    """What happened while examples were scored."""

    rejected: list[Rejected] = field(default_factory=list)
    resized: int = 0  # pictures of another size than the model's


def score_each(
    names: Sequence[str],
    tools: Tools,
    calibrated: Mapping[str, Calibrated],
    given: Originals,
    rows: Rows,
    label: Callable[[Original], str | None],
    *,
    progress: bool,
) -> Done:
    """Append the scores of all examples to `rows`, except of those that are there.

    Raises:
        StorageError: the disk refused.
    """
    done = Done()
    with bar(progress) as shown:
        task = shown.add_task("scoring", total=given.count, completed=len(rows.names))
        for chunk in given.chunks(done.rejected, done=set(rows.names)):
            vectors = embedded(names, tools, stacked(chunk))
            scores = np.stack([calibrated[name].score(vectors) for name in names], 1)
            rows.add([each.name for each in chunk], [label(each) for each in chunk], scores)
            done.resized += sum(each.size not in (None, tuple(given.modality.shape[1:])) for each in chunk)
            shown.update(task, completed=len(rows.names) + len(done.rejected))
    return done


def truth_of(labels: Sequence[str | None], normal: Sequence[str] | None) -> tuple[Truth | None, list[str]]:
    """Return which examples are anomalies by their classes, and notes; None if that is unknown or all are alike.

    Raises:
        UsageError: there is no class of a name in `normal`.
    """
    known = dict.fromkeys(label for label in labels if label is not None)
    for name in normal or ():
        if name not in known:
            choices = ", ".join(map(str, known)) or "none"
            raise UsageError(f'no class "{name}".{suggestion(name, known)} Choices: {choices}.')
    normal = list(normal or normal_classes(known))
    if not normal and known.keys() <= {"0", "1"}:
        normal = ["0"]
    if not known:
        return None, ["the examples have no classes, so that the scores cannot be measured"]
    if not normal:
        return None, [
            f'no class is called "good": to measure the scores, give the normal one of {few(known, 8)} as '
            "--normal-class NAME"
        ]
    if missing := sum(label is None for label in labels):
        return None, [f"{counted(missing, 'example')} without a class: the scores cannot be measured"]
    anomalous = np.array([label not in normal for label in labels])
    if anomalous.all() or not anomalous.any():
        kind = "anomalies" if anomalous.any() else f"normal ({few(normal)})"
        return None, [f"all {len(labels):,} examples are {kind}: without the other kind nothing can be measured"]
    return anomalous, []


@dataclass(frozen=True)
class Measured:
    """Figures of each score, by name, and what they say."""

    figures: Mapping[str, Mapping[str, float]]
    thresholds: Mapping[str, float | None]
    notes: Sequence[str]
    chance_error: float = 0.0  # standard error of the AUROC of scores that rank by chance; 0 without figures

    def event(self) -> dict[str, Any]:
        """Return what a run records: how well each score ranked anomalies."""
        each = [{"score": name, "auroc": its["auroc"]} for name, its in self.figures.items() if "auroc" in its]
        return {"auroc_chance_error": self.chance_error, "figures": each}


def measured(
    rows: Rows, anomalous: Truth | None, calibrated: Mapping[str, Calibrated], threshold: Threshold
) -> Measured:
    """Return the figures of all scores, the thresholds and notes.

    Raises:
        UsageError: the threshold is to be chosen by F1, and it is not known which examples are anomalies.
    """
    values = np.asarray(rows.values)
    if anomalous is None:
        if threshold == "f1":
            raise UsageError(
                "--threshold f1 needs pictures of which it is known whether they are normal: in folders, of which "
                "good or --normal-class has the normal ones. Or give a quantile, such as --threshold 0.99."
            )
        limits = {name: each.threshold(threshold) for name, each in calibrated.items()}
        return Measured({}, limits, _few_normal(calibrated, threshold))
    figures, limits, chance = {}, dict[str, float | None](), _chance(anomalous)
    for name, scores in zip(rows.columns, values.T, strict=True):
        rank = ranking(scores, anomalous)
        limit = rank.best_threshold if threshold == "f1" else calibrated[name].threshold(threshold)
        limits[name] = limit
        figures[name] = {"auroc": rank.auroc, "auroc_error": rank.error}
        figures[name] |= {"average_precision": rank.average_precision, "best_f1": rank.best_f1}
        figures[name] |= {} if limit is None else {"f1": f1_at(scores, anomalous, limit)}
        figures[name] |= _by_class(scores, anomalous, rows.labels)
    return Measured(figures, limits, [*_few_normal(calibrated, threshold), *_warnings(figures, chance)], chance)


def _by_class(scores: Numbers, anomalous: Truth, labels: Sequence[str | None]) -> dict[str, float]:
    """Return the AUROC of each class of anomalies against the normal examples, if there are several."""
    names = np.array([str(label) for label in labels])
    classes = sorted(set(names[anomalous]))
    if len(classes) < 2:
        return {}
    kept = {name: ~anomalous | (names == name) for name in classes}
    return {f"auroc {name}": ranking(scores[rows], anomalous[rows]).auroc for name, rows in kept.items()}


def _few_normal(calibrated: Mapping[str, Calibrated], threshold: Threshold) -> list[str]:
    count = min(len(each.normal) for each in calibrated.values())
    if threshold == "f1":
        return ["the threshold of the best F1 is chosen on the measured examples: its F1 is optimistic"]
    if not count:
        return ["there is one normal example only: no threshold can be calibrated, and no verdict is given"]
    if count * (1 - threshold) < 1:
        least = round(1 / (1 - threshold))
        return [
            f"the threshold is uncertain: a quantile of {threshold:g} takes {least:,} normal examples, not {count}"
        ]
    return []


def _chance(anomalous: Truth) -> float:
    return chance_error(int(anomalous.sum()), int((~anomalous).sum()))


def _warnings(figures: Mapping[str, Mapping[str, float]], chance: float) -> list[str]:
    """Return what is wrong with scores: they rank backwards, or a baseline is better than the model."""
    backwards = {name: each["auroc"] for name, each in figures.items() if each["auroc"] + LIKELY * chance < 0.5}
    found = []
    if BY_ERROR in backwards:
        found.append(
            f"{BACKWARDS}: anomalies have smaller reconstruction errors than normal examples (AUROC "
            f"{backwards.pop(BY_ERROR):.3f}, below 0.5). The model is too good at what it never saw: use another "
            "score, or see `genlab doctor`."
        )
    if backwards:
        named = few((f"{name} {auroc:.3f}" for name, auroc in backwards.items()), len(backwards))
        found.append(
            f"anomalies look more normal than normal examples by these scores (AUROC below 0.5): {named}. Check "
            "which class is the normal one, --normal-class, and what the model was trained on."
        )
    models = {name: each["auroc"] for name, each in figures.items() if name not in BASELINES}
    others = {name: each["auroc"] for name, each in figures.items() if name in BASELINES}
    if models and (best := max(others, key=others.__getitem__)) and others[best] > max(models.values()):
        model = max(models, key=models.__getitem__)
        clear = others[best] - models[model] > figures[best]["auroc_error"]
        said = "the baseline is better than the model" if clear else "the model is no better than the baseline"
        found.append(
            f"{said}: {best} has an AUROC of {others[best]:.3f}, {model} of {models[model]:.3f}. "
            f"Use --by {best}, or train the model longer."
        )
    return found


def verdicts(scores: Numbers, threshold: float | None) -> list[str]:
    """Return whether each example is an anomaly, in words; nothing without a threshold."""
    if threshold is None:
        return [""] * len(scores)
    return ["anomaly" if score > threshold else "normal" for score in scores]
