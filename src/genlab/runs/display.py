"""What a notebook shows of a run: its previews, and its state on a page."""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genlab.core.pictures import Picture
from genlab.core.text import escaped
from genlab.diagnosis.finding import Finding
from genlab.training.curves import draw
from genlab.training.report import image, verdict
from genlab.training.run_folder import RunFolder


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


def page(folder: RunFolder, title: str, findings: Sequence[Finding]) -> str:
    """Return a title, the verdict, the newest preview, the curves and the findings as HTML."""
    return escaped(f"<div><b>{html.escape(title)}</b>{''.join(_parts(folder, findings))}</div>")


def _parts(folder: RunFolder, findings: Sequence[Finding]) -> Iterator[str]:
    yield f"<p>{html.escape(verdict(folder))}</p>"
    if previews := folder.previews():
        yield f"<p>{image(folder.read_bytes(previews[-1]))}<br>step {int(previews[-1].stem):,}</p>"
    if history := folder.history():
        yield f"<p>{image(draw(history, folder.events('evaluation')))}</p>"
    if findings:
        lines = (html.escape(f"{finding.severity}: {finding.line()}") for finding in findings)
        yield f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"
    else:
        yield "<p>The doctor finds nothing wrong in its signals.</p>"
