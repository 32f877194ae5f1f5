"""Keeps what libtiff prints about a damaged file as the reason why it is rejected."""

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_ONE = threading.Lock()  # standard error belongs to the whole process
_STDERR = 2
_NAME = "tempfile.tif: "  # what Pillow calls every file


def load(picture: "Image.Image") -> None:
    """Decode a picture; libtiff's messages, which name no file, become the text of the error.

    Raises:
        ValueError: libtiff cannot decode it.
    """
    tiles = getattr(picture, "tile", None)
    if not tiles or tiles[0][0] != "libtiff":
        picture.load()
        return
    with _printed() as lines:
        try:
            picture.load()
        except OSError as error:
            raise ValueError(f"damaged TIFF: {lines() or error}") from error


@contextmanager
def _printed() -> Iterator[Callable[[], str]]:
    """Keep what is written to standard error inside the context, and yield a function that returns it."""
    with _ONE, tempfile.TemporaryFile() as kept:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        try:
            before = os.dup(_STDERR)
        except OSError:  # there is no standard error
            yield lambda: ""
            return
        os.dup2(kept.fileno(), _STDERR)

        def lines() -> str:
            kept.seek(0)
            text = kept.read(4096).decode("utf-8", "replace")
            said = [line.strip().removeprefix(_NAME) for line in text.splitlines() if line.isprintable()]
            return " ".join(said)

        try:
            yield lines
        finally:
            os.dup2(before, _STDERR)
            os.close(before)
