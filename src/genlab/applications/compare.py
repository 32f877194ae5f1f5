"""Compares models in one table, ranked, with remarks on differences that may be due to chance."""

import base64
import csv
import html
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from genlab.applications.measurement import Measurement
from genlab.core.text import aligned, escaped
from genlab.metrics.figures import Figure, significantly_different, written

MARKS = "*†‡§¶"
# Models are ranked by the first of these figures that all have, if possible one that was measured alike.
MEASURED = ("psnr_y", "translation_l1", "fid", "fd", "reconstruction_mse", "negative_bound", "high_quality")


@dataclass(frozen=True)
class Comparison:
    """Evaluations, best first, with the names of their figures."""

    evaluations: Sequence[Measurement]
    columns: Sequence[str]
    ranked_by: str | None  # a figure that all have; None if there is none
    marks: Mapping[tuple[int, str], str]  # (row, column) to a mark if its protocol differs from the first row's
    remarks: Sequence[str]

    def values(self) -> dict[str, Any]:
        """Return the comparison as plain values for JSON."""
        return {
            "ranked_by": self.ranked_by,
            "remarks": list(self.remarks),
            "evaluations": [evaluation.values() for evaluation in self.evaluations],
        }

    def __str__(self) -> str:
        table = aligned(list(zip(*as_table(self), strict=True)))
        return "\n".join([table, "", *self.remarks])

    def _repr_html_(self) -> str:
        return escaped(_table(self) + _remarks(self))


def compare(evaluations: Sequence[Measurement]) -> Comparison:
    """Rank evaluations by a figure that all have, and remark where the order may be due to chance."""
    tables = [{figure.name: figure for figure in evaluation.figures} for evaluation in evaluations]
    columns = list(dict.fromkeys(name for table in tables for name in table))
    common = [name for name in columns if all(name in table for table in tables)]
    of_quality = [name for kind in MEASURED for name in common if name.partition("[")[0] == kind]
    alike = [name for name in of_quality if not any(difference(tables[0][name], t[name]) for t in tables[1:])]
    by = next(iter(alike + of_quality), None)
    if by:
        sign = 1 if tables[0][by].better == "lower" else -1
        order = sorted(range(len(tables)), key=lambda i: _last_if_nan(sign * tables[i][by].value))
        evaluations, tables = [evaluations[i] for i in order], [tables[i] for i in order]
    marks, remarks = _marks(tables, columns)
    if by:
        for (above, one), (below, two) in pairwise(zip(evaluations, tables, strict=True)):
            remarks += _chance(by, above.subject, one[by], below.subject, two[by])
    else:
        remarks.append("not ranked: the models have no measure of quality in common")
    return Comparison(evaluations, columns, by, marks, remarks)


def _marks(
    tables: Sequence[Mapping[str, Figure]], columns: Sequence[str]
) -> tuple[dict[tuple[int, str], str], list[str]]:
    """Return the marks of cells whose protocol differs from the first in their column, and what they mean."""
    marks: dict[tuple[int, str], str] = {}
    meanings: dict[str, str] = {}
    for column in columns:
        having = [(row, table[column]) for row, table in enumerate(tables) if column in table]
        (_, first), *others = having
        for row, figure in others:
            different = difference(first, figure)
            if different:
                mark = meanings.setdefault(different, MARKS[len(meanings) % len(MARKS)] * (1 + len(meanings) // 5))
                marks[row, column] = mark
    return marks, [f"{mark} computed differently: {different}" for different, mark in meanings.items()]


def difference(one: Figure, two: Figure) -> str:
    """Return the differences of two protocols that make figures incomparable, in words; "" if there are none."""
    names = dict.fromkeys((*one.protocol, *two.protocol))
    # The model may differ: models are compared.
    differing = [
        n
        for n in names
        if not n.startswith(("checkpoint", "model_")) and one.protocol.get(n) != two.protocol.get(n)
    ]
    return ", ".join(
        f"{n} {two.protocol.get(n, 'none')} instead of {one.protocol.get(n, 'none')}" for n in differing
    )


def _chance(name: str, above: str, one: Figure, below: str, two: Figure) -> list[str]:
    if difference(one, two):
        return [f"{above} and {below} cannot be ranked by {name}: their protocols differ"]
    sure = significantly_different(Figure(name, one.value, one.error), Figure(name, two.value, two.error))
    if sure is None:
        return [f"whether {above} is better than {below} is unknown: {name} has no error"]
    if sure:
        return []
    spread = math.hypot(one.error or 0.0, two.error or 0.0)
    gap = abs(one.value - two.value)
    return [
        f"{above} and {below} do not differ significantly in {name}: the difference is {gap:.3g} ± {spread:.2g}"
    ]


def _last_if_nan(value: float) -> float:
    return math.inf if math.isnan(value) else value


def as_table(comparison: Comparison) -> list[list[str]]:
    """Return the header and a row for each evaluation, as strings."""
    rows = [["", *comparison.columns]]
    for place, evaluation in enumerate(comparison.evaluations):
        by_name = {figure.name: figure for figure in evaluation.figures}
        cells = [
            written(by_name[column]) + comparison.marks.get((place, column), "") if column in by_name else ""
            for column in comparison.columns
        ]
        rows.append([evaluation.subject, *cells])
    return rows


def as_csv(comparison: Comparison) -> str:
    """Return the comparison as CSV: a line for each figure, with its error and protocol."""
    stream = io.StringIO()
    figures = [(e.subject, f) for e in comparison.evaluations for f in e.figures]
    stamps = list(dict.fromkeys(name for _, figure in figures for name in figure.protocol))
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["subject", "figure", "value", "error", "note", *stamps])
    for subject, f in figures:
        writer.writerow(
            [subject, f.name, f.value, f.error, f.note, *(f.protocol.get(name, "") for name in stamps)]
        )
    return stream.getvalue()


def as_html(comparison: Comparison, strips: Mapping[str, bytes]) -> str:
    """Return a self-contained page with the table, the remarks, samples of each model and the protocols.

    Args:
        comparison: what is shown.
        strips: PNG of each model's samples.
    """
    pictures = "".join(
        f"<h3>{html.escape(subject)}</h3>"
        f'<img alt="samples" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        for subject, png in strips.items()
    )
    protocols = "".join(f"<h3>{html.escape(e.subject)}</h3>{_protocol(e.figures)}" for e in comparison.evaluations)
    ranked = f"Ranked by {html.escape(comparison.ranked_by)}, best first. " if comparison.ranked_by else ""
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Models compared</title><style>{_STYLE}</style>
<h1>Models compared</h1>
<p>{ranked}± is the standard error; ↓ the lower the better, ↑ the higher.</p>
<div class="wide">{_table(comparison)}</div>{_remarks(comparison)}
<h2>Samples</h2>{pictures or "<p>None.</p>"}
<h2>How each figure was computed</h2>{protocols}
</html>
"""


def _table(comparison: Comparison) -> str:
    header, *rows = zip(*as_table(comparison), strict=True)  # models are columns: there are fewer than figures
    better = {figure.name: _ARROWS[figure.better] for e in comparison.evaluations for figure in e.figures}
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        f"<tr><th>{html.escape(name)} {better[name]}</th>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _remarks(comparison: Comparison) -> str:
    return "".join(f"<p>{html.escape(remark)}</p>" for remark in comparison.remarks)


def _protocol(figures: Sequence[Figure]) -> str:
    """Return the part of the protocol that all figures of a model share, then the rest of each."""
    shared = {
        name: value
        for name, value in (figures[0].protocol if figures else {}).items()
        if all(figure.protocol.get(name) == value for figure in figures)
    }
    lines = []
    for figure in figures:
        own = {name: value for name, value in figure.protocol.items() if name not in shared}
        said = ". ".join(part for part in (_facts(own), figure.note) if part)
        lines.append(f"<li><b>{html.escape(figure.name)}</b> {html.escape(said)}</li>")
    return f"<p>{html.escape(_facts(shared))}</p><ul>{''.join(lines)}</ul>"


def _facts(protocol: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in protocol.items() if value != "")


_ARROWS = {"lower": "↓", "higher": "↑", "none": ""}
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
.wide { overflow-x: auto } img { max-width: 100%; background: white }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
td, th { padding: .2rem 1rem .2rem 0; text-align: left; white-space: nowrap } tr > th { font-weight: normal }
tr:first-child th { font-weight: bold } tr + tr { border-top: 1px solid #8884 }
"""
