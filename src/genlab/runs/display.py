"""What a notebook shows of a run: its previews, and its state on a page."""

import html
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genlab.core.pictures import Picture
from genlab.core.text import escaped
from genlab.training.curves import draw, left_out, tiled
from genlab.training.report import image, verdict
from genlab.training.run_folder import RunFolder

if TYPE_CHECKING:
    from genlab.diagnosis.doctor import Diagnosis


@dataclass(frozen=True)
class Preview:
    """A picture of what the model generated at a step; a notebook shows it."""

    step: int
    path: Path

    def array(self) -> Picture:
        """Return the picture as bytes (H, W, C)."""
        from PIL import Image

        pixels = np.asarray(Image.open(self.path))
        return pixels if pixels.ndim == 3 else pixels[:, :, None]

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()


def page(folder: RunFolder, title: str, diagnosis: "Diagnosis") -> str:
    """Return a title, the verdict, the newest preview, the curves and the findings as HTML."""
    return escaped(f"<div><b>{html.escape(title)}</b>{''.join(_parts(folder, diagnosis))}</div>")


def _parts(folder: RunFolder, diagnosis: "Diagnosis") -> Iterator[str]:
    yield f"<p>{html.escape(verdict(folder))}</p>"
    if previews := folder.previews():
        yield f"<p>{image(folder.read_bytes(previews[-1]))}<br>step {int(previews[-1].stem):,}</p>"
    if history := folder.history():
        evaluations = folder.events("evaluation")
        panels = draw(history, evaluations)
        yield f"<p>{image(tiled(panels))}<br>{left_out(panels, history, evaluations)}</p>"
    findings = [*diagnosis.findings, *diagnosis.past]
    lines = [html.escape(f"{finding.severity}: {finding.line()}") for finding in findings]
    if not diagnosis.findings:
        yield f"<p>The doctor finds nothing wrong{' now' * bool(lines)} in its signals.</p>"
    if lines:
        yield f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"
