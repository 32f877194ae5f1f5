"""Plots a run's signals over its steps."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genlab.core.pictures import Picture, png
from genlab.core.signals import Kind, signal

MOST_NAMED = 8  # curves of a panel up to which there is a legend
WIDTH, HEIGHT, DPI, COLUMNS = 430, 320, 100, 3  # of a panel in pixels; dots per inch; panels in a row

Lines = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Panel:
    """The curves of some signals, which share an axis."""

    names: Sequence[str]
    picture: Picture


def draw(history: Lines, evaluations: Lines) -> list[Panel]:
    """Return one panel for each kind of signal in the history, and one for each value of the evaluations."""
    panels = [(names, history) for names in groups(history).values()]
    panels += [([name], evaluations) for names in groups(evaluations).values() for name in names]
    return [Panel(names, _draw_panel(names, lines)) for names, lines in panels]


def tiled(panels: Sequence[Panel]) -> bytes:
    """Return a PNG of all panels."""
    blank = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    pictures = [panel.picture for panel in panels] or [blank]
    pictures += [blank] * (-len(pictures) % min(COLUMNS, len(pictures)))
    rows = [np.concatenate(pictures[i : i + COLUMNS], axis=1) for i in range(0, len(pictures), COLUMNS)]
    return png(np.concatenate(rows))


def _draw_panel(names: Sequence[str], lines: Lines) -> Picture:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI))
    # Fixed margins: automatic ones would make matplotlib draw everything several times.
    axes = figure.add_axes((0.18, 0.16, 0.78, 0.76))
    for name in names:
        points = _points(lines, name)
        axes.plot(*zip(*points, strict=True), label=name, linewidth=1, marker="o" if len(points) < 40 else "")
    values = [value for name in names for _, value in _points(lines, name)]
    kind = signal(names[0]).kind
    if kind.log and all(value > 0 for value in values):
        axes.set_yscale("log")
    axes.set_xlabel("step")
    if len(names) <= MOST_NAMED:
        for text in axes.legend(fontsize="small").get_texts():
            text.set_parse_math(False)
    else:
        axes.set_title(kind.name, fontsize="small")
    stream = io.BytesIO()
    figure.savefig(stream, format="rgba", dpi=DPI)
    return np.frombuffer(stream.getvalue(), np.uint8).reshape(HEIGHT, WIDTH, 4)[:, :, :3]


def draw_signal(lines: Lines, name: str, since: int) -> bytes:
    """Return a small PNG of one signal with a line at step `since`; empty if the signal has no values."""
    from matplotlib.figure import Figure

    points = _points(lines, name)
    if not points:
        return b""
    figure = Figure(figsize=(3.6, 1.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(*zip(*points, strict=True), linewidth=1)
    if all(value > 0 for _, value in points) and max(v for _, v in points) > 100 * min(v for _, v in points):
        axes.set_yscale("log")
    axes.axvline(since, color="tab:red", linewidth=1)
    axes.set_title(name, fontsize="small", parse_math=False)
    axes.tick_params(labelsize="x-small")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100)
    return stream.getvalue()


def _points(lines: Lines, name: str) -> list[tuple[int, float]]:
    """Return the steps and values of a signal."""
    return [(line["step"], line[name]) for line in lines if isinstance(line.get(name), int | float)]


def groups(lines: Lines) -> dict[Kind, list[str]]:
    """Return the names of the signals in `lines`, grouped by kind; each kind is one panel."""
    by_kind: dict[Kind, list[str]] = {}
    for name, value in {name: value for line in lines for name, value in line.items()}.items():
        if isinstance(value, float) and name != "seconds":
            by_kind.setdefault(signal(name).kind, []).append(name)
    return by_kind
