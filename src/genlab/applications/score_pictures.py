"""Draws scores: histograms and ROC curves, and a page with the most anomalous examples."""

import html
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from genlab.applications.normals import Calibrated
from genlab.applications.rows import Rows
from genlab.applications.score import Measured, Truth
from genlab.applications.scores import MEANINGS, Numbers
from genlab.core.pictures import Picture, png
from genlab.training.report import image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT, DPI, BINS = 360, 300, 100, 40
COLOURS = "tab:blue", "tab:red"


def charts(
    rows: Rows, anomalous: Truth | None, calibrated: Mapping[str, Calibrated], measured: Measured
) -> Picture:
    """Return a row of a histogram for each score; and, if it is known what is anomalous, of ROC curves below."""
    from matplotlib.figure import Figure

    names, values = list(rows.columns), np.asarray(rows.values)
    lines = 1 if anomalous is None else 2
    size = (WIDTH * len(names) / DPI, HEIGHT * lines / DPI)
    figure = Figure(figsize=size, dpi=DPI)
    # Fixed margins: automatic ones would make matplotlib draw everything several times.
    grid = figure.subplots(lines, len(names), squeeze=False)
    figure.subplots_adjust(0.2 / len(names), 0.16 / lines, 1 - 0.04 / len(names), 1 - 0.1 / lines, 0.25, 0.35)
    for at, name in enumerate(names):
        _histogram(grid[0, at], values[:, at], anomalous, calibrated[name].normal)
        limit = measured.thresholds[name]
        if limit is not None:
            grid[0, at].axvline(limit, color="black", linewidth=1, linestyle="--", label="threshold")
        grid[0, at].set_title(name, fontsize="small")
        grid[0, at].legend(fontsize="x-small")
        if anomalous is not None:
            _roc(grid[1, at], values[:, at], anomalous, measured.figures[name]["auroc"])
    stream = io.BytesIO()
    figure.savefig(stream, format="rgba", dpi=DPI)
    shape = (round(size[1] * DPI), round(size[0] * DPI), 4)
    return np.frombuffer(stream.getvalue(), np.uint8).reshape(shape)[..., :3]


def _histogram(axes: "Axes", scores: Numbers, anomalous: Truth | None, normal: Numbers) -> None:
    """Draw the shares of scores; what lies beyond 99.5 % of all is in the last bar."""
    parts = {"scored": scores}
    if anomalous is not None:
        parts = {"normal": scores[~anomalous], "anomaly": scores[anomalous]}
    every = np.concatenate([normal, scores])
    low, high = float(every.min()), float(np.quantile(every, 0.995))
    bins = np.linspace(low, max(high, low + 1e-6 + 1e-6 * abs(low)), BINS).tolist()
    for (label, part), colour in zip(parts.items(), COLOURS, strict=False):
        axes.hist(
            np.clip(part, bins[0], bins[-1]), bins, weights=_shares(part), label=label, color=colour, alpha=0.5
        )
    if len(normal):
        held_out = np.clip(normal, bins[0], bins[-1])
        axes.hist(held_out, bins, weights=_shares(normal), label="calibration", color="black", histtype="step")
    axes.set_xlabel("score")
    axes.set_ylabel("share")


def _shares(scores: Numbers) -> npt.NDArray[np.float64]:
    return np.full(len(scores), 1 / len(scores))


def _roc(axes: "Axes", scores: Numbers, anomalous: Truth, auroc: float) -> None:
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(anomalous, scores)
    axes.plot(false, true, color="tab:red", linewidth=1.5)
    axes.plot([0, 1], [0, 1], color="tab:gray", linewidth=1, linestyle=":")
    axes.set_title(f"AUROC {auroc:.3f}", fontsize="small")
    axes.set_xlabel("false positives")
    axes.set_ylabel("anomalies found")


def as_html(
    title: str, measured: Measured, notes: Sequence[str], charts: Picture, strips: Mapping[str, Picture]
) -> str:
    """Return a self-contained page: figures, notes, charts, and strips of pictures by their captions."""
    names = list(measured.thresholds)
    columns = list(dict.fromkeys(column for name in names for column in measured.figures.get(name, ())))
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in ("score", *columns, "threshold", "what it is"))
    body = "".join(f"<tr>{_cells(name, columns, measured)}</tr>" for name in names)
    said = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    shown = "".join(
        f"<h2>{html.escape(caption)}</h2><div class=wide>{image(png(picture))}</div>"
        for caption, picture in strips.items()
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{html.escape(title)}</title><style>{_STYLE}</style>
<h1>{html.escape(title)}</h1>
<div class=wide><table><tr>{head}</tr>{body}</table></div><ul>{said}</ul>
<h2>Scores</h2><div class=wide>{image(png(charts))}</div>{shown}
</html>
"""


def _cells(name: str, columns: Sequence[str], measured: Measured) -> str:
    figures, limit = measured.figures.get(name, {}), measured.thresholds[name]
    numbers = [f"{figures[column]:.3f}" if column in figures else "" for column in columns]
    cells = (name, *numbers, "" if limit is None else f"{limit:.4g}", MEANINGS[name])
    return "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)


_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 80rem; margin: 2rem auto; padding: 0 1rem }
.wide { overflow-x: auto } img { background: white; image-rendering: pixelated }
table { border-collapse: collapse } td, th { padding: .2rem .8rem .2rem 0; text-align: left; white-space: nowrap }
"""
