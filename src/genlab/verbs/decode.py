"""`genlab decode`: examples of latents in a table."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.core.text import counted
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, RunName
from genlab.verbs.output import as_rows, output_of, refuse_source, refuse_too_many
from genlab.verbs.using import open_run, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.core.modality import Modality
    from genlab.core.pictures import Picture


@dataclass(frozen=True, eq=False)
class Decoded:
    """Examples of latents, and where they were written."""

    examples: "Tensor | None"  # (rows, *shape) in the order of the table; None if the files of a folder hold them
    rows: int
    path: Path  # a .png, or a folder with a PNG for each row, or of a table a .csv
    target: "Modality"
    note: str = ""  # where the classes are from, of a model that takes some
    resumed: int = 0  # pictures that were in the folder already

    @property
    def picture(self) -> "Picture":
        """A grid of the examples."""
        if self.examples is None:
            raise UsageError(f"the pictures are in {self.path}")
        return self.target.draw(self.examples)

    def values(self) -> dict[str, Any]:
        """Return the result as plain values for JSON, without the examples."""
        return {"rows": self.rows, "classes": self.note, "there_already": self.resumed, "path": str(self.path)}

    def __repr__(self) -> str:
        return f"<Decoded {(self.rows, *self.target.shape)} {self.path}>"

    def __str__(self) -> str:
        there = f" ({self.resumed:,} of them were there already)" if self.resumed else ""
        return "\n".join(filter(None, [self.note, f"{counted(self.rows, 'row')} decoded{there}", str(self.path)]))

    def _repr_png_(self) -> bytes | None:
        from genlab.core.pictures import png

        return None if self.examples is None else png(self.picture)


@verb
def decode(
    run: RunName,
    codes: File,
    *,
    out: File | None = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Decoded:
    """Decode latents that `genlab encode` has written, or that you have changed or made.

    A model with classes decodes each row under the class in the table. A command with a folder that was killed
    goes on where it was if it is given again.

    Args:
        codes: The .csv or .npz of latents: a column for each latent, and a row for each example.
        out: A .png for a grid, or a folder for a picture of each row, named after it. Of a model of tables a .csv
            of rows, or a .png with the histograms of the columns. By default a .png or .csv in the run folder.

    Returns:
        The examples, and the path that was written. Those in a folder are not kept in memory.

    Raises:
        UsageError: no such run, latents that the model does not have, or too many for one picture.
        DataError: the file is no table of latents.
        GenlabError: the model does not decode.
    """
    rows = out is not None and Path(out).suffix.lower() == ".csv"
    png, into = (None, None) if rows else output_of(out)
    refuse_source(Path(out) if rows and out is not None else png, codes)

    import torch

    from genlab.applications.decode import codes_of, decode_into, decoded, request_of
    from genlab.applications.rows import read_table
    from genlab.applications.style_space import in_space, space_of

    opened = open_run(os.fspath(run), root, checkpoint, device)
    target, path = opened.spec.target, Path(codes)
    if into and target.spatial != 2:
        raise UsageError(
            f"--out {into} would be a folder of pictures, but this model makes {target.noun}. Give a .png for a "
            "plot, or for rows of a table a .csv."
        )
    rows = as_rows(out, target)
    if not path.is_file():
        raise UsageError(f"there is no table {path}. `genlab encode` writes one.")
    table = read_table(path)
    opened = replace(opened, model=in_space(opened.model, space_of(table.columns)))
    found = codes_of(opened.model, opened.spec, table)
    count = len(found.names)
    if into:
        resumed = decode_into(opened.model, found, target.shape, into, request_of(found, opened.weights))
        return Decoded(None, count, into, target, found.note, resumed)
    if not rows:
        refuse_too_many(count, target.shape, target.noun)
    examples = torch.cat([x for _, x in decoded(opened.model, found, target.shape, progress=True)])
    place = opened.place("decoded", path.stem)
    place = Path(out) if out is not None else place.with_suffix(".csv") if rows else place
    result = Decoded(examples, count, place, target, found.note)
    if rows:
        _write_rows(result, found.classes)
    else:
        write_png(result.path, result.picture)
    return result


def _write_rows(result: Decoded, classes: Sequence[str] | None) -> None:
    import io

    from genlab.applications.sample_table import write_csv
    from genlab.core import files
    from genlab.core.table import Table

    assert isinstance(result.target, Table)
    assert result.examples is not None
    with files.storage(result.path):
        result.path.parent.mkdir(parents=True, exist_ok=True)
    file = io.BytesIO()
    write_csv(file, result.target, result.examples.numpy(), classes)
    files.replace(result.path, file.getvalue())
