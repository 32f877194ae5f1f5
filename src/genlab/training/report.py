"""The report of a run: results.csv, results.png and report.html, made from the other files of its folder."""

import base64
import csv
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from genlab.core.pictures import png
from genlab.core.signal_kinds import INDEX, Signal
from genlab.core.signals import signal
from genlab.core.text import counted, plain, with_names
from genlab.diagnosis.finding import span
from genlab.recipes.command import train_command
from genlab.training.choice import best_evaluation
from genlab.training.criterion import recorded_criterion
from genlab.training.curves import Panel, draw, draw_signal, is_known, left_out, tiled
from genlab.training.lines import TEXT, WHOLE
from genlab.training.run_folder import RunFolder

SHOWN_PREVIEWS = 6
MOST_CELLS = 1 << 24  # of results.csv: more than a history without gaps can fill
MOST_PLOTS = 60  # of the doctor's findings
MOST_COLUMNS = 60  # of the table of evaluations
_STILL_TRAINING = " The training is still running: this page is updated from time to time and at the end."
_OF_MODEL = "model_"  # prefix of the sampling options in a protocol
_NO_COLUMNS = ("event", "time", "criterion", "protocol")  # of an evaluation event


def write_report(folder: RunFolder, *, training: bool = False) -> None:
    """Write results.csv, results.png and report.html, or replace them; `training`: the run is still training.

    Raises:
        StorageError: the disk refused.
    """
    history, events = folder.history(), folder.events()
    evaluations = [e for e in events if e["event"] == "evaluation"]
    table = _rows(history, evaluations)
    columns, missing = _columns(table)
    folder.write_text("results.csv", _csv(table, columns))
    curves = draw(history, evaluations)
    folder.write_bytes("results.png", tiled(curves))
    folder.write_text("report.html", _html(folder, history, events, curves, missing, training=training))


def _rows(history: Sequence[Mapping[str, Any]], evaluations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each recorded step: its signals, and its evaluation if there was one."""
    rows: dict[int, dict[str, Any]] = {line["step"]: dict(line) for line in history}
    for evaluation in evaluations:
        values = {n: v for n, v in evaluation.items() if n not in _NO_COLUMNS}
        rows.setdefault(evaluation["step"], {}).update(values)
    return [rows[step] for step in sorted(rows)]


def _columns(rows: Sequence[Mapping[str, Any]]) -> tuple[Sequence[str], str]:
    """Return the columns of results.csv, and in a sentence how many there is no room for; "" if none."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    kept = _first(names, MOST_CELLS // max(len(rows), 1))
    missing = len(names) - len(kept)
    return kept, f"{counted(missing, 'signal')} would make results.csv too large and are left out." * bool(missing)


def _first(names: Sequence[str], most: int) -> list[str]:
    """Return at most `most` names in their order; if there are more, signals of genlab before others."""
    kept = sorted(range(len(names)), key=lambda at: names[at] != "step" and not is_known(names[at]))[:most]
    return [names[at] for at in sorted(kept)] if len(names) > most else list(names)


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(map(row.get, columns) for row in rows)
    return stream.getvalue()


def _html(
    folder: RunFolder,
    history: Sequence[Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
    curves: Sequence[Panel],
    missing: str,
    *,
    training: bool,
) -> str:
    recipe = folder.read_yaml("recipe.yaml", preset=TEXT)
    data = folder.read_yaml("data.yaml", source=TEXT)
    machine: Mapping[str, Any] = next((e for e in reversed(events) if e["event"] in ("started", "resumed")), {})
    title = html.escape(f"{folder.path.name}: {recipe['preset']} on {data['source']}")
    previews = "".join(
        f"<figure>{image(folder.read_bytes(path))}<figcaption>step {int(path.stem):,}</figcaption></figure>"
        for path in _evenly(folder.previews(), SHOWN_PREVIEWS)
    )
    evaluations = [event for event in events if event["event"] == "evaluation"]
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{_STYLE}</style>
<h1>{title}</h1>
<p class="summary">{html.escape(verdict(folder))}{_STILL_TRAINING * training}</p>
<h2>Diagnosis</h2>{_diagnosis(history, events)}
<h2>Pictures</h2>{_about_previews(history)}<div class="previews">{previews or "<p>None yet.</p>"}</div>
{_sampling(evaluations)}
<h2>Curves</h2><div class="curves">{"".join(map(_curve, curves)) or "<p>None yet.</p>"}</div>
<p>{left_out(curves, history, evaluations)} {missing}</p>
<h2>Evaluations</h2>{_evaluations(evaluations)}
<h2>Data</h2>{_table(("", ""), _flat(with_names(data)))}
<h2>Run it again</h2>
<p>From any folder, with the options that differ from the preset:</p>
<pre>{html.escape(train_command(recipe, folder.path))}</pre>
<p>All options, as in recipe.yaml:</p><pre>{html.escape(folder.read_bytes("recipe.yaml").decode())}</pre>
{_table(("machine", ""), ((n, v) for n, v in machine.items() if n not in ("event", "step")))}
</html>
"""


def _about_previews(history: Sequence[Mapping[str, Any]]) -> str:
    """Return what previews show, as far as the signals of the run tell."""
    names = {name for line in history for name in line}
    pairs = (
        "held-out images after corruption, each row above the row that the model restores from it"
        if "denoised_error" in names
        else "held-out images, each row above the row of its reconstructions"
    )
    if "r2_held_out" not in names:
        return ""
    shown = f"on the left samples; on the right {pairs}" if "diversity" in names else pairs
    return f"<p>{shown.capitalize()}.</p>"


def _curve(panel: Panel) -> str:
    """Return a plot with the meaning of each of its signals; those of one row of `SIGNALS` share a line."""
    by_row: dict[Signal, list[str]] = {}
    for name in panel.names:
        by_row.setdefault(signal(name), []).append(name)
    lines = []
    for row, shown in by_row.items():
        names = row.name.replace(INDEX, "[…]") if row.profile else ", ".join(shown)
        good = "" if row.better == "none" else f" {row.better.capitalize()} is better."
        lines.append(f"<b>{html.escape(names)}</b>: {html.escape(row.meaning or 'a signal of your own.')}{good}")
    return f"<figure>{image(png(panel.picture))}<figcaption>{'<br>'.join(lines)}</figcaption></figure>"


def _sampling(evaluations: Sequence[Mapping[str, Any]]) -> str:
    """Return how previews and evaluated samples are made, if faster than by the recipe."""
    protocol: Mapping[str, Any] = evaluations[-1].get("protocol", {}) if evaluations else {}
    options = ", ".join(f"{n.removeprefix(_OF_MODEL)} {v}" for n, v in protocol.items() if n.startswith(_OF_MODEL))
    made = f"<p>Sampled faster, with {html.escape(options)}; <code>genlab sample</code> follows the recipe.</p>"
    return made if options else ""


def _evaluations(evaluations: Sequence[Mapping[str, Any]]) -> str:
    """Return the values of all evaluations, and their criterion."""
    if not evaluations:
        return _table((), ())
    latest = evaluations[-1]
    every = [name for name in latest if name not in _NO_COLUMNS]
    names = _first(every, MOST_COLUMNS)
    stamp = ", ".join(f"{name} {value}" for name, value in latest.get("protocol", {}).items() if value != "")
    about = [
        "On held-out images, with the published weights and the same noise each time.",
        f"The best checkpoint has the lowest {recorded_criterion(latest)[0]}.",
        *([f"Protocol of the Fréchet distance: {stamp}."] if stamp else []),
        *([f"{len(every) - len(names):,} more values are in events.jsonl."] if len(every) > len(names) else []),
    ]
    titles = ["saved as best" if name == "best" else name for name in names]
    values = _table(titles, ([_cell(event.get(name, "")) for name in names] for event in evaluations))
    return f"<p>{html.escape(' '.join(about))}</p>{values}"


def _diagnosis(history: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]) -> str:
    """Return the doctor's findings and the treatments, in the order of events."""
    parts, over, plotted = [], _over(events), 0
    for event in events:
        if event["event"] == "finding":
            shown = event["evidence"][: MOST_PLOTS - plotted]
            plots = [draw_signal(history, e["signal"], event["since"]) for e in shown]
            plotted += len(shown)
            signs = (f"{e['signal']} {_cell(e['value'])}, expected {e['expected']}" for e in event["evidence"])
            listed = "".join(f"<li>{html.escape(sign)}</li>" for sign in signs)
            remedies = "".join(
                f"<li><code>{html.escape(remedy['changes'])}</code>: {html.escape(remedy['why'])}</li>"
                for remedy in event["remedies"]
            )
            parts.append(
                f"<h3>{html.escape(event['severity'])}: {html.escape(event['symptom'])}, since step "
                f"{event['since']:,}{over.get(event['rule'], '')}</h3>"
                f"{''.join(image(plot) for plot in plots if plot)}<ul>{listed}</ul>"
                f"<p>{html.escape(event['why'])} {html.escape(event['references'])}</p>"
                + (f"<p>Remedies, the best first:</p><ul>{remedies}</ul>" if remedies else "")
            )
        elif event["event"] == "remedy":
            changes = plain(event["changes"])
            parts.append(
                f"<p><b>Treated</b> at step {event['step']:,}: went back to step {event['back to step']:,} "
                f"and continued with {html.escape(changes)}.</p>"
            )
    if plotted == MOST_PLOTS:
        parts.append(f"<p>Only the first {MOST_PLOTS} signs have plots.</p>")
    return "".join(parts) or "<p>The doctor found nothing wrong in its signals.</p>"


def verdict(folder: RunFolder) -> str:
    """Return a summary of a run in a few sentences: how far it came, how it ended, when it was best."""
    history, events = folder.history(), folder.events()
    steps: int = folder.read_yaml("recipe.yaml", steps=WHOLE)["steps"]
    evaluations = [e for e in events if e["event"] == "evaluation"]
    step = max((line["step"] for line in (*history, *events)), default=0)
    seconds = history[-1].get("seconds") if history else 0.0
    sentences = [f"{step:,} of {counted(steps, 'step')}{'' if seconds is None else f' in {duration(seconds)}'}."]
    last = events[-1] if events else {}
    if last.get("event") == "fault":
        saved = any(e["event"] == "checkpoint" for e in events)
        kept = "the last checkpoint is finite and complete" if saved else "there is no checkpoint of it"
        sentences.append(f"Stopped by {last['value']} in {last['tensor']}; {kept}.")
    elif last.get("event") == "interrupted":
        sentences.append("Interrupted after a checkpoint; continue with `genlab resume`.")
    elif last.get("event") == "patience":
        sentences.append("Stopped by --patience: the last evaluations brought no improvement.")
    over = _over(events)
    failures = [
        e["symptom"] + over.get(e["rule"], "")
        for e in events
        if e["event"] == "finding" and e["severity"] == "failure"
    ]
    if failures:
        sentences.append(f"The doctor found: {'; '.join(failures)}.")
    remedies = sum(e["event"] == "remedy" for e in events)
    if remedies:
        sentences.append(f"Treated {remedies} time{'s' if remedies > 1 else ''}.")
    best = best_evaluation(folder)
    if best:
        name, value = recorded_criterion(best)
        last = evaluations[-1].get(name, value)
        sentences.append(f"Best {name} {value:.4g} at step {best['step']:,}.")
        if last > value:
            sentences.append(f"At the end it was {last:.4g}; `checkpoints/best` has the best model.")
    return " ".join(sentences)


def _over(events: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what to say of the rules whose findings had disappeared when the run ended."""
    last: Mapping[str, Any] = next((e for e in reversed(events) if e["event"] in ("diagnosis", "resumed")), {})
    if last.get("event") != "diagnosis":
        return {}
    spans: dict[str, list[str]] = {e["rule"]: [] for e in events if e["event"] == "finding"}
    for past in last.get("past", ()):
        spans.setdefault(past["rule"], []).append(span(past["since"], past["until"]))
    return {
        rule: f" (resolved: {' and '.join(its)})" if its else " (no longer at the end)"
        for rule, its in spans.items()
        if rule not in last["findings"]
    }


def duration(seconds: float) -> str:
    """Return a time in seconds or minutes, as text."""
    return counted(round(seconds), "second") if seconds < 60 else f"{seconds / 60:.1f} minutes"


def _evenly(paths: Sequence[Path], count: int) -> list[Path]:
    """Return at most `count` of `paths`, evenly spaced, with the first and the last."""
    if len(paths) <= count:
        return list(paths)
    return [paths[round(i * (len(paths) - 1) / (count - 1))] for i in range(count)]


def image(data: bytes) -> str:
    """Return a PNG as an image that is part of a page."""
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(data).decode()}">'


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>" if lines else "<p>None yet.</p>"


def _cell(value: object) -> str:
    return "not a number" if value is None else f"{value:.5g}" if isinstance(value, float) else plain(value)


def _flat(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and values as text, with lists and mappings on one line."""
    return [(name, _line(value)) for name, value in values.items()]


def _line(value: object, joint: str = "; ") -> str:
    """Return a value as text: the items of a list or mapping, with a comma between those of an inner one."""
    if isinstance(value, dict):
        return joint.join(f"{name}: {_line(its, ', ')}" for name, its in value.items())
    return joint.join(_line(each, ", ") for each in value) if isinstance(value, list) else plain(value)


_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
.summary { font-size: 1.2rem }
.previews, .curves { display: flex; flex-wrap: wrap; gap: 1rem }
.curves figure { width: 22rem; font-size: .85rem }
figure { margin: 0 } img { max-width: 100%; background: white }
table { border-collapse: collapse } td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top }
pre { overflow-x: auto; padding: .8rem; background: color-mix(in srgb, currentColor 8%, transparent) }
"""
