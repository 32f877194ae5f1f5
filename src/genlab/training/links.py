"""Keeps what genlab writes and deletes inside the folder of a run, whoever made the folder."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from genlab.core.errors import GenlabError

WRITTEN = ("previews", "evaluations", "samples", "reconstructions", "interpolations")  # folders of single files
FOLDERS = (*WRITTEN, "checkpoints", "tensorboard", "wandb")
FILES = (
    *("recipe.yaml", "data.yaml", "rejected.csv", "history.jsonl", "events.jsonl"),
    *("results.csv", "results.png", "report.html", ".lock"),
)


def refuse_links(folder: Path) -> None:
    """Refuse a run folder in which what genlab writes or deletes is a link that leads out of it.

    Raises:
        GenlabError: there is such a link.
    """
    for path in _links(folder, {*FOLDERS, *FILES}):
        target = Path(os.path.realpath(path))
        if not target.is_relative_to(folder):
            raise GenlabError(
                f"{path} is a link to {target}, outside of the run folder: genlab would write and delete files "
                "there. Replace the link by the file or folder itself. To keep a run on another disk, move its "
                "whole folder there and link to that."
            )


def _links(folder: Path, names: Collection[str] = ()) -> Iterator[Path]:
    """Yield the links in a folder and in the folders in it; with `names` only in entries that are called so."""
    try:
        entries = list(os.scandir(folder))
    except OSError:  # a checkpoint that its training has just replaced
        return
    for entry in entries:
        if names and entry.name not in names:
            continue
        if entry.is_symlink():
            yield Path(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            yield from _links(Path(entry.path))
