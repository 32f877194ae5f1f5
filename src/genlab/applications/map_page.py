"""A map as one page of HTML: points to hover over and to zoom into, with their pictures; it loads nothing else."""

import base64
import html
import json
import math
from collections.abc import Sequence

import numpy as np

from genlab.applications.examples import Examples
from genlab.applications.mapping import Panel
from genlab.applications.plots import UNNAMED, classes_of, colours
from genlab.core.pictures import png
from genlab.core.text import printable


def page(title: str, examples: Examples, panels: Sequence[Panel]) -> str:
    """Return the page; names of files and classes stay text in it."""
    classes = classes_of(examples.labels)
    places = {name: at for at, name in enumerate(classes)}
    data = {
        "names": [printable(name) for name in examples.names],
        "classes": [printable(name) for name in classes] or ["examples"],
        "colours": colours(len(classes)) or [UNNAMED],
        "labels": [places.get(str(label), -1 if classes else 0) for label in examples.labels],
        "panels": [
            {"title": f"{p.title} (trustworthiness {p.trustworthiness:.3f})", "points": _unit(p)} for p in panels
        ],
        **_atlas(examples),
    }
    shown = json.dumps(data).replace("<", "\\u003c")
    return _PAGE.replace("TITLE", html.escape(printable(title))).replace("DATA", shown)


def _unit(panel: Panel) -> list[list[float]]:
    """Return the points in the unit square, with one scale for both axes."""
    low, high = panel.points.min(0), panel.points.max(0)
    scale = float((high - low).max()) or 1.0
    unit: list[list[float]] = np.round((panel.points - (low + high) / 2) / scale + 0.5, 4).tolist()
    return unit


def _atlas(examples: Examples) -> dict[str, object]:
    """Return all thumbnails in one PNG, row by row, with their size; nothing for examples that are no pictures."""
    if examples.kept.ndim != 4:
        return {"atlas": None}
    tiles = examples.kept.permute(0, 2, 3, 1).numpy()
    count, height, width, channels = tiles.shape
    columns = math.isqrt(count - 1) + 1
    whole = np.zeros((-(-count // columns) * columns, height, width, channels), np.uint8)
    whole[:count] = tiles
    sheet = whole.reshape(-1, columns, height, width, channels).swapaxes(1, 2)
    data = base64.b64encode(png(sheet.reshape(-1, columns * width, channels))).decode()
    return {"atlas": f"data:image/png;base64,{data}", "columns": columns, "width": width, "height": height}


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<title>TITLE</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 1rem; color: #222; background: #fff }
h1 { font-size: 1.2rem } button { font: inherit; margin: 0 .3rem .3rem 0; padding: .2rem .6rem }
button[aria-pressed=true] { background: #222; color: #fff } #classes button[aria-pressed=false] { opacity: .35 }
canvas { border: 1px solid #ccc; touch-action: none; width: min(96vw, 80vh); height: min(96vw, 80vh) }
#tip { position: fixed; display: none; background: #fff; border: 1px solid #888; padding: 6px;
 pointer-events: none; font-size: 13px; max-width: 220px; overflow-wrap: anywhere }
#tip canvas { border: 0; display: block; image-rendering: pixelated; width: 128px; height: auto }
</style>
<h1>TITLE</h1>
<p>Hover over a point for its picture; scroll to zoom, drag to move, double-click to see all.
A class is hidden or shown by its button. Distances between far points mean little on a t-SNE or UMAP.</p>
<div id="panels"></div><canvas id="map" width="1200" height="1200"></canvas><div id="classes"></div>
<div id="tip"><canvas id="thumb"></canvas><span id="text"></span></div>
<script>
const data = DATA;
const $ = id => document.getElementById(id);
const map = $("map"), pen = map.getContext("2d"), tip = $("tip"), thumb = $("thumb"), atlas = new Image();
if (data.atlas) atlas.src = data.atlas; else thumb.remove();
const shown = data.classes.map(() => true);
let panel = 0, view = { x: 0, y: 0, scale: 1 }, dragged = null;

function place(at) {
  const [x, y] = data.panels[panel].points[at], side = map.width * 0.94, edge = map.width * 0.03;
  return [((x - view.x) * view.scale) * side + edge, ((1 - y - view.y) * view.scale) * side + edge];
}
const visible = at => data.labels[at] < 0 || shown[data.labels[at]];
function draw() {
  pen.clearRect(0, 0, map.width, map.height);
  for (let at = 0; at < data.names.length; at++) {
    if (!visible(at)) continue;
    const [x, y] = place(at);
    pen.fillStyle = data.labels[at] < 0 ? "#777777" : data.colours[data.labels[at]];
    pen.beginPath(); pen.arc(x, y, 5, 0, 7); pen.fill();
  }
}
function position(event) {
  const box = map.getBoundingClientRect(), ratio = map.width / box.width;
  return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
}
function hover(event) {
  const [x, y] = position(event);
  let best = -1, least = 400;
  for (let at = 0; at < data.names.length; at++) {
    if (!visible(at)) continue;
    const [px, py] = place(at), distance = (px - x) ** 2 + (py - y) ** 2;
    if (distance < least) { least = distance; best = at; }
  }
  tip.style.display = best < 0 ? "none" : "block";
  if (best < 0) return;
  if (data.atlas) {
    thumb.width = data.width; thumb.height = data.height;
    const column = best % data.columns, row = Math.floor(best / data.columns);
    thumb.getContext("2d").drawImage(atlas, column * data.width, row * data.height, data.width, data.height,
      0, 0, data.width, data.height);
  }
  const label = data.labels[best] < 0 ? "" : " · " + data.classes[data.labels[best]];
  $("text").textContent = data.names[best] + label;
  tip.style.left = Math.min(event.clientX + 14, innerWidth - 240) + "px";
  tip.style.top = Math.min(event.clientY + 14, innerHeight - 200) + "px";
}
map.addEventListener("pointermove", event => {
  if (!dragged) return hover(event);
  const [x, y] = position(event), unit = map.width * 0.94 * view.scale;
  view.x -= (x - dragged[0]) / unit; view.y -= (y - dragged[1]) / unit;
  dragged = [x, y]; draw();
});
map.addEventListener("pointerdown", event => {
  dragged = position(event); map.setPointerCapture(event.pointerId); tip.style.display = "none";
});
map.addEventListener("pointerup", () => { dragged = null; });
map.addEventListener("pointerleave", () => { tip.style.display = "none"; });
map.addEventListener("dblclick", () => { view = { x: 0, y: 0, scale: 1 }; draw(); });
map.addEventListener("wheel", event => {
  event.preventDefault();
  const [x, y] = position(event), edge = map.width * 0.03, side = map.width * 0.94;
  const next = Math.min(60, Math.max(1, view.scale * Math.exp(-event.deltaY / 400)));
  view.x += (x - edge) / side * (1 / view.scale - 1 / next);
  view.y += (y - edge) / side * (1 / view.scale - 1 / next);
  view.scale = next; draw();
}, { passive: false });
function button(parent, text, pressed, act) {
  const made = document.createElement("button");
  made.textContent = text; made.setAttribute("aria-pressed", pressed); made.onclick = () => act(made);
  $(parent).append(made); return made;
}
data.panels.forEach((each, number) => button("panels", each.title, number === 0, made => {
  for (const other of $("panels").children) other.setAttribute("aria-pressed", other === made);
  panel = number; view = { x: 0, y: 0, scale: 1 }; draw();
}));
data.classes.forEach((name, number) => {
  const made = button("classes", name, true, () => {
    shown[number] = !shown[number]; made.setAttribute("aria-pressed", shown[number]); draw();
  });
  made.style.borderBottom = "4px solid " + data.colours[number];
});
draw();
</script>
</html>
"""
