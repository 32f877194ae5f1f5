"""`genlab decompress`: the pictures of a .glz file, decoded by its model."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genlab.core.errors import UsageError
from genlab.core.text import counted
from genlab.recipes.settings import DeviceName
from genlab.verbs.options import RUNS, File, RunName
from genlab.verbs.using import open_run
from genlab.verbs.verb import verb


@dataclass(frozen=True)
class Decompressed:
    """A folder of decoded pictures."""

    pictures: int
    squashed: int  # pictures that were squashed to the shape of the model
    path: Path  # the folder

    def values(self) -> dict[str, Any]:
        """Return the result as plain values for JSON."""
        return {"pictures": self.pictures, "squashed": self.squashed, "path": str(self.path)}

    def __str__(self) -> str:
        odd = f"squashed to the shape of the model and back, because their aspect ratio differs: {self.squashed}"
        shown = f"{counted(self.pictures, 'picture')}, decoded and written in their original sizes"
        return "\n".join([shown, *([odd] if self.squashed else []), str(self.path)])


@verb
def decompress(
    run: RunName,
    path: File,
    *,
    out: File | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Decompressed:
    """Decode the pictures of a .glz file into a folder of PNGs, by the run that compressed them.

    The PNGs have the names and sizes of the pictures that were compressed. A command that was killed goes on where
    it was if it is given again.

    Args:
        path: The .glz file.
        out: The folder to write. By default in the run folder.

    Returns:
        The number of pictures and the folder.

    Raises:
        UsageError: no such run or file, or an `out` that is a file or has files in it.
        DataError: the file is damaged, or was made by another run or checkpoint.
    """
    from genlab.applications.compress import Coder, open_code
    from genlab.applications.decompress import checkpoint_of, content_of, decompress_each
    from genlab.core.files import refuse_filled
    from genlab.verbs.using import located

    given = Path(path)
    if not given.is_file():
        raise UsageError(f"there is no file {given}. Give one that genlab compress has written.")
    folder, asked = located(os.fspath(run), root, None)
    found = checkpoint_of(given, folder, asked)
    opened = open_run(str(folder.path), root, found, device)
    coder = Coder(opened.model, opened.spec.target)
    content = content_of(given, opened.spec.target)
    into = opened.place("decompressed", given.stem).with_suffix("") if out is None else Path(out)
    refuse_filled(into)
    code = open_code(coder, opened.folder, opened.weights, content.header.step, scales=content.header.scales)
    decompress_each(coder, code, given, content, into, progress=True)
    return Decompressed(len(content.files), content.squashed, into)
