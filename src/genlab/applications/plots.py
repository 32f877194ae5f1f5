"""Draws what was found of examples: curves of probes, maps."""

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.applications.probe import Accuracy
from genlab.core.pictures import Picture
from genlab.core.text import printable

if TYPE_CHECKING:
    from genlab.applications.mapping import Panel

DPI = 100
MOST_NAMED = 20  # classes up to which there is a legend
UNNAMED = "#777777"  # the colour of examples without a class


def accuracy_curves(accuracies: Sequence[Accuracy], chance: float) -> Picture:
    """Draw the accuracy of each space over the number of labels, in a panel for each probe."""
    from matplotlib.figure import Figure

    probes, spaces = (dict.fromkeys(getattr(a, what) for a in accuracies) for what in ("probe", "space"))
    figure = Figure(figsize=(4.6 * len(probes), 3.8), dpi=DPI, layout="constrained")
    styles = ("-", "--", ":")
    for at, probe in enumerate(probes):
        axes = figure.add_subplot(1, len(probes), at + 1)
        for space, style in zip(spaces, styles, strict=True):
            mine = [a for a in accuracies if (a.space, a.probe) == (space, probe)]
            counts, means, bars = zip(*((a.labels, a.mean, a.deviation or 0) for a in mine), strict=True)
            axes.errorbar(counts, means, bars, label=space, marker="o", capsize=3, linestyle=style)
        axes.axhline(chance, color="grey", linestyle=":", label="chance")
        axes.set_xscale("log")
        axes.set_xlabel("labelled examples")
        axes.set_ylabel("accuracy")
        axes.set_title(f"{probe} probe")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    return _picture(figure)


def map_panels(panels: Sequence["Panel"], labels: Sequence[str | None]) -> Picture:
    """Draw points (N, 2) in two rows of panels, coloured by class."""
    from matplotlib.figure import Figure

    classes, columns, size = classes_of(labels), -(-len(panels) // 2), 2 + min(16, 6000 / len(labels))
    figure = Figure(figsize=(4.2 * columns + 1.5, 8.4), dpi=DPI, layout="constrained")
    found = np.array([str(label) for label in labels])
    for at, panel in enumerate(panels):
        axes = figure.add_subplot(2, columns, at + 1)
        for name, colour in zip(classes, colours(len(classes)), strict=True):
            mine = panel.points[found == name]
            axes.scatter(mine[:, 0], mine[:, 1], s=size, color=colour, label=printable(name), linewidths=0)
        if not classes:
            axes.scatter(panel.points[:, 0], panel.points[:, 1], s=size, color=UNNAMED, linewidths=0)
        axes.set_title(f"{panel.title}\ntrustworthiness {panel.trustworthiness:.3f}", fontsize="medium")
        axes.set_xticks([])
        axes.set_yticks([])
    if 0 < len(classes) <= MOST_NAMED:
        legend = figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", markerscale=3)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return _picture(figure)


def classes_of(labels: Iterable[str | None]) -> list[str]:
    """Return the names of the classes, numbers in their order."""
    names = {label for label in labels if label is not None}
    return sorted(names, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))


def colours(count: int) -> list[str]:
    """Return distinct colours, as #rrggbb."""
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    if count <= 10:
        return [to_hex(colour) for colour in mpl.color_sequences["tab10"]][:count]
    return [to_hex(colour) for colour in mpl.colormaps["hsv"](np.arange(count) / count)]


def _picture(figure: Any) -> Picture:  # noqa: ANN401
    stream = io.BytesIO()
    figure.savefig(stream, format="rgba", dpi=DPI)
    width, height = (round(inches * DPI) for inches in figure.get_size_inches())
    return np.frombuffer(stream.getvalue(), np.uint8).reshape(height, width, 4)[:, :, :3]
