"""`genlab encode`: the latents of examples."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.text import counted
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, ImagesName, RunName
from genlab.verbs.output import refuse_inside, refuse_source, table_file
from genlab.verbs.result import reasons, rejections, squashed
from genlab.verbs.using import open_run
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.applications.rows import Table
    from genlab.data.dataset import Rejected


@dataclass(frozen=True, eq=False)
class Encoded:
    """Latents of examples, and where they were written."""

    rows: int  # number of examples
    latent: int  # number of latents of each
    rejected: Sequence["Rejected"]  # files that are no pictures
    path: Path  # a .csv or .npz
    squashed: int  # pictures that were squashed to the shape of the model
    shape: Sequence[int]  # of an example, as the model sees it

    @property
    def table(self) -> "Table":
        """The names, classes and latents, read from the file."""
        from genlab.applications.rows import read_table

        return read_table(self.path)

    def values(self) -> dict[str, Any]:
        """Return the result as plain values for JSON, without the latents."""
        rejected = reasons(self.rejected)
        sizes = {"rows": self.rows, "latent": self.latent, "squashed": self.squashed}
        return {**sizes, "rejected": rejected, "path": str(self.path)}

    def __repr__(self) -> str:
        return f"<Encoded {(self.rows, self.latent)} {self.path}>"

    def __str__(self) -> str:
        return "\n".join(
            [
                *rejections(self.rejected),
                *squashed(self.squashed, self.shape),
                f"{counted(self.rows, 'row')} of {counted(self.latent, 'latent')}",
                str(self.path),
            ]
        )


@verb
def encode(
    run: RunName,
    path: ImagesName,
    *,
    out: File | None = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Encoded:
    """Write the latents of pictures or rows: a row of numbers for each, with its name and its class.

    A model with classes encodes a picture under its own class, or under the one that it infers if the folders do
    not tell it; this is the class that is written. A command that was killed goes on where it was if it is given
    again.

    Args:
        out: The .csv or .npz to write. By default a .npz in the run folder.

    Returns:
        The number of rows and latents, and the path that was written; `table` reads it.

    Raises:
        UsageError: no such run or path, or an `out` that is no .csv or .npz.
        GenlabError: the model does not encode.
    """
    from genlab.applications.encode import encode_each, latents_of
    from genlab.applications.rows import rows
    from genlab.data.originals import originals
    from genlab.data.read import unreadable

    refuse_source(None if out is None else Path(out), path)
    refuse_inside(out, "--out", path)
    opened = open_run(os.fspath(run), root, checkpoint, device)
    size = latents_of(opened.model, opened.spec.target)
    with originals(path, opened.spec.target) as given:
        table = table_file(out, opened.place("latents", given.title).with_suffix(".npz"))
        request = {"verb": "encode", "weights": opened.weights, "data": given.stamp}
        with rows(table, [f"z{at}" for at in range(size)], request) as written:
            rejected, odd = encode_each(opened.model, given, written, opened.classes, progress=True)
            if not written.names:
                raise unreadable(path, rejected, given.modality.noun)
            written.finish()
    return Encoded(len(written.names), size, rejected, table, odd, opened.spec.target.shape)
