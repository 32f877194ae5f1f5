"""Plots a run's signals over its steps."""

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genlab.core.pictures import Picture, png
from genlab.core.signal_kinds import Kind
from genlab.core.signals import signal
from genlab.core.text import counted

MOST_NAMED = 8  # curves of a panel up to which there is a legend
MOST_CURVES, MOST_PANELS = 256, 60  # of a panel; of a run
WIDTH, HEIGHT, DPI, COLUMNS = 430, 320, 100, 3  # of a panel in pixels; dots per inch; panels in a row

Lines = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Panel:
    """The curves of some signals, which share an axis."""

    names: Sequence[str]
    picture: Picture


def draw(history: Lines, evaluations: Lines) -> list[Panel]:
    """Return one panel for each kind of signal in the history, and one for each kind of value of the evaluations.

    At most `MOST_PANELS` are drawn, signals of genlab before others, and at most `MOST_CURVES` in each.
    """
    found = [(names, history) for names in groups(history).values()]
    found += [(names, evaluations) for names in groups(evaluations).values()]
    chosen = sorted(range(len(found)), key=lambda at: not is_known(found[at][0][0]))[:MOST_PANELS]
    panels = [(found[at][0][:MOST_CURVES], found[at][1]) for at in sorted(chosen)]
    return [Panel(names, _draw_panel(names, lines)) for names, lines in panels]


def left_out(panels: Sequence[Panel], history: Lines, evaluations: Lines) -> str:
    """Return in a sentence how many signals `draw` left out; "" if none."""
    found = sum(len(names) for lines in (history, evaluations) for names in groups(lines).values())
    missing = found - sum(len(panel.names) for panel in panels)
    return f"{counted(missing, 'more signal')} without a curve: history.jsonl has all." if missing > 0 else ""


def is_known(name: str) -> bool:
    """Whether a signal is one of genlab, not of the user."""
    return bool(signal(name).meaning)


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
    curves = _points(lines, names)
    for name, points in curves.items():
        axes.plot(*zip(*points, strict=True), label=name, linewidth=1, marker="o" if len(points) < 40 else "")
    values = [value for points in curves.values() for _, value in points]
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

    points = _points(lines, [name])[name]
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


def _points(lines: Lines, names: Collection[str]) -> dict[str, list[tuple[int, float]]]:
    """Return the steps and values of each of some signals."""
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in names}
    for line in lines:
        for name in found.keys() & line.keys():
            if isinstance(line[name], int | float):
                found[name].append((line["step"], line[name]))
    return found


def groups(lines: Lines) -> dict[Kind, list[str]]:
    """Return the names of the signals in `lines`, grouped by kind; each kind is one panel."""
    by_kind: dict[Kind, list[str]] = {}
    for name in {n: None for line in lines for n, v in line.items() if isinstance(v, float) and n != "seconds"}:
        by_kind.setdefault(signal(name).kind, []).append(name)
    return by_kind
