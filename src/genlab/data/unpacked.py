"""Refuses compressed files that hold far more than their size, before they are read."""

from pathlib import Path

from genlab.core.errors import DataError

LIMIT = 2**30  # bytes that any file may hold
RATIO = 20  # a larger file may hold this many times its size


def check_unpacked(path: Path, declared: int) -> None:
    """Raise DataError if a file declares too many bytes for its size.

    All of them are held in memory, so that a small file could fill it.
    """
    size = path.stat().st_size
    if declared > max(LIMIT, RATIO * size):
        raise DataError(
            f'"{path}" has {size / 1e6:,.1f} MB, but holds {declared / 1e9:,.1f} GB when decompressed: more than '
            f"{LIMIT / 1e9:.1f} GB and {RATIO} times its size. If you trust it, decompress it, or save it "
            "with np.savez (not savez_compressed)."
        )
